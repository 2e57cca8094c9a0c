"""Finds the data files that may contain some values, by the statistics in the Delta log and without Spark."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable


def files_with(delta: DeltaTable, column: str, ranges: Iterable[tuple[str, str]]) -> list[str]:
    """Return the files that may have a value of a column in one of the ranges, as paths relative to the table.

    Args:
        delta: table, at the version to read.
        column: name of a column with strings.
        ranges: lowest and highest value of each range.
    """
    files = pa.table(delta.get_add_actions(flatten=True))
    if f"min.{column}" not in files.column_names:  # no file has statistics, or there is no file
        return [str(path) for path in files["path"].to_pylist()]
    lowest, highest = files[f"min.{column}"], files[f"max.{column}"]
    may_match = pc.or_(pc.is_null(lowest), pc.is_null(highest))
    for first, last in ranges:
        overlaps = pc.and_(pc.less_equal(lowest, last), pc.greater_equal(highest, first))
        may_match = pc.or_kleene(may_match, overlaps)
    return [str(path) for path in files["path"].filter(may_match).to_pylist()]
