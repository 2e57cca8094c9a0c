"""Processes the micro-batches of one stream: each batch once, and without poison rows."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from spark_apps.errors import UserError
from spark_apps.lake.writer import TableWriter
from spark_apps.streaming import checkpoint
from spark_apps.streaming.erasing import Eraser
from spark_apps.streaming.recovery import recover_checkpoint
from spark_apps.streaming.stream import Batch, BatchReport, BatchResult, Process, Stream
from spark_apps.streaming.upkeep import Upkeep

_log = logging.getLogger(__name__)


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
        recover_checkpoint(spark, lake, stream)
        checkpoint_id = checkpoint.ensure_identity(spark, lake, stream)
        app_id = f"{stream.name}:{checkpoint_id}"
        # Each table of a batch needs the same offset: read it once.
        read_offset = lru_cache(maxsize=1)(partial(checkpoint.read_offset, spark, lake, stream.name))

        def position(batch: int) -> Any:
            end = read_offset(batch)
            return None if end is None else stream.position(end)

        self._writers = {table.name: TableWriter(lake, table, stream.name, app_id, position) for table in stream.writes}
        self._eraser = Eraser(spark, lake, stream, self._writers, retention)
        self._upkeep = Upkeep(spark, lake, stream, self._writers, app_id, retention)
        self._poison_batch, self._poison = checkpoint.read_poison(spark, lake, stream.name)
        self._spark = spark
        self._lake = lake
        self._stream = stream.name
        self._on_batch = on_batch
        self._ending = ending
        # True while the processor looks for poison rows, applies erasures or cleans tables: each may take minutes
        # without task progress.
        self.progress_is_hidden = False

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
        poison = self._poison if batch_id == self._poison_batch else ()
        result = self._run(process, Batch(rows, batch_id, self._writers, poison))
        # Commits that only rearrange a table, such as compactions, arrive as batches without rows.
        if any(result.counts.values()):
            lag = None if result.landed is None else time.time() - result.landed
            self._on_batch(BatchReport(self._stream, batch_id, time.monotonic() - began, lag, result))
            self._clean(batch_id)

    def must_erase(self) -> bool:
        """Return whether it is time to apply pending erasures."""
        return self._eraser.is_due()

    def erase(self) -> None:
        """Apply the pending erasures to the tables of the stream; no micro-batch of the stream may run meanwhile.

        Raises:
            LakeError: another process has written a table.
        """
        with self._hidden_progress():
            self._eraser.run()

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
        _log.warning("stream %s batch %d has failed; reading its rows one by one", self._stream, batch.id)
        try:
            with self._hidden_progress():
                poison = process.find_poison(batch)
        except Exception as other:
            # The environment is at fault, not a row: the first error says more.
            _log.warning("stream %s: the rows cannot be read one by one: %s", self._stream, other)
            raise error from other
        known = {row.key for row in batch.poison}
        new = [row for row in poison if row.key not in known]
        for row in new:
            _log.error("stream %s batch %d: %s is left out: %s", self._stream, batch.id, row.key, row.cause)
        if not new:
            return None
        self._poison_batch, self._poison = batch.id, (*batch.poison, *new)
        checkpoint.save_poison(self._spark, self._lake, self._stream, batch.id, self._poison)
        return replace(batch, poison=self._poison)
