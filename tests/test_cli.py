"""The command as a user types it: help with examples, one clear sentence for each mistake, exit codes."""

import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spark_apps.cli.main import app
from spark_apps.demo.generator import Generator, Mix
from tests import process

COMMANDS = ["run", "replay", "generate", "tables", "dashboard", "demo", "quality check", "quality acknowledge"] + [
    f"model {name}" for name in ("train", "export", "evaluate", "release", "rollback", "first", "list", "describe")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str) -> None:
    found = CliRunner().invoke(app, [*command.split(), "--help"])
    assert found.exit_code == 0
    assert f"Example: tweet-sentiment {command}" in " ".join(found.output.split())


def refused(*arguments: str, **env: str) -> str:
    """Run a command that must be refused with exit code 2; return what it says, on one line."""
    found = CliRunner().invoke(app, [*arguments], env=env)
    assert found.exit_code == 2, found.output
    return " ".join(found.stderr.split())


def test_mistakes_get_one_clear_sentence(tmp_path: Path) -> None:
    lake, landing = str(tmp_path / "lake"), str(tmp_path / "absent")
    assert "landing (or TWEETS_LANDING) is missing" in refused("run", "--lake", lake)
    assert "brass: no layer has this name" in refused("run", "brass")
    assert "--once and --trigger contradict each other" in refused("run", "--once", "--trigger", "5 seconds")
    assert "overlap" in refused("run", "--landing", lake, "--lake", lake)
    assert "--trigger" in refused("run", "--trigger", "now and then")
    assert "absent.json is no file" in refused("replay", "absent.json", "--landing", landing)
    assert "--lake (or TWEETS_LAKE) is missing" in refused("tables")
    assert "registry (or TWEETS_REGISTRY) is missing" in refused("model", "list")
    assert "--lake (or TWEETS_LAKE) is missing" in refused("quality", "check")


def test_a_landing_that_does_not_exist_is_named(tmp_path: Path) -> None:
    found = process.run("run", "--landing", tmp_path / "absent", "--lake", tmp_path / "lake", "--once")
    assert found.returncode == 2
    assert "is not a folder: create it" in " ".join(found.stderr.split())


@pytest.mark.parametrize(("says", "expected"), [(None, "no java is on the PATH"), ("11.0.2", "runs on Java 17 or 21")])
def test_a_missing_or_wrong_java(tmp_path: Path, says: str | None, expected: str) -> None:
    if says:
        java = tmp_path / "java"
        java.write_text(f"#!/bin/sh\necho 'openjdk version \"{says}\"' >&2\n")
        java.chmod(java.stat().st_mode | stat.S_IXUSR)
    env = {"PATH": f"{tmp_path}:/nowhere" if says is None else f"{tmp_path}:{os.environ['PATH']}", "JAVA_HOME": ""}
    (tmp_path / "landing").mkdir()
    found = process.run("run", "--landing", tmp_path / "landing", "--lake", tmp_path / "lake", "--once", env=env)
    told = " ".join(found.stderr.split())
    assert found.returncode == 2
    assert expected in told and "apt install openjdk-17-jre-headless" in told
    assert "Traceback" not in told


def test_once_and_tables_and_replay(tmp_path: Path) -> None:
    landing, lake = tmp_path / "landing", tmp_path / "lake"
    landing.mkdir()
    recorded = tmp_path / "recorded.json"
    (file,) = Generator(4, mix=Mix(malformed=0.05, duplicates=0.1)).files(400)
    recorded.write_bytes(file.data)
    assert process.run("replay", recorded, "--landing", landing).returncode == 0

    done = process.run("run", "--landing", landing, "--lake", lake, "--once", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    counts = {
        "documents": file.expected.documents,
        "bronze": file.expected.documents,
        "silver": file.expected.tweets,
        "duplicates": file.expected.duplicates,
        "quarantine": dict(sorted(file.expected.quarantine.items())),
        "gold": file.expected.tweets,
    }
    assert result.pop("tables") == counts
    assert result.pop("seconds") > 0
    assert result == counts

    shown = CliRunner().invoke(app, ["tables", "--lake", str(lake), "--json"])
    found = json.loads(shown.output)
    assert found["tables"]["gold/sentiment"]["rows"] == file.expected.tweets
    assert found["lag"] == {"silver": 0, "gold": 0, "aggregates": 0}
    assert found["quarantine"] == dict(file.expected.quarantine)
    judged = json.loads(CliRunner().invoke(app, ["model", "evaluate", "--lake", str(lake), "--json"]).stdout)
    # Each made-up tweet that came with a label is beyond doubt: these are the model's figures, not a wrong join's.
    assert judged["tweets"] > 10 and judged["waiting"] == 0 and judged["accuracy"] > 0.7
    readable = CliRunner().invoke(app, ["tables", "--lake", str(lake)], env={"COLUMNS": "80"})
    assert "gold/sentiment" in readable.output and "…" not in readable.output.partition("quarantine:")[0]

    # One layer alone, as on a cluster, with nothing new.
    again = process.run("run", "silver", "--lake", lake, "--once", "--json")
    assert again.returncode == 0, again.stderr
    result = json.loads(again.stdout.splitlines()[-1])
    assert (result["documents"], result["silver"], result["tables"]) == (0, 0, counts)


def test_generated_tweets_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    said = [
        CliRunner()
        .invoke(app, ["generate", "--landing", str(tmp_path / name), "--tweets", "60", "--seed", seed])
        .stdout
        for name, seed in (("one", "3"), ("two", "3"), ("other", "4"))
    ]
    assert said[0] == said[1] != said[2]
    expected = json.loads(said[0])
    assert expected["tweets"] + expected["duplicates"] == 60
    landed = [sorted((file.name, file.read_bytes()) for file in (tmp_path / name).iterdir()) for name in ("one", "two")]
    assert landed[0] == landed[1]


def test_the_first_model_goes_into_an_empty_registry_once(tmp_path: Path) -> None:
    registry = f"sqlite:///{tmp_path}/registry.db"
    for _ in range(2):
        done = process.run("model", "first", "--registry", registry)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "tweet-sentiment version 1 is in production"


def test_tables_of_a_lake_that_does_not_exist_are_an_error(tmp_path: Path) -> None:
    lake = str(tmp_path / "none")
    assert f"lake {lake} does not exist: check --lake, or start the streams" in refused("tables", "--lake", lake)


def test_tables_of_an_empty_lake(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["tables", "--lake", str(tmp_path)])
    assert shown.exit_code == 0
    assert "none yet" in shown.output
