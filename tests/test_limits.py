"""Each limit of the settings reaches the tasks of Bronze and Silver."""

import gzip

from spark_apps.lake.status import read_status
from spark_apps.settings import Settings
from spark_apps.tables import BRONZE_TWEETS, QUARANTINE, SILVER_TWEETS
from tests.conftest import Pipeline
from tests.lakes import flat_tweet


def rejects(pipeline: Pipeline) -> dict[str, str]:
    return {row["reason"]: row["detail"] for row in pipeline.rows(QUARANTINE)}


def test_a_run_keeps_the_limits_of_the_settings(pipeline: Pipeline) -> None:
    limits = {
        "max_task_mb": 1,
        "max_expansion": 10,
        "max_text_characters": 1000,
        "max_mentions": 2,
    }
    pipeline.settings = Settings(landing=pipeline.landing, lake=pipeline.lake, **limits)  # type: ignore[arg-type]
    pipeline.land("large.json", "".join(flat_tweet(number, padding="x" * 1000) for number in range(1, 3001)))
    pipeline.land("repeated.json.gz", gzip.compress(flat_tweet(1).encode() * 100_000))
    pipeline.land("long.json", flat_tweet(4001, full_text="x" * 1000) + flat_tweet(4002, full_text="x" * 1001))
    pipeline.land("mentions.json", flat_tweet(4003, full_text="@a @b @c"))
    reports = pipeline.run_once(*pipeline.streams("bronze", "silver"))
    of_bronze = [report.counts["rows"] for report in reports if report.stream == "bronze"]
    # Bronze reads a megabyte a task, the large file and the repeated lines side by side: 950 and 10,000 documents each.
    assert len(of_bronze) >= 4
    assert max(of_bronze) < 30_000
    assert rejects(pipeline) == {
        "too_compressed": "the file expands to more than 10 times its size; the documents before it are kept",
        "long_text": "1001 characters; the limit is 1000",
    }
    tweets = {int(row["id"]): row for row in pipeline.rows(SILVER_TWEETS)}
    assert tweets.keys() == {*range(1, 3001), 4001, 4003}
    assert tweets[4003]["mentions"] == ["a", "b"]
    assert read_status(pipeline.lake).tables[BRONZE_TWEETS.name].totals["rows"] == sum(of_bronze)
