"""Bronze: read the files of the landing, write each document unchanged to bronze/tweets."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.bronze.transform import documents
from spark_apps.settings import Settings
from spark_apps.streaming.stream import Batch, BatchResult, Stream, always_ready, newest
from spark_apps.tables import BRONZE_TWEETS

# The schema of Spark's binaryFile source.
_BINARY_FILE_SCHEMA = "path STRING, modificationTime TIMESTAMP, length BIGINT, content BINARY"


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """Return the stream of this layer."""
    (landing,) = settings.require("landing")

    def process(batch: Batch) -> BatchResult:
        rows = documents(batch.rows, settings.max_document_mb << 20).persist()
        try:
            # Each file has one document with position 0. Files without documents are not counted.
            files_read = F.count_if(F.col("position") == 0)
            ((document_count, file_count, landed),) = rows.agg(
                F.count("*"), files_read, newest("source_modified_at")
            ).collect()
            counts = {"rows": document_count}
            batch.writers[BRONZE_TWEETS.name].append(rows, batch.id, counts)
        finally:
            rows.unpersist()
        return BatchResult(counts, file_count, landed)

    source = (
        spark.readStream.format("binaryFile")
        .schema(_BINARY_FILE_SCHEMA)
        .option("recursiveFileLookup", "true")
        .option("maxFilesPerTrigger", settings.max_files_per_batch)
        # A file that disappears between listing and reading must not stop the stream.
        .option("ignoreMissingFiles", "true")
        # By default Spark ignores files that are a week older than the newest file, and would lose those of a replay.
        .option("maxFileAge", "36500d")
    )

    def files() -> DataFrame:
        # With this projection the source only lists files. A projection in `process` would come too late: Spark reads
        # the columns of the source before it calls foreachBatch, so the JVM would load the content of each file.
        return source.load(landing).select("path", "modificationTime")

    return [Stream("bronze", files, (), (BRONZE_TWEETS,), always_ready(process))]
