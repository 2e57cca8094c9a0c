"""Bronze: read the files of the landing, write each document unchanged to bronze/tweets."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.bronze.erasures import erase_documents
from spark_apps.bronze.poison import find_poison_files, poison_uris, read_batch
from spark_apps.bronze.reader import UNFINISHED, ReadLimits, unfinished_file
from spark_apps.bronze.reconcile import answer_request, reconciled_until
from spark_apps.bronze.source import FORMAT, LandingSource, Offset, Options, batch_files
from spark_apps.lake.expired import days_ago
from spark_apps.landing.landed_file import BEGINNING, LandedFile
from spark_apps.landing.log import LandingLog
from spark_apps.settings import Settings
from spark_apps.spark_context import task_slots
from spark_apps.streaming import checkpoint
from spark_apps.streaming.planning_gate import PlanningGate
from spark_apps.streaming.poison import PoisonRow
from spark_apps.streaming.stream import Batch, BatchResult, Stream, always_ready, newest, shorten
from spark_apps.tables import BRONZE_TWEETS

_STREAM = "bronze"


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """Return the stream of this layer."""
    lake, landing = settings.require("lake", "landing")
    gate = PlanningGate()
    options = Options(
        landing=landing,
        log=f"{checkpoint.location(lake, _STREAM)}/landing",
        queue=settings.landing_queue or "",
        max_files=settings.max_files_per_batch,
        max_bytes=settings.max_batch_mb << 20,
        parallelism=task_slots(spark),
        gate=gate.path,
        limits=ReadLimits(
            document_bytes=settings.max_document_mb << 20,
            expansion=settings.max_expansion,
            task_documents=settings.max_task_documents,
            task_bytes=settings.max_task_mb << 20,
        ),
    )
    bronze = _Bronze(spark, lake, options, settings.bronze_days)
    prepare = always_ready(bronze.process, bronze.find_poison, bronze.describe_input)
    erase = {BRONZE_TWEETS.name: erase_documents}
    expire = {BRONZE_TWEETS.name: bronze.first_kept_day} if settings.bronze_days else {}
    writes, position = (BRONZE_TWEETS,), bronze.position
    return [
        Stream(_STREAM, bronze.source, (), writes, prepare, position=position, erase=erase, expire=expire, gate=gate)
    ]


class _Bronze:
    """The functions of the stream."""

    def __init__(self, spark: SparkSession, lake: str, options: Options, days: int) -> None:
        self._spark = spark
        self._lake = lake
        self._options = options
        self._days = days
        self._log = LandingLog(options.log)
        self._may_have_rest = True

    def source(self) -> DataFrame:
        # An earlier attempt of the first batch may have left a rest, in this process or in another one.
        self._may_have_rest = True
        self._spark.dataSource.register(LandingSource)
        return self._spark.readStream.format(FORMAT).options(**self._options.to_spark()).load()

    def find_poison(self, batch: Batch) -> Sequence[PoisonRow]:
        return find_poison_files(self._spark, self._files(batch), self._options.limits)

    def describe_input(self, batch: Batch) -> str:
        return shorten(poison_uris(batch.poison) or [file.uri for file in self._files(batch)])

    def process(self, batch: Batch) -> BatchResult:
        documents = batch.rows
        if batch.poison:
            documents = read_batch(self._spark, self._files(batch), batch.poison, self._options.limits)
        read = documents.withColumn("ingest_date", F.to_date("ingested_at")).persist()
        try:
            return self._write(read, batch)
        finally:
            read.unpersist()

    def _write(self, read: DataFrame, batch: Batch) -> BatchResult:
        is_unfinished = F.col("problem").eqNullSafe(UNFINISHED)
        ((document_count, file_count, landed, unfinished),) = read.agg(
            F.count_if(~is_unfinished),
            F.count_if(~is_unfinished & (F.col("position") == 0)),
            newest("source_modified_at"),
            F.collect_list(F.when(is_unfinished, F.col("detail"))),
        ).collect()
        rest = sorted(unfinished_file(detail) for detail in unfinished)
        self._write_rest(batch, rest)
        # A reconciliation would count the files in `rest` as missed, because they are not in Bronze yet.
        missed = 0 if rest else answer_request(self._spark, self._lake, self._options.landing, self._log)
        counts = {"rows": document_count, "missed": missed}
        batch.writers[BRONZE_TWEETS.name].append(read.where(~is_unfinished), batch.id, counts)
        return BatchResult(counts, file_count, landed)

    def _write_rest(self, batch: Batch, rest: Sequence[LandedFile]) -> None:
        """Write the unread rest of a batch, or remove the rest of an earlier attempt."""
        if rest or self._may_have_rest:  # other batches send no request to S3
            self._may_have_rest = True
            self._log.write_rest(_number(self._offset(batch.id)), rest)
            self._may_have_rest = bool(rest)

    def position(self, offset: Offset) -> Offset:
        """Add the partly read files of a batch to its offset: a reconciliation skips files with rows in Bronze."""
        if not self._may_have_rest:
            return offset
        partly_read = [file.to_json() for file in self._log.rest(_number(offset)) if file.start != BEGINNING]
        return offset | {"rest": partly_read} if partly_read else offset

    def first_kept_day(self) -> date:
        """Return the first day of the documents to keep: a reconciliation ignores the files of earlier documents."""
        return min(days_ago(self._days), reconciled_until(self._log))

    def _files(self, batch: Batch) -> list[LandedFile]:
        return batch_files(self._options.log, self._offset(batch.id - 1), self._offset(batch.id))

    def _offset(self, batch: int) -> Offset:
        """Return the end offset of a batch; {} before the first batch."""
        offset: Offset | None = checkpoint.read_offset(self._spark, self._lake, _STREAM, batch)
        return offset or {}


def _number(offset: Offset) -> int:
    """Return the number of the log entry at an offset; 0 for an offset of Spark's file source."""
    return int(offset.get("batch", 0))
