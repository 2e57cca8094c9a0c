"""Commits are atomic: in a folder, and on S3 behind a server that delays and fails the requests of two drivers."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from spark_apps.lake import java_classes
from spark_apps.session import ensure_jars
from spark_apps.settings import SettingsError
from tests import process
from tests.s3_server import S3Server

JAVA = shutil.which("java") or ""


class Driver:
    """The process of `s3_driver.py`."""

    def __init__(self, server: S3Server, log: Path) -> None:
        command = [sys.executable, "-m", "tests.lake.s3_driver"]
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command,
                env=os.environ | process.ENVIRONMENT | server.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def start(self, *command: object) -> None:
        assert self._process.stdin
        print(*command, file=self._process.stdin, flush=True)

    def result(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, self._log.read_text()
        return line.strip()

    def run(self, *command: object) -> str:
        self.start(*command)
        return self.result()

    def stop(self) -> None:
        try:
            self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def drivers(server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Driver, Driver]]:
    ensure_jars(s3=True)
    folder = tmp_path_factory.mktemp("drivers")
    one, two = Driver(server, folder / "1.log"), Driver(server, folder / "2.log")
    assert one.result() == two.result() == "started"
    yield one, two
    one.stop()
    two.stop()


def commit(table: str, version: int) -> str:
    return f"{table}/_delta_log/{version:020}.json"


def times_written(server: S3Server, table: str) -> dict[str, int]:
    """Return how often each commit of `table` was written."""
    log = f"{table}/_delta_log/"
    requests = [request for request in server.requests if request.is_write]
    return Counter(request.key for request in requests if request.key.startswith(log) and request.key.endswith(".json"))


def test_a_file_in_a_folder_is_created_by_one_of_two_writers(spark: SparkSession, tmp_path: Path) -> None:
    """Both writers begin each file at the same time. Delta's own log store lets both succeed in 9 of 1,000 cases."""
    jvm: Any = spark._jvm
    conf = spark._jsc.hadoopConfiguration()
    paths = [jvm.org.apache.hadoop.fs.Path(f"file:{tmp_path}/{number}.json") for number in range(400)]
    together = Barrier(2)

    def write(content: str) -> set[int]:
        """Return the numbers of the files that this writer has created."""
        store = getattr(jvm, java_classes.SPARK_CONF["spark.delta.logStore.file.impl"])(conf)
        created = set()
        for number, path in enumerate(paths):
            lines = jvm.java.util.ArrayList()
            lines.add(content)
            together.wait(60)
            try:
                store.write(path, lines.iterator(), False, conf)
            except Py4JJavaError as error:
                assert "FileAlreadyExistsException" in str(error.java_exception)
            else:
                created.add(number)
        return created

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(write, ["one", "two"])
    assert one.union(two) == set(range(400)) and not one.intersection(two)
    contents = {number: (tmp_path / f"{number}.json").read_text() for number in range(400)}
    assert contents == {number: "one\n" if number in one else "two\n" for number in range(400)}
    assert len(list(tmp_path.iterdir())) == 400


def test_a_delayed_commit_does_not_overwrite_the_commit_of_another_driver(
    server: S3Server, drivers: tuple[Driver, Driver]
) -> None:
    one, two = drivers
    one.run("append", "s3a://lake/delayed", 0, 1)
    with server.hold(commit("delayed", 1)) as arrived:
        one.start("append", "s3a://lake/delayed", 1, 1)
        assert arrived.wait(300)
        assert two.run("append", "s3a://lake/delayed", 2, 1) == "done"
    assert one.result() == "done"
    assert two.run("ids", "s3a://lake/delayed") == "0 1 2"
    assert times_written(server, "delayed") == {commit("delayed", version): 1 for version in range(3)}


def test_concurrent_commits_are_all_kept(server: S3Server, drivers: tuple[Driver, Driver]) -> None:
    one, two = drivers
    one.run("append", "s3a://lake/concurrent", 10, 1)
    one.start("append", "s3a://lake/concurrent", 11, 6)
    two.start("append", "s3a://lake/concurrent", 17, 6)
    assert one.result() == two.result() == "done"
    assert one.run("ids", "s3a://lake/concurrent") == " ".join(map(str, range(10, 23)))
    assert times_written(server, "concurrent") == {commit("concurrent", version): 1 for version in range(13)}


@pytest.mark.parametrize(
    ("status", "is_stored"),
    [(500, True), (409, False), (409, True)],
    ids=["response lost", "undecided", "undecided and stored"],
)
def test_a_commit_that_is_repeated_is_stored_once(
    server: S3Server, drivers: tuple[Driver, Driver], status: int, is_stored: bool
) -> None:
    driver, table = drivers[0], f"repeated-{status}-{is_stored}"
    driver.run("append", f"s3a://lake/{table}", 0, 1)
    server.fail(commit(table, 1), status, is_stored=is_stored)
    assert driver.run("append", f"s3a://lake/{table}", 1, 1) == "done"
    assert driver.run("ids", f"s3a://lake/{table}") == "0 1"
    assert times_written(server, table) == {commit(table, 0): 1, commit(table, 1): 1}


def test_a_service_that_ignores_conditions_is_refused(server: S3Server, drivers: tuple[Driver, Driver]) -> None:
    server.create_bucket("unconditional")
    server.ignores_conditions = True
    assert "bucket unconditional ignores If-None-Match" in drivers[0].run("append", "s3a://unconditional/table", 0, 1)
    server.ignores_conditions = False
    assert drivers[0].run("append", "s3a://unconditional/table", 1, 1) == "done"


@pytest.fixture
def dependencies() -> list[Path]:
    """Return the folders with the jars of Delta and S3A."""
    delta, s3a, *_ = (Path(entry).parent for entry in ensure_jars(s3=True).split(os.pathsep))
    return [delta, s3a]


def test_set_up_compiles_a_class_once(tmp_path: Path, dependencies: list[Path]) -> None:
    folder = java_classes.ensure_compiled(java_classes.S3_LOG_STORE, tmp_path, dependencies, JAVA)
    assert [path.suffix for path in folder.iterdir()] == [".jar"] and list(tmp_path.iterdir()) == [folder]
    assert java_classes.ensure_compiled(java_classes.S3_LOG_STORE, tmp_path, dependencies, "/no/java") == folder


def test_a_changed_source_is_compiled_again(
    tmp_path: Path, dependencies: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / f"{java_classes.S3_LOG_STORE}.java"
    monkeypatch.setattr(java_classes, "_SOURCES", tmp_path)
    source.write_text("package tweet_sentiment; public class S3ConditionalLogStore { }")
    first = java_classes.ensure_compiled(java_classes.S3_LOG_STORE, tmp_path, dependencies, JAVA)
    source.write_text("package tweet_sentiment; public class S3ConditionalLogStore { int changed; }")
    assert java_classes.ensure_compiled(java_classes.S3_LOG_STORE, tmp_path, dependencies, JAVA) != first
    source.write_text("package tweet_sentiment; public class S3ConditionalLogStore { Missing field; }")
    with pytest.raises(SettingsError, match=r"cannot compile .*S3ConditionalLogStore.java .*Missing"):
        java_classes.ensure_compiled(java_classes.S3_LOG_STORE, tmp_path, dependencies, JAVA)


@pytest.mark.slow
def test_streams_in_a_folder_start_no_program_for_a_file(tmp_path: Path) -> None:
    started = tmp_path / "started"
    for name in ("chmod", "ln", "ls", "mv", "readlink", "stat"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {started}\nexec {shutil.which(name)} "$@"\n')
        program.chmod(0o755)
    (tmp_path / "landing").mkdir()
    tweet = '{"id": 1, "full_text": "good", "timestamp": "2026-01-01T00:00:00Z"}'
    (tmp_path / "landing" / "tweets.json").write_text(tweet)
    where: list[str | Path] = ["--landing", tmp_path / "landing", "--lake", tmp_path / "lake"]
    done = process.run("run", *where, "--once", env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stderr
    assert [line for line in started.read_text().splitlines() if str(tmp_path / "lake") in line] == []
    (data,) = (tmp_path / "lake" / "gold" / "sentiment").glob("*.parquet")
    assert data.stat().st_mode & 0o777 == 0o644
