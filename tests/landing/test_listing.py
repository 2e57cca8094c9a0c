"""Listings of folders find each file that lands, and do not read folders that have not changed."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from spark_apps.landing.landed_file import name_problem
from spark_apps.landing.listing import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "landing").mkdir()
    return tmp_path / "landing"


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each folder is added when it is read."""
    paths: list[str] = []
    scandir = os.scandir

    def recorded(path: str) -> Any:
        paths.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", recorded)
    return paths


def names(listing: Folder, after: float = 0.0) -> list[str]:
    return sorted(Path(file.uri).name for file in listing.files(after))


def write(path: Path, modified_at: float | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    if modified_at is not None:
        os.utime(path, (modified_at, modified_at))
    return path


def test_a_file_lands_when_it_is_moved_into_the_landing(folder: Path, tmp_path: Path) -> None:
    old = write(tmp_path / "old.json", modified_at=1_500_000_000)
    began = time.time() - 1
    old.rename(folder / "old.json")
    (file,) = Folder(str(folder)).files(began)
    assert began < file.landed_at <= time.time()
    assert (file.uri, file.size, file.problem) == (f"file:{folder}/old.json", 2, "")


def test_a_modification_time_in_the_future_is_not_the_landing_time(folder: Path) -> None:
    write(folder / "a.json", modified_at=4_000_000_000)
    (file,) = Folder(str(folder)).files(0.0)
    assert file.landed_at <= time.time()


def test_files_land_with_a_folder_that_is_moved_into_the_landing(folder: Path, tmp_path: Path) -> None:
    write(folder / "first.json")
    write(tmp_path / "archive/2019/a.json", modified_at=1_550_000_000)
    listing = Folder(str(folder))
    assert names(listing) == ["first.json"]
    time.sleep(0.05)
    after = time.time()
    time.sleep(0.05)
    (tmp_path / "archive").rename(folder / "archive")
    assert names(listing, after) == ["a.json"]
    assert names(listing, time.time()) == []


def test_folders_without_new_entries_are_not_read_again(folder: Path, scanned: list[str]) -> None:
    write(folder / "2026/01/a.json")
    write(folder / "2026/02/b.json")
    listing = Folder(str(folder))
    assert names(listing) == ["a.json", "b.json"]
    time.sleep(0.05)
    after = time.time()
    time.sleep(0.05)
    write(folder / "2026/02/c.json")
    scanned.clear()
    assert names(listing, after) == ["c.json"]
    assert scanned == [f"{folder}/2026/02"]

    scanned.clear()
    listing.forget()
    assert names(listing, after) == ["c.json"]
    assert len(scanned) == 4


def test_only_regular_files_are_listed_and_links_do_not_loop(folder: Path) -> None:
    target = write(folder / "a.json")
    (folder / "loop").symlink_to(folder)
    (folder / "gone.json").symlink_to(folder / "nothing")
    (folder / "this.json").symlink_to(folder / "that.json")
    (folder / "that.json").symlink_to(folder / "this.json")
    (folder / "link.json").symlink_to(target)
    os.mkfifo(folder / "pipe.json")
    assert names(Folder(str(folder))) == ["a.json", "link.json"]


def test_a_name_that_is_not_valid_utf8_is_listed(folder: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff.json"))).write_text("{}")
    (file,) = Folder(str(folder)).files(0.0)
    assert Path(file.uri.removeprefix("file:")).read_text() == "{}"


def test_a_folder_without_permission_is_reported_and_later_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "closed/a.json")
    listing = Folder(str(folder))
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if path.endswith("closed"):
            raise PermissionError(f"Permission denied: {path}")
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)  # the tests may run as root, which may read any folder
        (file,) = listing.files(0.0)
    assert (file.uri, file.problem) == (f"file:{folder}/closed", "unreadable")
    time.sleep(0.05)
    after = time.time()
    time.sleep(0.05)
    (folder / "closed").chmod(0o755)
    assert names(listing, after) == ["a.json"]


class _Refused:
    """An entry of a directory; this user may not read its status."""

    def __init__(self, entry: os.DirEntry[str], is_symlink: bool) -> None:
        self.path = entry.path
        self._is_symlink = is_symlink

    def is_symlink(self) -> bool:
        return self._is_symlink

    def is_dir(self) -> bool:
        raise PermissionError(f"Permission denied: {self.path}")


class _Entries(list[_Refused]):
    """The result of `os.scandir`."""

    def __enter__(self) -> "_Entries":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("is_symlink", "unreadable"), [(True, "closed/a.json"), (False, "closed")])
def test_an_entry_without_permission_is_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, is_symlink: bool, unreadable: str
) -> None:
    """A link may lead to a closed folder. Otherwise the folder itself is closed, with all its entries."""
    write(folder / "closed/a.json")
    write(folder / "b.json")
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if not path.endswith("closed"):
            return scandir(path)
        return _Entries(_Refused(entry, is_symlink) for entry in scandir(path))

    monkeypatch.setattr(os, "scandir", refuse)  # the tests may run as root, which may read any folder
    files = {file.uri: file.problem for file in Folder(str(folder)).files(0.0)}
    assert files == {f"file:{folder}/b.json": "", f"file:{folder}/{unreadable}": "unreadable"}


def test_a_landing_that_disappears_is_an_error(folder: Path) -> None:
    listing = Folder(str(folder))
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        list(listing.files(0.0))


@pytest.mark.parametrize(
    ("path", "age", "problem"),
    [
        ("a.json", 0, ""),
        ("_a.json", 0, ""),
        ("_folder/a.json", 0, ""),
        (".a.json", 0, None),
        (".a.json", 700, "hidden"),
        (".folder/a.json", 700, "hidden"),
        ("_SUCCESS", 700, None),
        ("_temporary/0/a.json", 700, None),
        (".a.json.crc", 700, None),
        (".DS_Store", 700, None),
        ("..data/a.json", 700, None),
    ],
)
def test_names_are_read_reported_or_ignored(path: str, age: float, problem: str | None) -> None:
    assert name_problem(path, 1000.0, 1000.0 + age) == problem
