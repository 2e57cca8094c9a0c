"""The batch metadata of a table's commits, read while another process commits."""

from pathlib import Path

import pandas as pd

from spark_apps.lake.commits import batch_commits, open_existing_table
from spark_apps.tables import SILVER_TWEETS
from tests.lakes import put


def append(lake: Path, *batches: int) -> None:
    for batch in batches:
        put(lake, SILVER_TWEETS, pd.DataFrame({"id": [str(batch)]}), rows=batch)


def test_commits_have_their_version_although_others_commit_meanwhile(tmp_path: Path) -> None:
    lake = tmp_path / "a b ü"
    append(lake, *range(40))
    delta = open_existing_table(str(lake), SILVER_TWEETS)
    append(lake, 40, 41)
    commits = list(batch_commits(delta))
    assert [(commit.version, commit.metadata.counts["rows"]) for commit in commits] == [
        (version, version) for version in range(39, -1, -1)
    ]
    assert [commit.version for commit in batch_commits(delta, 36)] == [39, 38, 37]
    assert list(batch_commits(delta, 39)) == []


def test_commits_end_where_the_log_was_cleaned(tmp_path: Path) -> None:
    append(tmp_path, *range(20))
    delta = open_existing_table(str(tmp_path), SILVER_TWEETS)
    for version in range(5):
        (tmp_path / SILVER_TWEETS.name / "_delta_log" / f"{version:020}.json").unlink()
    assert [commit.version for commit in batch_commits(delta)] == list(range(19, 4, -1))
