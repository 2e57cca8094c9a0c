"""Finds the version of a table up to which a stream has read it."""

from typing import Any

from spark_apps.lake.commits import Commit, batch_commits, open_existing_table
from spark_apps.tables import Table


def version_read(lake: str, table: Table, offset: Any) -> int | None:
    """Return the newest version of a table that has exactly the rows which a stream has read.

    Later commits of maintenance and erasures, which add no rows, count as read.

    Args:
        lake: folder or s3a:// URI of the Delta tables.
        table: table that the stream reads.
        offset: end offset of the last batch of the stream, as JSON.

    Returns:
        None if the stream has read only a part of the rows of a version.
    """
    if offset["index"] >= 0 or offset["isStartingVersion"]:
        return None
    delta, read = open_existing_table(lake, table), int(offset["reservoirVersion"]) - 1
    unread = [commit.version for commit in batch_commits(delta, read) if _has_new_rows(commit)]
    return min(unread) - 1 if unread else delta.version()


def _has_new_rows(commit: Commit) -> bool:
    return commit.metadata.counts.get("rows", 0) > 0
