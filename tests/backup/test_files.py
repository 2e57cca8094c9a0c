"""A backup of files copies what has changed, and never damages an earlier backup."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from spark_apps import storage
from spark_apps.backup import files, manifest
from spark_apps.backup.copying import BackupError
from spark_apps.backup.files import back_up_files, restore_files
from spark_apps.backup.report import Report
from spark_apps.cli.main import app
from tests import process
from tests.s3_server import S3Server


class Registry:
    """A folder of dumps, a folder of model files, and a place for their backups."""

    def __init__(self, folder: Path) -> None:
        self.dumps, self.artifacts, self.place = (str(folder / name) for name in ("dumps", "artifacts", "place"))
        self._folder, self._restored = folder, 0
        self.dump(b"dump 0")
        storage.put(self.artifacts, "1/model/model.onnx", b"model 1")

    def dump(self, content: bytes) -> None:
        storage.put(self.dumps, "mlflow.dump", content)

    def back_up(self, keep: int = 1) -> Report:
        return back_up_files({"dumps": self.dumps, "artifacts": self.artifacts}, self.place, keep)

    def restored(self, place: str = "") -> dict[str, bytes | None]:
        """Restore a backup; return the content of the files by their path."""
        self._restored += 1
        target = str(self._folder / f"restored-{self._restored}")
        restore_files(place or self.place, target)
        return {path: storage.read(f"{target}/{path}") for path in storage.paths(target)}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def test_only_changed_files_are_copied(registry: Registry) -> None:
    assert registry.back_up().copied == 2
    registry.dump(b"dump 1")
    assert registry.back_up().copied == 1
    storage.put(registry.artifacts, "2/model/model.onnx", b"model 2")
    storage.delete(f"{registry.artifacts}/1/model/model.onnx")
    last = registry.back_up()
    assert (last.files, last.copied, last.copied_bytes) == (2, 1, 7)
    assert registry.restored() == {"dumps/mlflow.dump": b"dump 1", "artifacts/2/model/model.onnx": b"model 2"}
    assert len(list(storage.paths(registry.place))) == 2 + 1


def test_some_states_are_kept(registry: Registry) -> None:
    for number in range(4):
        registry.dump(f"dump {number}".encode())
        registry.back_up(keep=3)
    dumps = [registry.restored(f"{registry.place}/{number}")["dumps/mlflow.dump"] for number in (1, 2, 3)]
    assert dumps == [b"dump 3", b"dump 1", b"dump 2"]
    assert registry.restored()["dumps/mlflow.dump"] == b"dump 3"


def test_an_interrupted_backup_leaves_the_one_before_intact(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.back_up()
    registry.dump(b"dump 1")
    storage.put(registry.artifacts, "1/model/model.onnx", b"changed in place")
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "complete", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            registry.back_up()
    assert registry.restored() == {"dumps/mlflow.dump": b"dump 0", "artifacts/1/model/model.onnx": b"model 1"}
    assert registry.back_up().copied == 2
    assert registry.restored()["artifacts/1/model/model.onnx"] == b"changed in place"


def test_a_file_that_disappears_is_left_out(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = files._names

    def names(sources: dict[str, str]) -> list[str]:
        found = listed(sources)
        storage.delete(f"{registry.artifacts}/1/model/model.onnx")
        return found

    monkeypatch.setattr(files, "_names", names)
    assert registry.back_up().files == 1


def test_wrong_places_and_damaged_files_are_refused(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="artifacts-typo has no files: check the folder"):
        back_up_files({"artifacts": f"{registry.artifacts}-typo"}, registry.place, 1)
    registry.back_up()
    with pytest.raises(BackupError, match=r"dumps is not empty \(mlflow.dump\): pass another folder as --to"):
        restore_files(registry.place, registry.dumps)
    (model,) = Path(registry.place).rglob("model.onnx")
    model.write_bytes(b"model 7")
    with pytest.raises(BackupError, match=r"model.onnx is missing or damaged: restore another backup"):
        restore_files(registry.place, str(tmp_path / "restored"))
    assert not list(Path(tmp_path, "restored").rglob("*model.onnx*"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def test_the_commands(registry: Registry, tmp_path: Path) -> None:
    done = run("backup-files", f"dumps={registry.dumps}", "--to", registry.place, "--keep", "2", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["place"] == f"{registry.place}/1"
    assert f"{registry.place}/1: " in run("backups", "--in", registry.place).stderr
    assert "has no complete backup" in run("backups", "--in", registry.dumps).stderr
    done = run("restore-files", "--from", registry.place, "--to", str(tmp_path / "restored"))
    assert done.exit_code == 0 and f"from {registry.place}/1" in done.stderr
    assert (tmp_path / "restored" / "dumps" / "mlflow.dump").read_bytes() == b"dump 0"
    for wrong in (registry.dumps, "dumps=", "a/b=/c"):
        done = run("backup-files", wrong, "--to", registry.place)
        assert done.exit_code == 2 and "write NAME=FOLDER, such as dumps=/dumps" in done.stderr


@pytest.fixture
def s3() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


def test_large_files_are_backed_up_to_s3_in_parts(registry: Registry, tmp_path: Path, s3: S3Server) -> None:
    model = bytes(range(256)) * (20 << 12)  # 20 MB: three parts
    storage.put(registry.artifacts, "1/model/model.onnx", model)
    sources = (f"dumps={registry.dumps}", f"artifacts={registry.artifacts}")
    for keep in ("2", "2", "1"):
        done = process.run("backup-files", *sources, "--to", "s3a://lake/registry", "--keep", keep, env=s3.environment)
        assert done.returncode == 0, done.stderr
    done = process.run(
        "backup-files", "models=s3a://lake/registry", "--to", str(tmp_path / "copy"), "--json", env=s3.environment
    )
    # The third backup is one of the two before, brought up to date; the other one is gone.
    assert done.returncode == 0 and json.loads(done.stdout)["files"] == 2 + 1
    target = str(tmp_path / "restored")
    done = process.run("restore-files", "--from", "s3a://lake/registry", "--to", target, env=s3.environment)
    assert done.returncode == 0, done.stderr
    assert storage.read(f"{target}/artifacts/1/model/model.onnx") == model
    assert any(request.method == "POST" and "uploadId" in request.query for request in s3.requests)
