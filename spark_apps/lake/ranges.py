"""Conditions that let Delta skip files by the statistics in its log."""

from collections.abc import Iterable

# With a condition for each of thousands of days, Spark fails to compile the query.
_MAX_RANGES = 32


def join_ranges(ranges: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return at most 32 ranges that contain `ranges` (lowest and highest value): neighbours are joined."""
    ordered = sorted(ranges)
    size = max(1, -(-len(ordered) // _MAX_RANGES))
    groups = (ordered[start : start + size] for start in range(0, len(ordered), size))
    return [(group[0][0], max(highest for _, highest in group)) for group in groups]
