"""The report on erasures: pending, applied, or complete."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from spark_apps.erasure.request import LANDED_AGAIN, user_key
from spark_apps.lake.erasure_progress import Progress
from spark_apps.lake.erasure_report import BatchErasures, read_erasures
from spark_apps.tables import ERASURES, GOLD_SENTIMENT, SILVER_TWEETS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = [
    ("tweet", "5", "request 17", NOW, 3),
    ("user", user_key("12"), "request 18", NOW, 4),
    ("tweet", "5", LANDED_AGAIN, None, 6),
]


@pytest.fixture
def lake(tmp_path: Path) -> str:
    kinds, keys, whys, times, batches = zip(*ROWS, strict=True)
    table = pa.table(
        {
            "kind": kinds,
            "key": keys,
            "why": whys,
            "requested_at": pa.array(times, pa.timestamp("us", "UTC")),
            "ingested_at": pa.array([NOW] * len(ROWS), pa.timestamp("us", "UTC")),
            "batch": pa.array(batches, pa.int64()),
        }
    )
    write_deltalake(ERASURES.path(str(tmp_path)), table, partition_by=["kind"])
    for other in (SILVER_TWEETS, GOLD_SENTIMENT):
        write_deltalake(other.path(str(tmp_path)), table)
    return str(tmp_path)


def write_progress(lake: str) -> Progress:
    """Apply the batches 3 and 4 to Silver and Gold, and remove the files of the first of them."""
    progress = Progress(str(DeltaTable(ERASURES.path(lake)).metadata().id), {})
    for table, stream in ((SILVER_TWEETS.name, "silver"), (GOLD_SENTIMENT.name, "gold")):
        steps = progress.applied(table, 3, 100.0).removed(table, 150.0, 200.0 if stream == "silver" else 250.0)
        steps = steps.applied(table, 4, 300.0) if stream == "silver" else steps
        steps.write(lake, stream)
    return progress


def states(erasures: list[BatchErasures]) -> dict[int, str]:
    return {batch.batch: batch.state for batch in erasures}


def test_erasures_are_pending_applied_or_complete(lake: str) -> None:
    write_progress(lake)
    erasures = read_erasures(lake, 10)
    assert states(erasures) == {
        6: "pending: silver/tweets, gold/sentiment",
        4: "pending: gold/sentiment",
        3: "complete",
    }
    complete = erasures[-1]
    assert complete.complete_at == datetime.fromtimestamp(250, UTC)
    assert (complete.tweets, complete.users, complete.why, complete.requested_at) == (1, 0, ("request 17",), NOW)
    assert erasures[0].landed_again == 1
    assert len(read_erasures(lake, 1)) == 1


@pytest.mark.parametrize(
    ("key", "batches"), [({"tweet": "5"}, [6, 3]), ({"user": "12"}, [4]), ({"user": "' OR 1 = 1 --"}, [])]
)
def test_the_erasures_of_a_tweet_or_a_user(lake: str, key: dict[str, str], batches: list[int]) -> None:
    assert [batch.batch for batch in read_erasures(lake, 10, **key)] == batches


def test_the_progress_of_another_table_of_erasures_does_not_count(lake: str) -> None:
    Progress("another table", {}).applied(SILVER_TWEETS.name, 9, 100.0).write(lake, "silver")
    assert states(read_erasures(lake, 10))[3] == "pending: silver/tweets, gold/sentiment"


def test_a_lake_without_erasures_has_no_report(tmp_path: Path) -> None:
    assert read_erasures(str(tmp_path), 10) == []
