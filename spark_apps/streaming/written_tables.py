"""The tables that a stream writes, with what their maintenance between the batches needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyspark.sql import SparkSession

from spark_apps.lake import cleanup
from spark_apps.lake.writer import TableWriter
from spark_apps.streaming import checkpoint
from spark_apps.streaming.stream import Stream
from spark_apps.tables import Table


@dataclass(frozen=True)
class WrittenTables:
    """The tables that a stream writes, in the driver that writes them: no other process may write them.

    Attributes:
        spark: session that runs the stream.
        lake: folder or s3a:// URI of the Delta tables and checkpoints.
        stream: stream that writes the tables.
        writers: writers of the tables, by the name of the table.
        retention: seconds for which replaced files and old versions of a table are kept.
    """

    spark: SparkSession
    lake: str
    stream: Stream
    writers: Mapping[str, TableWriter]
    retention: float

    def reader(self, table: Table) -> Callable[[], cleanup.Position | None] | None:
        """Return the function that reads the position of the stream that reads a table; None if no stream reads it."""
        return checkpoint.position_reader(self.spark, self.lake, table)

    def remove_files(self, table: Table) -> bool:
        """Remove the files that a table has not used for the retention.

        Returns:
            False if the stream that reads the table still needs the files.

        Raises:
            LakeError: the table is not readable.
        """
        return cleanup.remove_files(self.spark, self.lake, table, self.retention, self.reader(table))
