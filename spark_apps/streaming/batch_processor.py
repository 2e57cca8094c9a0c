"""Processes the micro-batches of one stream: each batch once, and without poison rows."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from spark_apps.errors import UserError, first_line
from spark_apps.lake.commits import open_existing_table
from spark_apps.lake.failures import FailedBatch, Failure
from spark_apps.lake.reverted import check_not_reverted
from spark_apps.lake.writer import TableWriter
from spark_apps.streaming import checkpoint
from spark_apps.streaming.erasing import Eraser
from spark_apps.streaming.expiry import Expiry
from spark_apps.streaming.recovery import recover_checkpoint
from spark_apps.streaming.restored_rows import without_restored
from spark_apps.streaming.stream import Batch, BatchReport, BatchResult, Process, Stream
from spark_apps.streaming.upkeep import Upkeep
from spark_apps.streaming.written_tables import WrittenTables
from spark_apps.tables import Table

_log = logging.getLogger(__name__)
Maintenance = Eraser | Expiry


class BatchProcessor:
    """Processes the micro-batches of one stream during one run of its query."""

    def __init__(
        self,
        spark: SparkSession,
        lake: str,
        stream: Stream,
        on_batch: Callable[[BatchReport], None],
        ending: threading.Event,
        retention: float,
    ) -> None:
        """Recover the checkpoint if necessary, open the tables that the stream writes, and read the saved poison rows.

        Args:
            spark: session that runs the query.
            lake: folder or s3a:// URI of the Delta tables and checkpoints.
            stream: stream to process; its tables must exist.
            on_batch: called after each micro-batch with input rows.
            ending: set before the query is stopped. A batch that fails afterwards was interrupted, and is not searched
                for poison rows.
            retention: seconds for which replaced files and old versions of a table are kept.

        Raises:
            LakeError: the checkpoint does not match the tables, or a table is not readable.
        """
        for table in stream.reads:
            check_not_reverted(lake, table, open_existing_table(lake, table))
        recover_checkpoint(spark, lake, stream)
        checkpoint_id = checkpoint.ensure_identity(spark, lake, stream)
        app_id = f"{stream.name}:{checkpoint_id}"
        # A batch begins at the end of the one before, and each of its tables needs its end: read each offset once.
        read_offset = lru_cache(maxsize=2)(partial(checkpoint.read_offset, spark, lake, stream.name))

        def position(batch: int) -> Any:
            end = read_offset(batch)
            return None if end is None else stream.position(end)

        self._writers = {table.name: TableWriter(lake, table, stream.name, app_id, position) for table in stream.writes}
        tables = WrittenTables(spark, lake, stream, self._writers, retention)
        self._upkeep = Upkeep(tables, app_id)
        self._maintenance: tuple[Maintenance, ...] = (Eraser(tables), Expiry(tables, self._upkeep))
        self._poison_batch, self._poison = checkpoint.read_poison(spark, lake, stream.name)
        self._spark = spark
        self._lake = lake
        self._stream = stream
        self._read_offset = read_offset
        self._on_batch = on_batch
        self._ending = ending
        # True while the processor looks for poison rows, maintains or cleans tables: each may take minutes without task
        # progress.
        self.progress_is_hidden = False
        # The batch that is running, or that has failed.
        self.failed: FailedBatch | None = None

    def process(self, process: Process, rows: DataFrame, batch_id: int) -> None:
        """Process a micro-batch, unless all tables already have the batch.

        Args:
            process: result of the stream's `prepare`.
            rows: input rows.
            batch_id: id of the batch in the checkpoint.

        Raises:
            LakeError: another process has written a table.
        """
        if all(writer.is_committed(batch_id) for writer in self._writers.values()):
            return  # a kill came after the last commit of the batch, and before Spark's checkpoint recorded the batch
        began = time.monotonic()
        rows = self._without_restored(rows, batch_id)
        poison = self._poison if batch_id == self._poison_batch else ()
        self.failed = FailedBatch(batch_id)
        result = self._run(process, Batch(rows, batch_id, self._writers, poison))
        self.failed = None
        # Commits that only rearrange a table, such as compactions, arrive as batches without rows.
        if any(result.counts.values()):
            lag = None if result.landed is None else time.time() - result.landed
            self._on_batch(BatchReport(self._stream.name, batch_id, time.monotonic() - began, lag, result))
            self._clean(batch_id)

    def version(self, table: Table) -> int:
        """Return the version of a table that the stream writes.

        Raises:
            LakeError: another process has written the table.
        """
        return self._writers[table.name].current_version()

    def is_behind(self, batch: int, version: int) -> bool:
        """Return whether the micro-batch `batch` has not read all rows of its table up to `version`."""
        # The end offset has the first version that the batch has not read completely.
        return int(self._read_offset(batch)["reservoirVersion"]) <= version

    def due_maintenance(self) -> list[Maintenance]:
        """Return the maintenance that is due: applying erasures, deleting old rows, both, or none."""
        return [each for each in self._maintenance if each.is_due()]

    def maintain(self, due: Iterable[Maintenance]) -> None:
        """Run the maintenance that is due; no micro-batch of the stream may run meanwhile.

        Raises:
            LakeError: another process has written a table.
        """
        with self._hidden_progress():
            for each in due:
                each.run()

    def _clean(self, batch_id: int) -> None:
        if self._ending.is_set():
            return
        with self._hidden_progress():
            self._upkeep.run(batch_id)

    @contextmanager
    def _hidden_progress(self) -> Iterator[None]:
        self.progress_is_hidden = True
        try:
            yield
        finally:
            self.progress_is_hidden = False

    def _without_restored(self, rows: DataFrame, batch_id: int) -> DataFrame:
        if not self._stream.reads:
            return rows
        start = self._read_offset(batch_id - 1) if batch_id else None
        return without_restored(rows, self._lake, self._stream, start, self._read_offset(batch_id))

    def _run(self, process: Process, batch: Batch) -> BatchResult:
        try:
            return process.run(batch)
        except UserError:
            raise
        except Exception as error:
            marked_batch = self._mark_poison(process, batch, error)
            if marked_batch is None:
                raise
        return process.run(marked_batch)

    def _mark_poison(self, process: Process, batch: Batch, error: Exception) -> Batch | None:
        """Look for poison rows in a failed batch; return the batch with these rows marked, None without a new one.

        The rows are saved in the checkpoint: if the batch is repeated after a kill, it must leave out the same rows.
        """
        if process.find_poison is None or self._ending.is_set():
            return None
        _log.warning("stream %s batch %d has failed; reading its rows one by one", self._stream.name, batch.id)
        try:
            with self._hidden_progress():
                poison = process.find_poison(batch)
        except Exception as other:
            # The environment is at fault, not a row: the first error says more.
            _log.warning("stream %s: the rows cannot be read one by one: %s", self._stream.name, other)
            raise error from other
        known = {row.key for row in batch.poison}
        new = [row for row in poison if row.key not in known]
        for row in new:
            _log.error("stream %s batch %d: %s is left out: %s", self._stream.name, batch.id, row.key, row.cause)
        if not new:
            self.failed = FailedBatch(batch.id, self._describe_input(process, batch))
            return None
        self._poison_batch, self._poison = batch.id, (*batch.poison, *new)
        checkpoint.save_poison(self._spark, self._lake, self._stream.name, batch.id, self._poison)
        marked_batch = replace(batch, poison=self._poison)
        self.failed = FailedBatch(batch.id, self._describe_input(process, marked_batch))
        # The stream continues, but its status shows what is missing.
        left_out = f"left out, and the stream continues: {new[0].cause}"
        checkpoint.save_failure(
            self._spark, self._lake, Failure(self._stream.name, datetime.now(UTC), left_out, self.failed)
        )
        return marked_batch

    def _describe_input(self, process: Process, batch: Batch) -> str:
        try:
            return process.describe_input(batch) if process.describe_input else ""
        except Exception as error:
            # A description must not hide the failure that it describes.
            _log.warning(
                "stream %s batch %d: its input cannot be named: %s", self._stream.name, batch.id, first_line(error)
            )
            return ""
