"""Labelled tweets from the labels that people gave on the dashboard."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spark_apps.cli.main import app
from spark_apps.lake.commits import LakeError
from spark_apps.lake.human_labels import HumanLabel, append
from spark_apps.model.dataset import LabelledTweets
from spark_apps.model.human_labels import write_human_labels
from spark_apps.registry.client import Registry
from spark_apps.tables import GOLD_SENTIMENT
from tests.lakes import gold_rows, put

TIME = datetime(2026, 1, 2, tzinfo=UTC)
LABEL = HumanLabel("0", "negative", None, TIME, "neutral", "7")


@pytest.fixture
def lake(tmp_path: Path) -> str:
    tweets = gold_rows(30, timedelta(minutes=5))
    tweets.loc[3, "full_text"] = "two\r\nlines of 日本語"
    tweets.loc[4, "lang"] = "not a language!"
    put(tmp_path / "lake", GOLD_SENTIMENT, tweets, rows=30)
    return str(tmp_path / "lake")


def write(lake: str, folder: Path) -> dict[str, tuple[str, int, str, str]]:
    """Write the labelled tweets; return label, language and source by text."""
    folder.mkdir()
    counts = write_human_labels(lake, folder)
    tweets = LabelledTweets((folder,))
    splits = {name: tweets.read(name) for name in ("train", "val")}
    assert counts == {name: len(split) for name, split in splits.items()}
    return {
        text: (name, label, language, source)
        for name, split in splits.items()
        for text, label, language, source in zip(split.texts, split.labels, split.languages, split.sources, strict=True)
    }


def test_the_last_label_of_each_tweet_counts(lake: str, tmp_path: Path) -> None:
    for number in range(20):
        append(lake, replace(LABEL, id=str(number)))
    append(lake, replace(LABEL, id="3", label="positive", labelled_at=TIME + timedelta(seconds=1)))
    append(lake, replace(LABEL, id="5", label=None, labelled_at=TIME + timedelta(seconds=1)))
    append(lake, replace(LABEL, id="erased or never scored"))
    written = write(lake, tmp_path / "labelled")
    assert len(written) == 19 and {name for name, *_ in written.values()} == {"train", "val"}
    assert written["two lines of 日本語"][1] == 2
    assert written["tweet 4 about @account4"][1:3] == (0, "und")
    assert "tweet 5 about @account5" not in written
    year = datetime.now(UTC).year
    assert {source for *_, source in written.values()} <= {f"human_labels_{year}", f"human_labels_{year - 1}"}


def test_a_tweet_stays_in_its_split_when_labels_are_added(lake: str, tmp_path: Path) -> None:
    for number in range(15):
        append(lake, replace(LABEL, id=str(number)))
    before = write(lake, tmp_path / "before")
    for number in range(15, 30):
        append(lake, replace(LABEL, id=str(number)))
    after = write(lake, tmp_path / "after")
    assert len(before) == 15 and len(after) == 30 and before.items() <= after.items()


def test_a_lake_with_too_few_labels_is_an_error(lake: str, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="labels of 0 tweets, too few for training and validation: label more tweets"):
        write_human_labels(lake, tmp_path)
    append(lake, LABEL)
    with pytest.raises(LakeError, match="labels of 1 tweets"):
        write_human_labels(lake, tmp_path)
    with pytest.raises(LakeError, match="does not exist"):
        write_human_labels(f"{lake}-typo", tmp_path)


def test_upload_makes_labelled_tweets_of_the_labels_in_a_lake(lake: str, tmp_path: Path) -> None:
    registry = f"sqlite:///{tmp_path / 'registry.db'}"
    for number in range(15):
        append(lake, replace(LABEL, id=str(number)))
    done = CliRunner().invoke(app, ["model", "upload", "--from-lake", lake, "--registry", registry, "--json"])
    assert done.exit_code == 0, done.output
    uri = json.loads(done.stdout)["uri"]
    assert uri.endswith("/human_labels") and "train: " in done.stderr
    folder = Registry(registry, 60).download_artifacts(uri, tmp_path / "downloaded")
    tweets = LabelledTweets((folder,))
    assert len(tweets.read("train")) + len(tweets.read("val")) == 15


@pytest.mark.parametrize("arguments", [[], [".", "--from-lake", "lake"]], ids=["neither", "both"])
def test_upload_takes_either_a_folder_or_a_lake(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, ["model", "upload", *arguments])
    assert done.exit_code == 2
    assert "pass either a folder or --from-lake" in " ".join(done.stderr.split())
