"""The command line: help with examples, one sentence for each mistake, and exit codes."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from spark_apps.cli.main import app
from spark_apps.demo.generator import Generator, Mix
from tests import process

COMMANDS = [
    "run", "inspect", "replay", "generate", "tables", "dashboard", "demo", "quality check", "quality acknowledge",
    "quarantine list", "quarantine show", "backup", "restore",
    *(f"model {name}" for name in ("train", "export", "evaluate", "release", "rollback", "first", "list", "describe")),
]  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example(name: str) -> None:
    result = CliRunner().invoke(app, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert f"Example: tweet-sentiment {name}" in " ".join(result.output.split())


def refused(*arguments: str, **env: str) -> str:
    """Run a command that must end with exit code 2; return its stderr on one line."""
    result = CliRunner().invoke(app, [*arguments], env=env)
    assert result.exit_code == 2, result.output
    # Any other exception would print a traceback.
    assert isinstance(result.exception, SystemExit), result.exception
    return " ".join(result.stderr.split())


def test_each_mistake_is_explained_in_one_sentence(tmp_path: Path) -> None:
    lake, landing = str(tmp_path / "lake"), str(tmp_path / "absent")
    assert "landing (or TWEETS_LANDING) is missing" in refused("run", "--lake", lake)
    assert "unknown layer brass: the layers are bronze, silver, gold" in refused("run", "brass")
    assert "--once and --trigger contradict each other" in refused("run", "--once", "--trigger", "5 seconds")
    assert "overlap" in refused("run", "--landing", lake, "--lake", lake)
    assert "--trigger" in refused("run", "--trigger", "now and then")
    assert "absent.json is not a file" in refused("replay", "absent.json", "--landing", landing)
    assert "--lake (or TWEETS_LAKE) is missing" in refused("tables")
    assert "registry (or TWEETS_REGISTRY) is missing" in refused("model", "list")
    assert "--lake (or TWEETS_LAKE) is missing" in refused("quality", "check")


def test_an_invalid_format_is_refused_before_spark_starts(tmp_path: Path) -> None:
    formats = tmp_path / "formats.yaml"
    formats.write_text("own: {marks: [a], id: [id], text: text, time: [at]}")
    arguments = ["run", "silver", "--lake", str(tmp_path / "lake")]
    error = refused(*arguments, TWEETS_FORMATS=str(formats), PATH="/nowhere")
    assert f"{formats}: own.text: 'text' is not a list: write a list of paths, such as [id, post.id]" in error
    absent = str(tmp_path / "none.yaml")
    assert f"{absent} is not readable" in refused(*arguments, TWEETS_FORMATS=absent, PATH="/nowhere")


def test_a_missing_landing_is_named(tmp_path: Path) -> None:
    landing, lake = str(tmp_path / "absent"), str(tmp_path / "lake")
    assert "is not a folder: create it" in refused("run", "--landing", landing, "--lake", lake, "--once")


@pytest.mark.parametrize(
    ("version", "expected"), [(None, "no java is on the PATH"), ("11.0.2", "runs on Java 17 or 21")]
)
def test_a_missing_or_unsupported_java_is_an_error(tmp_path: Path, version: str | None, expected: str) -> None:
    if version:
        java = tmp_path / "java"
        java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        java.chmod(java.stat().st_mode | stat.S_IXUSR)
    path = f"{tmp_path}:/nowhere" if version is None else f"{tmp_path}:{os.environ['PATH']}"
    (tmp_path / "landing").mkdir()
    arguments = ["--landing", str(tmp_path / "landing"), "--lake", str(tmp_path / "lake"), "--once"]
    error = refused("run", *arguments, PATH=path, JAVA_HOME="")
    assert expected in error and "apt install openjdk-17-jre-headless" in error
    assert "Traceback" not in error


def test_replay_run_tables_and_evaluate(command: Callable[..., Result], tmp_path: Path) -> None:
    landing, lake = tmp_path / "landing", tmp_path / "lake"
    landing.mkdir()
    recorded = tmp_path / "recorded.json"
    (file,) = Generator(4, mix=Mix(malformed=0.05, duplicates=0.1)).files(400)
    recorded.write_bytes(file.data)
    assert command("replay", recorded, "--landing", landing).exit_code == 0

    done = process.run("run", "--landing", landing, "--lake", lake, "--once", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    counts = {
        "documents": file.expected.documents,
        "bronze": file.expected.documents,
        "silver": file.expected.tweets,
        "duplicates": file.expected.duplicates,
        "erasures": 0,
        "erased": 0,
        "quarantine": dict(sorted(file.expected.quarantine.items())),
        "gold": file.expected.tweets,
    }
    assert result.pop("tables") == counts
    assert result.pop("seconds") > 0
    assert result == counts

    status = json.loads(command("tables", "--lake", lake, "--json").output)
    assert status["tables"]["gold/sentiment"]["rows"] == file.expected.tweets
    assert status["lag"] == {"silver": 0, "gold": 0, "aggregates": 0}
    assert status["quarantine"] == dict(file.expected.quarantine)
    metrics = json.loads(command("model", "evaluate", "--lake", lake, "--json").stdout)
    # The sentiment of labelled generated tweets is obvious: a lower accuracy would mean a wrong join of the labels.
    assert metrics["tweets"] > 10 and metrics["waiting"] == 0 and metrics["accuracy"] > 0.7
    readable = command("tables", "--lake", lake, COLUMNS="80")
    assert "gold/sentiment" in readable.output and "…" not in readable.output.partition("quarantine:")[0]

    # A single layer without new input, as on a cluster.
    again = command("run", "silver", "--lake", lake, "--once", "--json")
    assert again.exit_code == 0, again.output
    result = json.loads(again.stdout.splitlines()[-1])
    assert (result["documents"], result["silver"], result["tables"]) == (0, 0, counts)


def test_a_seed_always_generates_the_same_tweets(tmp_path: Path) -> None:
    outputs = [
        CliRunner()
        .invoke(app, ["generate", "--landing", str(tmp_path / name), "--tweets", "60", "--seed", seed])
        .stdout
        for name, seed in (("one", "3"), ("two", "3"), ("other", "4"))
    ]
    assert outputs[0] == outputs[1] != outputs[2]
    expected = json.loads(outputs[0])
    assert expected["tweets"] + expected["duplicates"] == 60
    landed = [sorted((file.name, file.read_bytes()) for file in (tmp_path / name).iterdir()) for name in ("one", "two")]
    assert landed[0] == landed[1]


def test_the_first_model_is_registered_once(tmp_path: Path) -> None:
    registry = f"sqlite:///{tmp_path}/registry.db"
    for _ in range(2):
        done = CliRunner().invoke(app, ["model", "first", "--registry", registry])
        assert done.exit_code == 0, done.output
        assert done.stdout.splitlines()[-1] == "tweet-sentiment version 1 is in production"


def test_tables_of_a_missing_lake_are_an_error(tmp_path: Path) -> None:
    lake = str(tmp_path / "none")
    assert f"lake {lake} does not exist: check --lake, or start the streams" in refused("tables", "--lake", lake)


def test_tables_of_an_empty_lake(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["tables", "--lake", str(tmp_path)])
    assert shown.exit_code == 0
    assert "none yet" in shown.output


def test_ctrl_c_during_the_imports_prints_no_traceback() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "spark_apps.cli.entry", "tables", "--lake", "/absent"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as importing:
        assert importing.stderr is not None
        for line in importing.stderr:  # one line for each finished import
            if "typer" in line:
                break
        importing.send_signal(signal.SIGINT)
        stderr = importing.stderr.read()
    assert "Traceback" not in stderr
    assert importing.returncode == -signal.SIGINT
