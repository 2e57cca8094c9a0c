"""The examples of the documentation: those in bash blocks are run, all others are checked against the command."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from spark_apps.cli.main import app
from spark_apps.demo.generator import Generator
from spark_apps.tables import GOLD_SENTIMENT
from tests.process import COMMAND, ENVIRONMENT

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "models" / "tweet-sentiment" / "README.md"]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(page: Path, language: str | None = None) -> list[str]:
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    lines = [line for kind, block in blocks if language in (None, kind) for line in block.splitlines()]
    return [line.partition(" #")[0].strip() for line in lines]


EXAMPLES = [line for page in PAGES for line in commands(page) if re.match(r"(uv run )?tweet-sentiment ", line)]


@pytest.mark.parametrize("line", EXAMPLES)
def test_examples_name_commands_and_options_that_exist(line: str) -> None:
    words = shlex.split(line.partition("tweet-sentiment ")[2])
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {target for page in PAGES for target in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE)}
    assert used and used <= targets


def test_linked_files_exist() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), target


def test_the_examples_for_ones_own_tweets_run(tmp_path: Path) -> None:
    lines = [line for line in commands(PAGES[0], "bash") if line and not line.startswith("make ")]
    assert len(lines) >= 4
    (file,) = Generator(1).files(50)
    outputs = []
    for line in lines:
        done = subprocess.run(
            [*COMMAND, *shlex.split(line.removeprefix("uv run tweet-sentiment "))]
            if line.startswith("uv run tweet-sentiment ")
            else shlex.split(line),
            cwd=tmp_path,
            env=os.environ | ENVIRONMENT | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        outputs.append(done.stdout)
        if line.startswith("mkdir"):
            (tmp_path / "landing" / file.name).write_bytes(file.data)
    assert f'"gold": {file.expected.tweets}' in "".join(outputs)
    assert GOLD_SENTIMENT.name in "".join(outputs)
