"""Finds the files that a RESTORE has put back into a table.

A stream that reads the table has read their rows before. It skips a RESTORE that removes files, but it would read the
files of a RESTORE that only adds some: one that undoes a deletion, or another RESTORE.
"""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from spark_apps import storage
from spark_apps.tables import Table

# A batch that catches up reads the rows of many commits: on S3, each entry of the log is a request. The client has ten
# connections.
_READERS = 8


@dataclass(frozen=True)
class RestoredFiles:
    """The files that some commits of a table put back, by their names, which are unique.

    Attributes:
        read_before: files that an earlier commit has added.
        added_too: files that another of these commits has added.
    """

    read_before: frozenset[str]
    added_too: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.read_before or self.added_too)


def restored_files(lake: str, table: Table, versions: Iterable[int]) -> RestoredFiles:
    """Return the files that RESTORE has put back in some versions of a table, in commits that streams do not skip."""
    added, restored = set[str](), set[str]()
    log = f"{table.path(lake)}/_delta_log"
    with ThreadPoolExecutor(_READERS) as readers:
        entries = list(readers.map(lambda version: storage.read(f"{log}/{version:020}.json") or b"", versions))
    for entry in entries:
        actions = [json.loads(line) for line in entry.splitlines() if line.startswith((b'{"add"', b'{"commitInfo"'))]
        names = {action["add"]["path"].rpartition("/")[2] for action in actions if "add" in action}
        is_restore = any(action.get("commitInfo", {}).get("operation") == "RESTORE" for action in actions)
        if not is_restore:
            added |= names
        elif b'{"remove"' not in entry:
            restored |= names
    return RestoredFiles(frozenset(restored - added), frozenset(restored & added))
