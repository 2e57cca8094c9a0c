"""Bronze: files of the landing → bronze/tweets, each document as it came."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.bronze.transform import documents
from spark_apps.settings import Settings
from spark_apps.streaming.stream import Batch, BatchResult, Stream, always_ready, newest
from spark_apps.tables import BRONZE_TWEETS

# What Spark's binaryFile source offers.
_FILES = "path STRING, modificationTime TIMESTAMP, length BIGINT, content BINARY"


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """Return the one stream of this layer."""
    (landing,) = settings.require("landing")

    def process(batch: Batch) -> BatchResult:
        rows = documents(batch.rows, settings.max_document_mb << 20).persist()
        try:
            # A file that holds no document is not among them.
            files_read = F.count_if(F.col("position") == 0)
            ((documents_read, read, landed),) = rows.agg(
                F.count("*"), files_read, newest("source_modified_at")
            ).collect()
            counts = {"rows": documents_read}
            batch.writers[BRONZE_TWEETS.name].append(rows, batch.id, counts)
        finally:
            rows.unpersist()
        return BatchResult(counts, read, landed)

    source = (
        spark.readStream.format("binaryFile")
        .schema(_FILES)
        .option("recursiveFileLookup", "true")
        .option("maxFilesPerTrigger", settings.max_files_per_batch)
        # A file that goes between being listed and being read must not stop the stream.
        .option("ignoreMissingFiles", "true")
        # The default passes over files that are a week older than the newest: a replay's would be lost.
        .option("maxFileAge", "36500d")
    )

    def files() -> DataFrame:
        # Selected here, the source only lists. A selection inside of `process` comes too late: a batch is handed
        # over as the source read it, and each file would pass through the JVM whole.
        return source.load(landing).select("path", "modificationTime")

    return [Stream("bronze", files, (), (BRONZE_TWEETS,), always_ready(process))]
