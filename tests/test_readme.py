"""The examples of the documentation: bash blocks are run, and all other commands are checked against the CLI."""

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from spark_apps.cli.main import app
from spark_apps.demo.generator import Generator
from spark_apps.tables import GOLD_SENTIMENT
from tests.process import ENVIRONMENT, run_command

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "models/tweet-sentiment/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the fenced blocks of `page` as (language, text)."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


EXAMPLES = sorted(
    {
        line.partition(" #")[0].strip()
        for page in PAGES
        for _, text in blocks(page)
        for line in text.splitlines()
        if line.startswith("tweet-sentiment ")
    }
)
# Without blocks of make targets, which other tests run.
SCRIPTS = [
    text for page in PAGES for language, text in blocks(page) if language == "bash" and not text.startswith("make ")
]


@pytest.mark.parametrize("line", EXAMPLES)
def test_examples_use_existing_commands_and_options(line: str) -> None:
    words = shlex.split(line.removeprefix("tweet-sentiment "))
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_no_example_uses_uv() -> None:
    assert [page.name for page in PAGES if re.search(r"^uv |`uv run", page.read_text(), re.MULTILINE)] == []


def test_documented_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    name = re.compile(r"(?:`|^)make ([a-z0-9-]+)", re.MULTILINE)
    used = {target for page in PAGES for target in name.findall(page.read_text())}
    workflow = (ROOT / ".github" / "workflows" / "test.yaml").read_text()
    (matrix,) = re.findall(r"target: \[(.+)\]", workflow)
    used |= set(matrix.split(", "))
    assert used and used <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_existing_files_and_headings(page: Path) -> None:
    for target, heading in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
        file = (page.parent / target) if target else page
        assert file.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in anchors, f"{target}#{heading}"


@pytest.mark.slow
def test_bash_blocks_run_as_typed(tmp_path: Path) -> None:
    """Run the bash blocks in one folder, in their order, with only the system's programs on the PATH."""
    (file,) = Generator(1).files(50)
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / file.name).write_bytes(file.data)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    assert len(SCRIPTS) >= 2
    script = "\n".join(["set -euo pipefail", "source .venv/bin/activate", *SCRIPTS])
    env = ENVIRONMENT | {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)} | _java()
    done = run_command(["bash", "-c", script], env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f'"gold": {file.expected.tweets}' in done.stdout
    assert GOLD_SENTIMENT.name in done.stdout


def _java() -> dict[str, str]:
    return {"JAVA_HOME": os.environ["JAVA_HOME"]} if "JAVA_HOME" in os.environ else {}
