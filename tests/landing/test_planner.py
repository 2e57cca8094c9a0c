"""Planned batches have each landed file once, even if the process is killed at any moment."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from spark_apps import storage
from spark_apps.landing import discovery, log, planner, taken
from spark_apps.landing.discovery import ListDiscovery
from spark_apps.landing.landed_file import BEGINNING, LandedFile, Start
from spark_apps.landing.log import LandingLog, LandingLogError, LandingState
from spark_apps.landing.planner import LandingPlanner


class Landing:
    """A listing of files in memory."""

    def __init__(self) -> None:
        self.landed: list[LandedFile] = []
        self.listed = 0

    def land(self, name: str, landed_at: float | None = None, version: str = "1", size: int = 10) -> LandedFile:
        file = LandedFile(time.time() if landed_at is None else landed_at, f"file:/{name}", size, version)
        self.landed = [other for other in self.landed if other.uri != file.uri] + [file]
        return file

    def files(self, after: float) -> Iterator[LandedFile]:
        self.listed += 1
        return (file for file in self.landed if file.landed_at > after)

    def forget(self) -> None:
        pass


class Query:
    """Calls the planner like Spark: plans a batch, writes the offset, processes the batch, restarts after a kill."""

    def __init__(self, landing: Landing, folder: Path, reconcile_requested_at: float | None = None) -> None:
        self.landing = landing
        self.log = LandingLog(str(folder))
        self.offset = 0
        self.reconcile_requested_at = time.time() if reconcile_requested_at is None else reconcile_requested_at
        self.processed: list[LandedFile] = []
        self.restart()

    def restart(self) -> None:
        first = LandingState(reconcile_requested_at=self.reconcile_requested_at)
        self.planner = LandingPlanner(self.log, ListDiscovery(self.landing), self.offset, first)

    def run_batch(self, max_files: int = 1000, max_bytes: int = 1 << 30) -> list[str]:
        planned = self.planner.plan(self.offset, max_files, max_bytes, None)
        files = [file for number in range(self.offset + 1, planned + 1) for file in self.log.files(number)]
        self.offset = planned
        self.processed += files
        self.log.remove_before(planned)
        return [file.uri.removeprefix("file:/") for file in files]


@pytest.fixture
def landing() -> Landing:
    return Landing()


@pytest.fixture
def query(landing: Landing, tmp_path: Path) -> Query:
    return Query(landing, tmp_path)


def test_batches_are_bounded_by_files_and_by_bytes(landing: Landing, query: Query) -> None:
    for number, size in enumerate((10, 50, 60, 10, 10, 10)):
        landing.land(str(number), size=size)
    assert query.run_batch(max_bytes=55) == ["0"]
    assert query.run_batch(max_bytes=55) == ["1"]
    assert query.run_batch(max_bytes=55) == ["2"]  # a file over the limit is a batch of its own
    assert query.run_batch(max_files=2) == ["3", "4"]
    assert landing.listed == 1
    assert query.run_batch() == ["5"]
    assert query.run_batch() == []


def test_a_file_that_appears_late_is_read_and_an_old_one_is_left_to_the_reconciliation(
    landing: Landing, query: Query
) -> None:
    now = time.time()
    landing.land("new")
    assert query.run_batch() == ["new"]
    landing.land("late", now - 1800)
    assert query.run_batch() == ["late"]
    landing.land("years ago", now - 1e8)
    assert query.run_batch() == []


def test_a_changed_file_is_read_again_once_it_has_stopped_growing(landing: Landing, query: Query) -> None:
    landing.land("a", time.time() - 100)
    assert query.run_batch() == ["a"]
    landing.land("a", version="2")
    assert query.run_batch() == []
    landing.land("a", time.time() - 61, version="2")
    assert query.run_batch() == ["a"]
    assert query.run_batch() == []


def test_a_backlog_is_listed_in_parts_of_bounded_size(
    landing: Landing, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "_MAX_FOUND", 40)
    monkeypatch.setattr(taken, "_MAX_FILES", 50)
    now = time.time()
    for number in range(200):
        landing.land(f"{number:03}", now + number / 1000)
    read = [name for _ in range(20) for name in query.run_batch(max_files=10)]
    assert read == [f"{number:03}" for number in range(200)]
    assert landing.listed == 5
    assert query.run_batch() == []
    assert len(list(query.planner._state.taken)) <= 50


def test_many_files_are_forgotten_in_little_time() -> None:
    files = taken.TakenFiles(0.0, ((number, 0, float(number)) for number in range(taken._MAX_FILES)))
    began = time.process_time()
    files.shrink(1e9)
    assert time.process_time() - began < 1
    assert list(files) == []


def test_the_log_keeps_the_entries_that_a_restart_needs(landing: Landing, query: Query, tmp_path: Path) -> None:
    for number in range(250):
        landing.land(str(number))
        assert query.run_batch() == [str(number)]
    kept = sorted(int(path.stem) for path in tmp_path.glob("*.json"))
    assert kept == list(range(200, 251))
    query.restart()
    assert query.run_batch() == []
    with pytest.raises(LandingLogError, match=r"/7\.json is missing"):
        query.log.files(7)


def test_a_second_process_does_not_replace_a_plan(landing: Landing, query: Query, tmp_path: Path) -> None:
    """The second process has listed the landing before, and is stopped until the first one has planned a batch."""
    second = Query(landing, tmp_path)
    landing.land("a")
    assert query.run_batch() == ["a"]
    landing.land("b")
    with pytest.raises(LandingLogError, match=r"/1\.json was written by another process"):
        second.run_batch()
    # After a restart, it continues after all entries, even those that Spark's checkpoint does not have.
    assert query.run_batch() == ["b"]
    second.restart()
    assert second.run_batch() == ["a", "b"]
    assert second.run_batch() == []


@pytest.mark.parametrize("seed", range(4))
def test_kills_neither_lose_nor_repeat_a_file(landing: Landing, tmp_path: Path, seed: int) -> None:
    """Kill the process 50 times before or after each write to the log, and before Spark has written the offset."""
    choice = random.Random(seed)
    query = Query(landing, tmp_path)
    create = storage.create
    landed = 0
    for _ in range(50):
        for _ in range(choice.randrange(30)):
            landing.land(str(landed), time.time() - choice.random() * 3000)
            landed += 1
        with pytest.MonkeyPatch.context() as patch:
            moment = choice.choice(("before", "after", "offset"))

            def create_and_die(folder: str, name: str, data: bytes, moment: str = moment) -> None:
                if moment == "after":
                    create(folder, name, data)
                raise KeyboardInterrupt

            if moment == "offset":
                query.planner.plan(query.offset, 10, 1 << 30, None)
            else:
                landing.land(str(landed))  # without a new file, no entry is written
                landed += 1
                patch.setattr(storage, "create", create_and_die)
                with pytest.raises(KeyboardInterrupt):
                    query.run_batch(max_files=10)
        query.restart()
        query.run_batch(max_files=10)
    while query.run_batch():
        pass
    assert Counter(file.uri for file in query.processed) == Counter({f"file:/{name}": 1 for name in range(landed)})


class QueryOfLargeFiles(Query):
    """A query that reads ten bytes of each partly read file, and of the first three other files."""

    def __init__(self, landing: Landing, folder: Path) -> None:
        super().__init__(landing, folder)
        self.read: list[tuple[str, int]] = []
        self.committed = 0

    def run_batch(self, max_files: int = 1000, max_bytes: int = 1 << 30, kill: str = "") -> list[str]:
        number = self.planner.plan(self.offset, max_files, max_bytes, None)
        if number == self.offset:
            return []
        if kill == "before the offset":
            raise KeyboardInterrupt
        self.offset = number
        return self.process(kill)

    def process(self, kill: str = "") -> list[str]:
        """Process the batch of the last offset, unless it is committed."""
        files = self.log.files(self.offset)
        if self.committed < self.offset:
            waiting = [file for file in files if file.start == BEGINNING]
            read, rest = [file for file in files if file.start != BEGINNING] + waiting[:3], waiting[3:]
            rest += [
                replace(file, start=Start(0, file.start.position + 1, file.start.offset + 10))
                for file in read
                if file.start.offset + 10 < file.size
            ]
            self.log.write_rest(self.offset, rest)
            if kill == "before the commit":
                raise KeyboardInterrupt
            self.read += [(file.uri, file.start.position) for file in read]
            self.committed = self.offset
            if kill == "after the commit":
                raise KeyboardInterrupt
        return [file.uri.removeprefix("file:/") for file in files]


def test_the_rest_of_a_batch_comes_first_and_new_files_are_added(landing: Landing, tmp_path: Path) -> None:
    query = QueryOfLargeFiles(landing, tmp_path)
    landing.land("large", size=40)
    assert query.run_batch(max_bytes=15) == ["large"]
    landing.land("a")
    landing.land("b")
    assert query.run_batch(max_bytes=15) == ["large", "a"]
    assert query.run_batch(max_bytes=15) == ["large", "b"]
    landing.land("huge", size=1000)
    assert query.run_batch(max_bytes=15) == ["large", "huge"]
    for number in range(6):
        landing.land(f"{number}", size=5)
    assert query.run_batch(max_bytes=50) == ["huge", "0", "1", "2", "3", "4", "5"]
    landing.land("large too", size=40)
    # "3", "4" and "5" wait: a file that exceeds the limit together with them waits, too.
    assert query.run_batch(max_bytes=50) == ["3", "4", "5", "huge"]
    assert query.run_batch(max_bytes=50, max_files=1) == ["huge"]
    assert query.run_batch(max_bytes=50, max_files=2) == ["huge", "large too"]
    assert query.offset == 8


@pytest.mark.parametrize("seed", range(4))
def test_kills_between_the_parts_of_files_lose_and_repeat_none(landing: Landing, tmp_path: Path, seed: int) -> None:
    choice = random.Random(seed)
    query = QueryOfLargeFiles(landing, tmp_path)
    landed = {}
    for number in range(60):
        for name in range(choice.randrange(8)):
            file = landing.land(f"{number}-{name}", size=choice.choice([1, 10, 11, 60]))
            landed[file.uri] = -(-file.size // 10)
        try:
            query.run_batch(10, 100, choice.choice(["", "before the offset", "before the commit", "after the commit"]))
        except KeyboardInterrupt:
            # Spark repeats the last batch before it plans another one.
            if query.offset:
                query.process()
            query.restart()
    while query.run_batch():
        pass
    assert Counter(query.read) == Counter({(uri, part): 1 for uri in landed for part in range(landed[uri])})


def test_a_version_that_replaces_a_file_between_its_parts_is_new(landing: Landing, tmp_path: Path) -> None:
    query = QueryOfLargeFiles(landing, tmp_path)
    landing.land("a", time.time() - 200, size=30)
    assert query.run_batch() == ["a"]
    new = landing.land("a", time.time() - 100, version="2", size=30)
    query.restart()
    assert query.run_batch() == ["a", "a"]
    assert [file.version for file in query.log.files(2)] == ["1", "2"]
    query.restart()
    for _ in range(3):
        query.run_batch()
    assert query.run_batch() == []
    assert Counter(query.read)[new.uri, 0] == 2


def test_the_rest_of_a_recovered_checkpoint_is_read_once(landing: Landing, tmp_path: Path) -> None:
    query = QueryOfLargeFiles(landing, tmp_path)
    rest = LandedFile(1.0, "file:/a", 40, "1", "", Start(0, 2, 20))
    query.offset = query.committed = 7
    query.planner = LandingPlanner(
        query.log, ListDiscovery(landing), 7, LandingState(reconcile_requested_at=time.time()), [rest]
    )
    query.planner.plan(7, 10, 100, None)
    query.planner = LandingPlanner(
        query.log, ListDiscovery(landing), 7, LandingState(reconcile_requested_at=time.time()), [rest]
    )
    assert [query.run_batch() for _ in range(3)] == [["a"], ["a"], []]
    assert query.read == [(rest.uri, 2), (rest.uri, 3)]


def test_a_late_process_does_not_replace_the_rest_of_its_successor(landing: Landing, tmp_path: Path) -> None:
    """It was frozen in a batch, and goes on after another process has committed that batch and the next one."""
    query = QueryOfLargeFiles(landing, tmp_path)
    landing.land("large", size=40)
    for late in ([LandedFile(1.0, "file:/large", 40, "1", "", Start(0, 1, 10))], []):
        assert query.run_batch() == ["large"]
        LandingLog(str(tmp_path)).write_rest(query.offset - 1, late)
    assert query.run_batch() == query.run_batch() == ["large"]
    assert query.read == [("file:/large", part) for part in range(4)]


def test_missed_files_are_requested_daily_and_read_once(
    landing: Landing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = Query(landing, tmp_path, reconcile_requested_at=time.time() - 25 * 3600)
    landing.land("new")
    assert query.run_batch() == ["new"]
    assert query.log.requested_reconciliation() is None  # not before all new files are read
    before = query.offset
    assert query.run_batch() == []
    assert query.offset == before + 1  # a batch without files, in which Bronze answers the request
    request = query.log.requested_reconciliation()
    assert request is not None
    assert query.run_batch() == []
    assert query.offset == before + 1

    monkeypatch.setattr(planner, "MAX_MISSED", 3)
    query.log.write_missed(*request, [LandedFile(1.0, f"file:/missed-{number}", 1, "") for number in range(3)])
    assert query.run_batch(max_files=2) == ["missed-0", "missed-1"]
    query.restart()
    assert query.run_batch(max_files=2) == ["missed-2"]
    # The list was full: another reconciliation follows at once.
    assert query.run_batch() == []
    assert query.log.requested_reconciliation() is not None


def test_entries_of_the_log_are_plain_json(landing: Landing, query: Query, tmp_path: Path) -> None:
    file = landing.land("日本 \udcff.json")
    query.run_batch()
    assert json.loads((tmp_path / "1.json").read_text())["files"] == [[file.landed_at, file.uri, 10, "1", ""]]
    assert log.LandingLog(str(tmp_path)).files(1) == [file]
