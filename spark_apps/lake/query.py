"""SQL over the Delta tables of a lake, run by DataFusion without Spark.

Statements are constants. Values reach a statement only as its parameters `$1`, `$2`, and so on. The QueryBuilder of
deltalake has no bindings, so each statement is prepared, and `literal` renders the values for EXECUTE.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any, Self

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError

from spark_apps.errors import first_line
from spark_apps.lake.commits import LakeError, open_table
from spark_apps.tables import Table

Value = str | int | date | datetime | timedelta | Sequence[str] | None


class Statement:
    """A SELECT statement with the SQL types of its parameters $1, $2, …"""

    def __init__(self, sql: str, *types: str) -> None:
        # DataFusion infers the type of a parameter only if the parameter is compared with a column.
        self.sql, self.types = sql, types


class LakeQuery:
    """SQL over a snapshot of several Delta tables."""

    def __init__(self, tables: Mapping[str, DeltaTable], paths: Sequence[str] = ()) -> None:
        """Register each table under its SQL name; error messages name `paths`."""
        self.tables = tables
        self._paths = ", ".join(paths)
        self._numbers = count()
        self._builder = QueryBuilder()
        for name, delta in tables.items():
            self._builder.register(name, delta)

    @classmethod
    def open(cls, lake: str, **tables: Table) -> Self | None:
        """Open tables of `lake`, each under the SQL name of its keyword; return None if a table does not exist.

        Raises:
            LakeError: a table exists but is not readable.
        """
        opened: dict[str, DeltaTable] = {}
        for name, table in tables.items():
            delta = open_table(lake, table)
            if delta is None:
                return None
            opened[name] = delta
        return cls(opened, [table.path(lake) for table in tables.values()])

    def create_view(self, sql: str) -> None:
        """Run a CREATE VIEW statement; later statements can read the view."""
        self._builder.execute(sql)

    def set_batch_rows(self, rows: int) -> None:
        """Set the number of rows that DataFusion processes at once, 8,192 by default; large values need few rows."""
        self._builder.execute(f"SET datafusion.execution.batch_size = {rows:d}")

    def arrow(self, statement: Statement, *values: Value) -> pa.Table:
        """Run `statement` with `values` as its parameters and return the result.

        Raises:
            LakeError: a data file is missing or not readable, or a column does not exist.
        """
        name = f"statement_{next(self._numbers)}"
        types = f"({', '.join(statement.types)})" if statement.types else ""
        try:
            self._builder.execute(f"PREPARE {name} {types} AS {statement.sql}")
            result = pa.table(self._builder.execute(f"EXECUTE {name} ({', '.join(map(literal, values))})"))
        except (DeltaError, OSError, pa.ArrowException) as error:
            cause = first_line(error)
            raise LakeError(
                f"{self._paths} cannot be read: {cause}: check that the table is intact and readable"
            ) from error
        return result

    def rows(self, statement: Statement, *values: Value) -> list[dict[str, Any]]:
        """Return the result of `arrow` as a list of dicts."""
        rows: list[dict[str, Any]] = self.arrow(statement, *values).to_pylist()
        return rows


def literal(value: Value) -> str:
    """Render a value as a SQL literal.

    In DataFusion's dialect, a doubled quote is the only escape in a string; a backslash is an ordinary character. A
    datetime needs a time zone and a year from 1678 to 2261, because DataFusion reads timestamp literals in nanoseconds.
    """
    match value:
        case None:
            return "NULL"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case int():
            return str(int(value))
        case datetime():
            if value.tzinfo is None:
                raise ValueError(f"{value!r} has no time zone: pass an aware datetime")
            return f"TIMESTAMP '{value.astimezone(UTC).isoformat(timespec='microseconds')}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case timedelta():
            return f"INTERVAL '{value.total_seconds():.6f} seconds'"
        case _:
            return f"make_array({', '.join(map(literal, value))})"
