"""`tweet-sentiment inspect` reads local files like the streams, and explains rejects."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from spark_apps.cli.main import app
from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import tar
from tests.lakes import flat_tweet

TOOT = {
    "id": "1",
    "created_at": "2024-09-09T19:46:02Z",
    "content": "hi",
    "spoiler_text": "",
    "account": {"acct": "ann"},
}
FORMATS = """
mastodon: {marks: [content, account.acct, spoiler_text], id: [id], text: [content], time: [created_at]}
"""


@pytest.fixture
def formats(tmp_path: Path) -> Path:
    file = tmp_path / "formats.yaml"
    file.write_text(FORMATS)
    return file


def inspect(*arguments: str | Path, **env: str) -> Result:
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)], env=env)


def inspected(*arguments: str | Path) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = json.loads(inspect(*arguments, "--json").stdout.splitlines()[-1])["files"]
    return files


def write(file: Path, *lines: str) -> Path:
    file.write_text("".join(line if line.endswith("\n") else f"{line}\n" for line in lines))
    return file


def test_counts_equal_the_counts_of_the_streams(tmp_path: Path) -> None:
    (file,) = Generator(4, mix=Mix(malformed=0.05, duplicates=0.1)).files(400)
    path = tmp_path / "recorded.json"
    path.write_bytes(file.data)
    (report,) = inspected(path, "--limit", "3")
    expected = file.expected
    assert report["documents"] == expected.documents
    assert sum(report["tweets"].values()) == expected.tweets + expected.duplicates
    assert report["rejects"] == dict(expected.quarantine)
    assert len(report["records"]) == 3 and all(record["reason"] for record in report["records"])


def test_a_tweet_is_shown_with_its_fields(tmp_path: Path) -> None:
    path = write(tmp_path / "one.json", flat_tweet(7, full_text="hi @Bo " + "x" * 500, lang="en"))
    result = inspect(path)
    assert result.exit_code == 0, result.output
    assert f"{path}: 1 documents, 1 tweets, 0 rejected" in result.stdout
    assert "document 0, record 0: a tweet, format flat" in result.stdout
    assert "id 7, 2026-01-01T00:00:00+00:00, lang en, user 1, mentions bo" in result.stdout
    assert "x" * 100 in result.stdout and "x" * 200 not in result.stdout
    (report,) = inspected(path)
    tweet = report["records"][0]["tweet"]
    assert (tweet["id"], tweet["user"], tweet["mentions"], tweet["lang"]) == ("7", "1", ["bo"], "en")


def test_a_reject_is_explained(tmp_path: Path) -> None:
    path = write(
        tmp_path / "mixed.json", flat_tweet(7), '{"full_text": "no id", "timestamp": 1669564805}', "no json", "{}"
    )
    result = inspect(path)
    assert result.exit_code == 1
    assert "1 documents" not in result.stdout and "4 documents, 1 tweets, 3 rejected" in result.stdout
    assert "1 × missing_id, the tweet has no id" in result.stdout
    assert "document 1, record 0: rejected: missing_id, format flat" in result.stdout
    assert "no value at id_str or id or tweet_id" in result.stdout
    assert "document 2, record 0: rejected: not_json" in result.stdout
    assert inspect(path, "--limit", "0").stdout.count(", record ") == 0


def test_an_object_in_no_format_is_shown_with_the_fields_that_it_lacks(tmp_path: Path, formats: Path) -> None:
    lacking = {name: value for name, value in TOOT.items() if name != "spoiler_text"}
    path = write(tmp_path / "post.json", json.dumps({"status": lacking}))
    result = inspect(path, "--formats", formats)
    assert result.exit_code == 1
    assert "status is not mastodon: has content, account.acct; lacks spoiler_text" in result.stdout
    assert "mastodon" not in inspect(path).stdout


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_declared_format_is_used(tmp_path: Path, formats: Path, by: str) -> None:
    path = write(tmp_path / "post.json", json.dumps(TOOT))
    result = inspect(path, "--formats", formats) if by == "option" else inspect(path, TWEETS_FORMATS=str(formats))
    assert result.exit_code == 0, result.output
    assert "1 × mastodon" in result.stdout
    assert "must not have spoiler_text" in inspect(path).stdout


def test_compressed_files_and_archives_are_read(tmp_path: Path) -> None:
    packed = tmp_path / "packed.json.gz"
    packed.write_bytes(gzip.compress(flat_tweet(1).encode()))
    archive = tmp_path / "archive.tar"
    archive.write_bytes(tar({"a.json": flat_tweet(2).encode(), "b.json": flat_tweet(3).encode() + b"no json\n"}))
    first, second = inspected(packed, archive)
    assert (first["documents"], first["tweets"]) == (1, {"flat": 1})
    assert (second["documents"], second["tweets"], second["rejects"]) == (3, {"flat": 2}, {"not_json": 1})
    places = {(record["member"], record["document"]) for record in second["records"]}
    assert places == {("a.json", 0), ("b.json", 0), ("b.json", 1)}
    assert "b.json, document 1, record 0: rejected: not_json" in inspect(archive).stdout


def test_a_damaged_and_a_too_large_document_are_rejects(tmp_path: Path) -> None:
    damaged = tmp_path / "cut.json.gz"
    damaged.write_bytes(gzip.compress(flat_tweet(1).encode())[:-9])
    large = write(tmp_path / "large.json", flat_tweet(1, full_text="x" * (1 << 20)))
    result = inspect(damaged, large, "--json", TWEETS_MAX_DOCUMENT_MB="1")
    reports = json.loads(result.stdout)["files"]
    assert [list(report["rejects"]) for report in reports] == [["bad_gzip"], ["too_large"]]
    assert result.exit_code == 1


def test_limits_of_the_settings_apply(tmp_path: Path) -> None:
    long = write(tmp_path / "long.json", flat_tweet(1, full_text="x" * 1001))
    mentions = write(tmp_path / "mentions.json", flat_tweet(1, full_text="@a @b @c"))
    packed = tmp_path / "packed.json.gz"
    packed.write_bytes(gzip.compress(flat_tweet(1).encode() * 100_000))
    limits = {"TWEETS_MAX_TEXT_CHARACTERS": "1000", "TWEETS_MAX_MENTIONS": "2", "TWEETS_MAX_EXPANSION": "10"}
    result = inspect(long, mentions, packed, "--json", **limits)
    reports = json.loads(result.stdout)["files"]
    assert [list(report["rejects"]) for report in reports] == [["long_text"], [], ["too_compressed"]]
    assert reports[1]["records"][0]["tweet"]["mentions"] == ["a", "b"]


def test_the_output_shows_control_characters_and_markup_as_text(tmp_path: Path) -> None:
    text = "[bold]b[/] [/x] :smile: \x1b[31m \x07 \u202e \x9b \r\n \ud800"
    path = write(tmp_path / "[red]\x1b.json", flat_tweet(1, full_text=text, user_id="\x1b]0;x"), '{"\x1b": "\x9b"}')
    for arguments in ([], ["--json"]):
        output = inspect(path, *arguments).stdout
        assert not [c for c in output if not c.isprintable() and c != "\n"]
    output = inspect(path).stdout
    assert "[bold]b[/] [/x] :smile: \\x1b[31m \\x07 \\u202e \\x9b \\r\\n" in output
    assert "[red]\\x1b.json: 2 documents" in output


def test_wrong_arguments_end_with_exit_code_2(tmp_path: Path, formats: Path) -> None:
    post = write(tmp_path / "post.json", json.dumps(TOOT))
    formats.write_text("mastodon: {marks: []}")
    for arguments, message in (
        ([tmp_path / "none.json"], "none.json is not a file: check the path"),
        ([post, tmp_path], "is not a file"),
        ([post, "--formats", formats], "mastodon.marks: is empty: write at least one path"),
        ([post, "--formats", tmp_path / "none.yaml"], "none.yaml is not readable"),
    ):
        result = inspect(*arguments)
        assert result.exit_code == 2 and message in " ".join(result.stderr.split()), result.stderr
        assert result.stdout == ""


def test_an_empty_file_is_rejected(tmp_path: Path) -> None:
    result = inspect(write(tmp_path / "empty.json", "\n"))
    assert (result.exit_code, "1 × empty_file, the file is empty" in result.stdout) == (1, True)
