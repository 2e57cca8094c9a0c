"""Writes that Delta refuses if another writer has committed to the table in the meantime.

The commits of all writers have one Delta transaction identifier. A transaction that depends on the identifier fails if
a commit with the identifier comes first. The commits of maintenance, such as compactions, have no identifier.

The public options `txnAppId` and `txnVersion` make a transaction depend on an identifier and look up its last version
as well. For the look-up, Delta rebuilds the state of the table in a Spark job before every write. A MERGE needs that
state anyway. All other writes therefore use the transaction itself: docs/decisions/0001 has the measurements.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from delta.exceptions import ConcurrentTransactionException
from delta.tables import DeltaMergeBuilder
from pyspark.sql import DataFrame, SparkSession

from spark_apps.errors import first_line

_APP_ID = "tweet-sentiment"


class ConflictError(Exception):
    """Another writer has committed to the table; Delta has refused the write."""


class Transaction:
    """A transaction on the newest version of a table, which depends on the commits of all writers."""

    def __init__(self, session: SparkSession, path: str) -> None:
        """Begin a transaction; `path` is a folder or an s3a:// URI."""
        self._jvm = cast(Any, session._jvm)
        self._session: Any = session._jsparkSession
        self._delta = self._jvm.org.apache.spark.sql.delta
        self._none = getattr(getattr(self._jvm.scala, "None$"), "MODULE$")
        self._log = self._delta.DeltaLog.forTable(self._session, path)
        self._snapshot = self._log.update(False, self._none, self._none)
        self._transaction = self._log.startTransaction(self._none, self._jvm.scala.Option.apply(self._snapshot))
        getattr(self._transaction.readTxn(), "$plus$eq")(_APP_ID)

    def write(
        self, rows: DataFrame, mode: str, options: Mapping[str, str], version: int, partition: Sequence[str] = ()
    ) -> None:
        """Write rows and commit, as `rows.write.format("delta")` does.

        Args:
            rows: rows with the columns of the table.
            mode: `Append` or `Overwrite`.
            options: options of Delta's writer.
            version: version of the transaction identifier, above the one of the commit before.
            partition: partition columns, if the write replaces them.

        Raises:
            ConflictError: another writer has committed since the transaction began; nothing was written.
        """
        none, conversions = self._none, self._jvm.org.apache.spark.api.python.PythonUtils
        save_mode = self._jvm.org.apache.spark.sql.SaveMode.valueOf(mode)
        columns = conversions.toSeq(list(partition))
        delta_options = self._delta.DeltaOptions(
            conversions.toScalaMap(dict(options)), self._session.sessionState().conf()
        )
        write = self._delta.commands.WriteIntoDelta(
            self._log,
            save_mode,
            delta_options,
            columns,
            self._snapshot.metadata().configuration(),
            rows._jdf,
            none,
            none,
            False,
        )
        operation = self._delta.DeltaOperations.Write(
            save_mode,
            self._jvm.scala.Option.apply(columns),
            delta_options.replaceWhere(),
            delta_options.userMetadata(),
            *[none] * 5,
        )
        self._transaction.updateSetTransaction(_APP_ID, version, none)
        with _conflicts():
            data = write.writeAndReturnCommitData(self._transaction, self._session, none, False)
            self._transaction.commit(data.actions(), operation, data.stringTags())


def execute_merge(
    merge: DeltaMergeBuilder, session: SparkSession, version: int, metadata: str, file_bytes: int
) -> None:
    """Execute a MERGE in a transaction that depends on the commits of all writers.

    Args:
        merge: complete MERGE into the table.
        session: session that the MERGE uses.
        version: version of the transaction identifier, above the one of the commit before.
        metadata: batch metadata of the commit.
        file_bytes: size of a compacted file.

    Raises:
        ConflictError: another writer has committed this version or a later one; nothing was written.
    """
    settings = {
        "spark.databricks.delta.write.txnAppId": _APP_ID,
        "spark.databricks.delta.write.txnVersion": str(version),
        "spark.databricks.delta.commitInfo.userMetadata": metadata,
        "spark.databricks.delta.autoCompact.maxFileSize": str(file_bytes),
    }
    with _settings(session, settings), _conflicts():
        result = merge.execute().collect()
    # Delta skips the MERGE if the version was committed before the MERGE began, and returns the number of rows if not.
    if not result:
        raise ConflictError(f"version {version} of the transaction identifier is already committed")


@contextmanager
def _settings(session: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    """Change settings of a session: a MERGE has no options, and the next write must not find its settings."""
    before: dict[str, str | None] = {name: session.conf.get(name, None) for name in settings}
    for name, value in settings.items():
        session.conf.set(name, value)
    try:
        yield
    finally:
        for name, original in before.items():
            if original is None:
                session.conf.unset(name)
            else:
                session.conf.set(name, original)


@contextmanager
def _conflicts() -> Iterator[None]:
    try:
        yield
    except ConcurrentTransactionException as error:
        raise ConflictError(first_line(error)) from error
