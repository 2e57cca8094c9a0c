"""Apply erasures to bronze/tweets."""

from pyspark.sql import functions as F

from spark_apps.lake.erasures import Pending
from spark_apps.lake.redaction import erase_texts
from spark_apps.lake.writer import TableWriter


def erase_documents(pending: Pending, writer: TableWriter) -> None:
    """Remove erased tweets from documents; a document without other content gets the problem `erased`.

    Its row stays: a landed file without a row would count as missed, and Bronze would read it again.
    """
    none, problem = F.lit(None), F.col("t.problem")
    erased = F.when(F.col("s.raw").isNull(), F.coalesce(problem, F.lit("erased"))).otherwise(problem)
    erase_texts(pending, writer, {"raw_bytes": none, "problem": erased, "detail": none})
