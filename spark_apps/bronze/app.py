"""Bronze: read the files of the landing, write each document unchanged to bronze/tweets."""

import logging
from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.bronze.erasures import erase_documents
from spark_apps.bronze.poison import find_poison_files, read_batch
from spark_apps.bronze.reader import UNFINISHED, ReadLimits, unfinished_file
from spark_apps.bronze.reconcile import find_missed_files
from spark_apps.bronze.source import FORMAT, LandingSource, Offset, Options, batch_files
from spark_apps.landing.landed_file import BEGINNING, LandedFile
from spark_apps.landing.log import LandingLog
from spark_apps.settings import Settings
from spark_apps.streaming import checkpoint
from spark_apps.streaming.poison import PoisonRow
from spark_apps.streaming.stream import Batch, BatchResult, Stream, always_ready, newest
from spark_apps.tables import BRONZE_TWEETS

_log = logging.getLogger(__name__)


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """Return the stream of this layer."""
    lake, landing = settings.require("lake", "landing")
    log = LandingLog(f"{checkpoint.location(lake, 'bronze')}/landing")
    options = Options(
        landing=landing,
        log=log.folder,
        queue=settings.landing_queue or "",
        max_files=settings.max_files_per_batch,
        max_bytes=settings.max_batch_mb << 20,
        parallelism=spark.sparkContext.defaultParallelism,
        limits=ReadLimits(
            document_bytes=settings.max_document_mb << 20,
            expansion=settings.max_expansion,
            task_documents=settings.max_task_documents,
            task_bytes=settings.max_task_mb << 20,
        ),
    )

    def files(batch: Batch) -> list[LandedFile]:
        start, end = (checkpoint.read_offset(spark, lake, "bronze", number) for number in (batch.id - 1, batch.id))
        return batch_files(log.folder, start or {}, end)

    def find_poison(batch: Batch) -> Sequence[PoisonRow]:
        return find_poison_files(spark, files(batch), options.limits)

    def documents(batch: Batch) -> DataFrame:
        if not batch.poison:
            return batch.rows
        return read_batch(spark, files(batch), batch.poison, options.limits)

    def process(batch: Batch) -> BatchResult:
        read = documents(batch).withColumn("ingest_date", F.to_date("ingested_at")).persist()
        is_unfinished = F.col("problem").eqNullSafe(UNFINISHED)
        rows = read.where(~is_unfinished)
        try:
            ((document_count, file_count, landed, unfinished),) = read.agg(
                F.count_if(~is_unfinished),
                F.count_if(~is_unfinished & (F.col("position") == 0)),
                newest("source_modified_at"),
                F.collect_list(F.when(is_unfinished, F.col("detail"))),
            ).collect()
            rest = sorted(unfinished_file(detail) for detail in unfinished)
            log.write_rest(_number(checkpoint.read_offset(spark, lake, "bronze", batch.id)) if rest else 0, rest)
            # What is left of this batch would seem to be missed.
            missed = 0 if rest else _reconcile(spark, lake, landing, log)
            counts = {"rows": document_count, "missed": missed}
            batch.writers[BRONZE_TWEETS.name].append(rows, batch.id, counts)
        finally:
            read.unpersist()
        return BatchResult(counts, file_count, landed)

    def position(offset: Offset) -> Offset:
        """Add the files that have begun: no listing finds them. Those that have not begun are not in the table."""
        begun = [file.to_json() for file in log.rest(_number(offset)) if file.start != BEGINNING]
        return offset | {"rest": begun} if begun else offset

    def source() -> DataFrame:
        spark.dataSource.register(LandingSource)
        return spark.readStream.format(FORMAT).options(**options.to_spark()).load()

    prepare, erase = always_ready(process, find_poison), {BRONZE_TWEETS.name: erase_documents}
    return [Stream("bronze", source, (), (BRONZE_TWEETS,), prepare, position=position, erase=erase)]


def _number(offset: Offset | None) -> int:
    """Return the number of the log entry at an offset; 0 for an offset of Spark's file source."""
    return int((offset or {}).get("batch", 0))


def _reconcile(spark: SparkSession, lake: str, landing: str, log: LandingLog) -> int:
    """Write the list of files that the source has missed, if the source has requested it; return their number."""
    request = log.requested_reconciliation()
    if request is None:
        return 0
    name, before = request
    missed = find_missed_files(spark, lake, landing, before)
    if missed:
        _log.warning("%d landed files are not in Bronze, the first is %s: reading them now", len(missed), missed[0].uri)
    log.write_missed(name, before, missed)
    return len(missed)
