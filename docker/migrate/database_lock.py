"""Wait for a Postgres database, and let one process at a time migrate it."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.exc import OperationalError

_log = logging.getLogger("migrate")
# Any number that no other program uses for an advisory lock: the lock of Airflow's own migrations has the number 1.
_LOCK = int.from_bytes(b"tweets", "big")
_POLL_SECONDS = 2.0


@contextmanager
def migrating(uri: str) -> Iterator[None]:
    """Hold the lock of the database while the body migrates it.

    Waits without a limit for the database, and for another process that migrates it. Postgres releases the lock when
    the process ends, however it ends.

    Args:
        uri: URI of the database, in the form of SQLAlchemy.

    Raises:
        SystemExit: a newer version has migrated the database. The message says what to do.
    """
    engine = create_engine(uri, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 10})
    with _connect(engine) as connection:
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
            _log.info("another process migrates the database: waiting until it has finished")
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        try:
            yield
        except CommandError as error:
            if "Can't locate revision" not in str(error):
                raise
            raise SystemExit(
                f"error: a newer version has migrated the database {engine.url.database} ({error}), which this version "
                "cannot use: upgrade to the newer version again, or restore a backup of the database (docs/backup.md)"
            ) from None


def _connect(engine: Engine) -> Connection:
    logged = ""
    while True:
        try:
            return engine.connect()
        except OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0]
            if reason != logged:
                _log.info("waiting for the database: %s", reason)
            logged = reason
            time.sleep(_POLL_SECONDS)


@event.listens_for(Engine, "connect")
def _notice_lost_clients(connection: Any, _: object) -> None:
    """Let Postgres end a connection to a lost node after a minute instead of two hours, and release its locks."""
    if type(connection).__module__.startswith("psycopg2"):
        with connection.cursor() as cursor:
            cursor.execute(
                "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"
            )
        connection.commit()
