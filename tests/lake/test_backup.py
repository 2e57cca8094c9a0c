"""A backup holds exactly the files of one state, survives interruptions, and is checked when it is restored."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from spark_apps import storage
from spark_apps.backup import manifest
from spark_apps.backup.copying import BackupError
from spark_apps.cli.main import app
from spark_apps.lake import backup as backup_module
from spark_apps.lake.backup import back_up, restore
from spark_apps.lake.commits import LakeError
from spark_apps.lake.status import read_status
from spark_apps.tables import GOLD_MENTIONS, GOLD_TRENDS, Table
from tests import process
from tests.s3_server import S3Server


def write(lake: str, *tables: Table, mode: str = "append") -> None:
    """Commit one row to each table."""
    for table in tables:
        write_deltalake(table.path(lake), pa.table({"number": [1]}), mode=mode)  # type: ignore[call-overload]


def versions(lake: str) -> dict[str, int | None]:
    return {name: table.version for name, table in read_status(lake).tables.items() if table.exists}


@pytest.fixture
def lake(tmp_path: Path) -> str:
    lake = str(tmp_path / "lake")
    write(lake, *2 * (GOLD_TRENDS, GOLD_MENTIONS))
    return lake


@pytest.fixture
def target(tmp_path: Path) -> str:
    return str(tmp_path / "backup")


def test_a_backup_is_updated_with_new_files_only(lake: str, target: str) -> None:
    first = back_up(lake, target)
    assert (first.versions, first.files, first.copied) == ({GOLD_TRENDS.name: 1, GOLD_MENTIONS.name: 1}, 8, 8)
    write(lake, GOLD_TRENDS)
    second = back_up(lake, target)
    assert (second.versions, second.files, second.copied) == ({GOLD_TRENDS.name: 2, GOLD_MENTIONS.name: 1}, 10, 2)
    write(lake, GOLD_TRENDS, mode="overwrite")
    third = back_up(lake, target)
    # Of five files of gold/trends with its log, one data file replaced three.
    assert (third.files, third.copied) == (9, 2)
    assert len(set(storage.paths(target))) == third.files + 1


def test_an_unfinished_rescore_is_in_the_backup_until_it_is_finished(lake: str, target: str) -> None:
    unfinished = Path(lake, "checkpoints", "rescore.json")
    unfinished.parent.mkdir()
    unfinished.write_text("{}")
    unfinished.with_name("gold.error.json").write_text("{}")
    (unfinished.parent / "gold").mkdir()
    (unfinished.parent / "gold" / "metadata").touch()
    back_up(lake, target)
    in_checkpoints = {path for path in storage.paths(target) if path.startswith("checkpoints/")}
    assert in_checkpoints == {"checkpoints/rescore.json"}
    unfinished.unlink()
    back_up(lake, target)
    assert not any(path.startswith("checkpoints/") for path in storage.paths(target))


def test_an_interrupted_backup_leaves_the_one_before_intact(
    lake: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(lake, target)
    write(lake, GOLD_TRENDS, GOLD_MENTIONS)
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "complete", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            back_up(lake, target)
    restore(target, str(tmp_path / "restored"))
    assert versions(str(tmp_path / "restored")) == {GOLD_TRENDS.name: 1, GOLD_MENTIONS.name: 1}
    # A restored lake writes other commits with the names of those that were copied last.
    write(str(tmp_path / "restored"), GOLD_TRENDS)
    back_up(str(tmp_path / "restored"), target)
    restore(target, str(tmp_path / "again"))
    assert versions(str(tmp_path / "again")) == {GOLD_TRENDS.name: 2, GOLD_MENTIONS.name: 1}


def test_an_interrupted_first_backup_is_repeated(lake: str, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(backup_module, "_check_versions", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            back_up(lake, target)
    with pytest.raises(BackupError, match="is not a complete backup"):
        restore(target, f"{lake}-restored")
    assert back_up(lake, target).copied == 8


def test_a_file_of_the_lake_that_vanishes_ends_the_backup(lake: str, target: str) -> None:
    (data, *_) = Path(lake, GOLD_TRENDS.name).glob("part-*")
    data.unlink()
    with pytest.raises(LakeError, match=rf"{data.name} was removed during the backup: run the command again"):
        back_up(lake, target)


def test_a_backup_of_another_history_is_refused(lake: str, target: str, tmp_path: Path) -> None:
    older, restored = str(tmp_path / "older"), str(tmp_path / "restored")
    back_up(lake, older)
    write(lake, GOLD_TRENDS)
    back_up(lake, target)
    restore(older, restored)
    write(restored, GOLD_TRENDS)
    with pytest.raises(LakeError, match=r"has other commits of gold/trends .* as --to, or delete .*backup if you"):
        back_up(restored, target)


@pytest.mark.parametrize("change", [b"", None])
def test_a_damaged_backup_is_not_restored(lake: str, target: str, change: bytes | None) -> None:
    back_up(lake, target)
    (data, *_) = Path(target, GOLD_TRENDS.name).glob("part-*")
    data.unlink() if change is None else data.write_bytes(change)
    with pytest.raises(BackupError, match=rf"{data.name} is missing or damaged: delete .*-restored, and restore"):
        restore(target, f"{lake}-restored")
    assert not any(table.exists for table in read_status(f"{lake}-restored").tables.values())


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    return " ".join(result.stderr.split())


def test_wrong_places_are_refused(lake: str, target: str, tmp_path: Path) -> None:
    assert "absent does not exist: check --lake" in refused(
        "backup", "--lake", str(tmp_path / "absent"), "--to", target
    )
    assert "lake is not a backup (gold/" in refused("backup", "--lake", lake, "--to", lake)
    (tmp_path / "empty").mkdir()
    assert "empty has no tables: check --lake" in refused("backup", "--lake", str(tmp_path / "empty"), "--to", target)
    assert "lake is not a complete backup" in refused("restore", "--from", lake, "--lake", str(tmp_path / "restored"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "backup.json").write_text('{"of": "photos"}')
    assert "backup.json was not written by this program" in refused(
        "backup", "--lake", lake, "--to", f"{tmp_path}/other"
    )
    back_up(lake, target)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "checkpoint").touch()
    error = refused("restore", "--from", target, "--lake", str(tmp_path / "old"))
    assert "old is not empty (checkpoint): stop the streams, and delete it or pass another --lake" in error


@pytest.fixture
def s3() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


def test_a_lake_moves_from_a_folder_to_s3_and_back(lake: str, tmp_path: Path, s3: S3Server) -> None:
    """In processes of their own, because deltalake holds the interpreter's lock of the server."""

    def run(*arguments: str) -> dict[str, object]:
        done = process.run(*arguments, "--json", env=s3.environment)
        assert done.returncode == 0, done.stderr
        result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return result

    assert run("backup", "--lake", lake, "--to", "s3a://lake/backup")["copied"] == 8
    write(lake, GOLD_TRENDS)
    assert run("backup", "--lake", lake, "--to", "s3a://lake/backup/")["copied"] == 2
    run("restore", "--from", "s3a://lake/backup", "--lake", "s3a://lake/restored")
    run("backup", "--lake", "s3a://lake/restored", "--to", "s3a://lake/copy")
    run("restore", "--from", "s3a://lake/copy", "--lake", str(tmp_path / "restored"))
    assert versions(str(tmp_path / "restored")) == {GOLD_TRENDS.name: 2, GOLD_MENTIONS.name: 1}
    done = process.run("backup", "--lake", lake, "--to", "s3a://absent/backup", env=s3.environment)
    assert done.returncode == 2 and "NoSuchBucket" in done.stderr, done.stderr


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "gold/../../outside"])
def test_a_manifest_cannot_name_files_outside_of_the_lake(lake: str, target: str, name: str) -> None:
    back_up(lake, target)
    file = Path(target, "backup.json")
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps(manifest | {"files": manifest["files"] | {name: "0" * 64}}))
    assert f"{name} is outside of the backup" in refused("restore", "--from", target, "--lake", f"{lake}-restored")
