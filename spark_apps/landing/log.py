"""The write-ahead log of a landing: the files of each batch, so that a repeated batch reads the same files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from spark_apps import storage
from spark_apps.landing.landed_file import LandedFile
from spark_apps.landing.taken import TakenFiles

# Each n-th entry, and the first entry, has all files of recent batches: a start reads at most n entries.
_SNAPSHOT_INTERVAL = 100
# Prefix of the name of a file with the unread rest of a batch, followed by the number of its entry.
_REST = "rest-"
# Maximum length of the list of missed files. If more files were missed, another reconciliation follows.
MAX_MISSED = 50_000


class LandingLogError(Exception):
    """An entry of the log is missing, or another process has written it."""


@dataclass
class LandingState:
    """State of the planner after a batch.

    Attributes:
        taken: files of recent batches.
        reconcile_requested_at: when a comparison of the landing with Bronze was last requested, in Unix seconds.
        missed: name of the last list of missed files.
        missed_done: number of files of that list that are in batches.
    """

    taken: TakenFiles = field(default_factory=TakenFiles)
    reconcile_requested_at: float = 0.0
    missed: str = ""
    missed_done: int = 0


class LandingLog:
    """A folder in the checkpoint of Bronze, with an entry `<number>.json` for each batch; the first number is 1."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def has(self, number: int) -> bool:
        """Return whether an entry exists."""
        return self._read(str(number)) is not None

    def files(self, number: int) -> list[LandedFile]:
        """Return the files of an entry.

        Raises:
            LandingLogError: the entry does not exist.
        """
        entry = self._read(str(number))
        if entry is None:
            raise LandingLogError(
                f"{self.folder}/{number}.json is missing; it lists the files of a batch: delete the checkpoint of "
                "Bronze, and Bronze continues where its table ends"
            )
        return [*_files(entry, "rest"), *_files(entry)]

    def append(
        self, number: int, files: Sequence[LandedFile], state: LandingState, rest: Sequence[LandedFile] = ()
    ) -> None:
        """Write an entry, before its number reaches Spark's checkpoint.

        Args:
            number: number of the entry.
            files: files that the batch takes.
            state: state after the batch.
            rest: unread rest of the batch before.

        Raises:
            LandingLogError: another process has written the entry, with other files.
        """
        entry = {
            "rest": _to_json(rest),
            "files": _to_json(files),
            "cutoff": state.taken.cutoff,
            "reconciled_at": state.reconcile_requested_at,
            "missed": [state.missed, state.missed_done],
        }
        if number == 1 or number % _SNAPSHOT_INTERVAL == 0:
            entry["taken"] = list(state.taken)
        try:
            storage.create(self.folder, f"{number}.json", json.dumps(entry).encode())
        except FileExistsError as error:
            raise LandingLogError(
                f"{self.folder}/{number}.json was written by another process: stop one of the two, because only one "
                "process at a time may read a landing into a lake"
            ) from error

    def restore(self, end: int) -> LandingState | None:
        """Return the state after the entry `end`; None if the entry does not exist."""
        if not self.has(end):
            return None
        state = LandingState()
        for number in range(max(1, _snapshot(end)), end + 1):
            entry = self._read(str(number))
            if entry is None:  # a recovered checkpoint lacks the earlier entries
                continue
            if "taken" in entry:
                state.taken = TakenFiles(0.0, map(tuple, entry["taken"]))
            else:
                for file in _files(entry):
                    state.taken.add(file)
            state.taken.cutoff, state.reconcile_requested_at = entry["cutoff"], entry["reconciled_at"]
            state.missed, state.missed_done = entry["missed"]
        return state

    def remove_before(self, end: int) -> None:
        """Remove files of the log that neither a restart nor a repeated batch needs once entry `end` is processed."""
        if end % _SNAPSHOT_INTERVAL == 1:
            for name in storage.names(self.folder):
                number = name.removesuffix(".json").removeprefix(_REST)
                if number.isdecimal() and int(number) < _snapshot(end):
                    storage.delete(f"{self.folder}/{name}")

    def write_rest(self, number: int, files: Sequence[LandedFile]) -> None:
        """Write the unread rest of a batch, before the batch is committed.

        Each batch has a file of its own. A process that was frozen in a batch therefore does not replace the rest of a
        later batch, which another process has committed meanwhile.

        Args:
            number: number of the entry of the batch.
            files: files that the batch has not read, or not to their end.
        """
        if files:
            self._write(f"{_REST}{number}", {"files": _to_json(files)})
        else:
            storage.delete(f"{self.folder}/{_REST}{number}.json")

    def rest(self, number: int) -> list[LandedFile]:
        """Return the unread rest of the batch of an entry."""
        entry = self._read(f"{_REST}{number}")
        return [] if entry is None else _files(entry)

    def request_reconciliation(self, name: str, before: float) -> None:
        """Ask Bronze to compare the landing with its table.

        Args:
            name: name of the list of missed files to write.
            before: only files that landed before this time, in Unix seconds, can be missed.
        """
        self._write("reconciliation", {"name": name, "before": before})

    def requested_reconciliation(self) -> tuple[str, float] | None:
        """Return the arguments of the last request; None if `write_missed` has answered it."""
        request = self._read("reconciliation")
        return None if request is None else (request["name"], request["before"])

    def write_missed(self, name: str, before: float, files: Sequence[LandedFile]) -> None:
        """Answer a request with the list of missed files, which replaces the previous list."""
        self._write("missed", {"name": name, "before": before, "files": _to_json(files)})
        storage.delete(f"{self.folder}/reconciliation.json")

    def missed(self) -> tuple[str, float, list[LandedFile]]:
        """Return the arguments of the last `write_missed`; before the first, the name is ""."""
        entry = self._read("missed")
        return ("", 0.0, []) if entry is None else (entry["name"], entry["before"], _files(entry))

    def _read(self, name: str) -> Any:
        data = storage.read(f"{self.folder}/{name}.json")
        return None if data is None else json.loads(data)

    def _write(self, name: str, entry: Any) -> None:
        storage.put(self.folder, f"{name}.json", json.dumps(entry).encode())


def _snapshot(number: int) -> int:
    return number // _SNAPSHOT_INTERVAL * _SNAPSHOT_INTERVAL


def _to_json(files: Sequence[LandedFile]) -> list[list[Any]]:
    return [file.to_json() for file in files]


def _files(entry: Any, name: str = "files") -> list[LandedFile]:
    # Entries of an earlier version have no rest.
    return [LandedFile.from_json(file) for file in entry.get(name, ())]
