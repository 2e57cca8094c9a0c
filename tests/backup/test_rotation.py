"""A place keeps some backups of a lake: the newest ones, and always a complete one."""

from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from spark_apps import storage
from spark_apps.backup import copying, manifest, rotation
from spark_apps.backup.copying import BackupError
from spark_apps.lake.backup import back_up, restore
from spark_apps.lake.commits import LakeError
from spark_apps.tables import GOLD_MENTIONS, GOLD_TRENDS
from tests.lake.test_backup import write


@pytest.fixture
def lake(tmp_path: Path) -> str:
    lake = str(tmp_path / "lake")
    write(lake, GOLD_TRENDS, GOLD_MENTIONS)
    return lake


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "backups")


def next_state(lake: str, place: str, keep: int) -> int:
    """Commit to the lake and back it up; return the number of copied files."""
    write(lake, GOLD_TRENDS)
    return back_up(lake, place, keep).copied


def kept(place: str) -> dict[str, int]:
    """Return the version of gold/trends in each backup by the folder, newest first."""
    return {Path(folder).name: found.versions[GOLD_TRENDS.name] for folder, found in rotation.backups(place).items()}


def restored_version(place: str, lake: Path) -> int:
    restore(place, str(lake))
    return DeltaTable(GOLD_TRENDS.path(str(lake))).version()


def test_the_oldest_backup_is_brought_up_to_date(lake: str, place: str, tmp_path: Path) -> None:
    copied = [next_state(lake, place, keep=3) for _ in range(5)]
    assert kept(place) == {"2": 5, "1": 4, "3": 3}
    # Of each commit one data file and one entry of the log; the third backup is the first with all files of five.
    assert copied == [6, 8, 10, 6, 6]
    assert restored_version(place, tmp_path / "newest") == 5
    assert restored_version(f"{place}/3", tmp_path / "chosen") == 3


def test_fewer_backups_are_kept_from_the_next_one_on(lake: str, place: str) -> None:
    for _ in range(4):
        next_state(lake, place, keep=4)
    next_state(lake, place, keep=2)
    assert list(kept(place).values()) == [5, 4]
    assert {path.partition("/")[0] for path in storage.paths(place)} == set(kept(place))


def test_other_folders_of_the_place_are_left_alone(lake: str, place: str) -> None:
    for name in ("photos/1.jpg", "2024/taxes.txt"):
        storage.put(place, name, b"mine")
    for _ in range(3):
        next_state(lake, place, keep=1)
    assert list(kept(place)) == ["1"]
    assert {"photos/1.jpg", "2024/taxes.txt"} < set(storage.paths(place))
    with pytest.raises(BackupError, match=r"backups is not a backup \(.*, but no backup.json\)"):
        back_up(lake, place)
    storage.put(f"{place}/other", "1/file", b"mine")
    with pytest.raises(BackupError, match=r"other/1 is not a backup \(file, but no backup.json\)"):
        back_up(lake, f"{place}/other", keep=2)
    back_up(lake, f"{place}/single")
    with pytest.raises(BackupError, match="single is a single backup, made without --keep: pass another place"):
        back_up(lake, f"{place}/single", keep=2)


@pytest.mark.parametrize("keep", [1, 2])
@pytest.mark.parametrize("number", range(9))
def test_a_kill_leaves_the_newest_complete_backup(
    lake: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: int, number: int
) -> None:
    """The process ends before one of its writes or deletions."""
    for _ in range(keep):
        next_state(lake, place, keep)
    write(lake, GOLD_TRENDS, mode="overwrite")  # the update removes files
    writes = count()

    def kill_before_last(write: Callable[..., None], *arguments: Any) -> None:
        if next(writes) == number:
            raise KeyboardInterrupt
        write(*arguments)

    is_killed = False
    with monkeypatch.context() as patch:
        patch.setattr(copying, "_THREADS", 1)
        for name in ("put", "put_stream", "delete"):
            patch.setattr(storage, name, partial(kill_before_last, getattr(storage, name)))
        try:
            back_up(lake, place, keep)
        except KeyboardInterrupt:
            is_killed = True
    assert is_killed == (number < next(writes))
    newest = next(iter(kept(place).values()))
    assert newest in {keep, keep + 1}
    assert restored_version(place, tmp_path / "restored") == newest
    for version in range(keep + 2, 2 * keep + 2):
        next_state(lake, place, keep)
        assert next(iter(kept(place).values())) == version
    assert len(kept(place)) == keep
    # Each backup was updated, and has no file that the interruption has left.
    assert {f"{place}/{path}" for path in storage.paths(place)} == {
        f"{folder}/{name}"
        for folder, found in rotation.backups(place).items()
        for name in (*found.files, "backup.json")
    }


def test_a_new_lake_does_not_replace_the_backups_of_a_lost_one(lake: str, place: str, tmp_path: Path) -> None:
    """The volume of the lake was lost, and the streams have started on an empty one."""
    for _ in range(2):
        next_state(lake, place, keep=2)
    empty = str(tmp_path / "empty")
    write(empty, GOLD_TRENDS, GOLD_MENTIONS)
    with pytest.raises(LakeError, match=r"backups/1 has other commits of gold/"):
        back_up(empty, place, keep=2)
    assert list(kept(place).values()) == [2, 1]


def test_a_place_without_a_complete_backup_is_refused(place: str, tmp_path: Path) -> None:
    manifest.open_backup("lake", f"{place}/1")
    with pytest.raises(BackupError, match="has none: check --from"):
        restore(place, str(tmp_path / "restored"))
