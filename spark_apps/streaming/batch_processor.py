"""Processes the micro-batches of one stream: each one once, and without the rows that end their task."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from spark_apps.errors import UserError
from spark_apps.lake.writer import TableWriter
from spark_apps.streaming import checkpoint
from spark_apps.streaming.recovery import recover_checkpoint
from spark_apps.streaming.stream import Batch, BatchReport, BatchResult, Process, Stream
from spark_apps.streaming.upkeep import Upkeep

_log = logging.getLogger(__name__)


class BatchProcessor:
    """Processes the micro-batches of one stream, in a run of its query."""

    def __init__(
        self,
        spark: SparkSession,
        lake: str,
        stream: Stream,
        on_batch: Callable[[BatchReport], None],
        ending: threading.Event,
        retention: float,
    ) -> None:
        """Open the tables that the stream writes, and read what its checkpoint says about the next batch.

        Args:
            spark: session that runs the query.
            lake: folder or s3a:// URI of the Delta tables and checkpoints.
            stream: stream to process; its tables must exist.
            on_batch: called after each micro-batch with input rows.
            ending: set before the query is stopped, which interrupts the running batch.
            retention: seconds for which replaced files and old versions of a table are kept.

        Raises:
            LakeError: the checkpoint does not fit to the tables, or a table is not readable.
        """
        recover_checkpoint(spark, lake, stream)
        checkpoint_id = checkpoint.ensure_identity(spark, lake, stream.name, stream.reads + stream.writes)
        app_id = f"{stream.name}:{checkpoint_id}"
        # The tables of a batch share one read of its offset.
        offset = lru_cache(maxsize=1)(partial(checkpoint.read_offset, spark, lake, stream.name))

        def position(batch: int) -> Any:
            end = offset(batch)
            return None if end is None else stream.position(end)

        self._writers = {table.name: TableWriter(lake, table, stream.name, app_id, position) for table in stream.writes}
        self._upkeep = Upkeep(spark, lake, stream, self._writers, app_id, retention)
        self._poison_batch, self._poison = checkpoint.read_poison(spark, lake, stream.name)
        self._spark = spark
        self._lake = lake
        self._stream = stream.name
        self._on_batch = on_batch
        self._ending = ending
        # Whether it works without tasks that make progress: it looks for rows that end their task, or cleans tables.
        self.is_silent = False

    def process(self, process: Process, rows: DataFrame, batch_id: int) -> None:
        """Process a micro-batch, unless it was committed before a kill."""
        if all(writer.is_committed(batch_id) for writer in self._writers.values()):
            return  # a kill came between the batch's last commit and the checkpoint
        began = time.monotonic()
        poison = self._poison if batch_id == self._poison_batch else ()
        result = self._run(process, Batch(rows, batch_id, self._writers, poison))
        # Commits that only rearrange a table, such as compactions, arrive as batches without rows.
        if any(result.counts.values()):
            lag = None if result.landed is None else time.time() - result.landed
            self._on_batch(BatchReport(self._stream, batch_id, time.monotonic() - began, lag, result))
            self._clean(batch_id)

    def _clean(self, batch_id: int) -> None:
        if self._ending.is_set():
            return
        self.is_silent = True
        try:
            self._upkeep.run(batch_id)
        finally:
            self.is_silent = False

    def _run(self, process: Process, batch: Batch) -> BatchResult:
        try:
            return process.run(batch)
        except UserError:
            raise
        except Exception as error:
            isolated = self._isolate(process, batch, error)
            if isolated is None:
                raise
        return process.run(isolated)

    def _isolate(self, process: Process, batch: Batch, error: Exception) -> Batch | None:
        """Look for the rows that have ended a task; return the batch with these rows marked, None if there are none.

        The rows are saved in the checkpoint: a repeated batch must leave out the same rows.
        """
        if process.find_poison is None or self._ending.is_set():
            return None
        _log.warning("stream %s batch %d: a task has failed; reading its rows one by one", self._stream, batch.id)
        self.is_silent = True
        try:
            known = {row.key for row in batch.poison}
            found = [row for row in process.find_poison(batch) if row.key not in known]
        except Exception as other:
            # Without a cause in the rows, the first error says more.
            _log.warning("stream %s: the rows cannot be read one by one: %s", self._stream, other)
            raise error from other
        finally:
            self.is_silent = False
        for row in found:
            _log.error("stream %s batch %d: %s is left out: %s", self._stream, batch.id, row.key, row.cause)
        if not found:
            return None
        self._poison_batch, self._poison = batch.id, (*batch.poison, *found)
        checkpoint.save_poison(self._spark, self._lake, self._stream, batch.id, self._poison)
        return replace(batch, poison=self._poison)
