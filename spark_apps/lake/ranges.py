"""Conditions that let Delta skip files by the statistics in its log."""

from collections.abc import Iterable

from pyspark.sql import Column
from pyspark.sql import functions as F

# With a condition for each of thousands of days, Spark fails to compile the query.
_MAX_RANGES = 32


def join_ranges(ranges: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join neighbours among `ranges` (lowest and highest value) until at most 32 ranges are left."""
    ordered = sorted(ranges)
    size = max(1, -(-len(ordered) // _MAX_RANGES))
    groups = (ordered[start : start + size] for start in range(0, len(ordered), size))
    return [(group[0][0], max(highest for _, highest in group)) for group in groups]


def in_ranges(column: str, ranges: Iterable[tuple[str, str]], type_: str = "string") -> Column:
    """Return the condition that a column of the SQL type `type_` is in one of `ranges`, or in a gap that joins them."""
    condition = F.lit(False)
    for lowest, highest in join_ranges(ranges):
        condition |= F.col(column).between(F.lit(lowest).cast(type_), F.lit(highest).cast(type_))
    return condition
