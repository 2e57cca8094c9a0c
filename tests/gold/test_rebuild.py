"""A rebuild of Gold: gold/sentiment follows silver/tweets, and the aggregates follow gold/sentiment."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Event

import pytest
from delta.tables import DeltaTable
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F
from typer.testing import Result

from spark_apps.erasure.request import make_request
from spark_apps.gold import parts
from spark_apps.gold.differences import COPIED_COLUMNS
from spark_apps.gold.production_model import BundledModel
from spark_apps.gold.rebuild import RebuildResult, rebuild
from spark_apps.gold.rewrite import RewriteError, RewrittenPart
from spark_apps.lake import delta_tables
from spark_apps.lake.commits import LakeError
from spark_apps.lake.status import read_status
from spark_apps.lake.writer import TableWriter
from spark_apps.scoring.description import ModelVersion
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS, SILVER_TWEETS
from tests.conftest import Pipeline, open_pipeline
from tests.exactness import assert_aggregates_match, assert_same_rows
from tests.failing_writes import fail_write
from tests.lakes import flat_tweet

pytestmark = pytest.mark.slow

UNFINISHED = Path("checkpoints", "rescore.json")
TEXT = "I love @friend{} so much!"
IDS = ["100", "101", "200", "201", "300", "400", "500"]


def land(pipeline: Pipeline, first: int, hours: int, day: str) -> None:
    """Land one tweet for each of the first `hours` hours of `day`, with ids from `first`; each has its own author."""
    lines = [
        flat_tweet(
            first + hour,
            timestamp=f"{day}T{hour:02}:30:00Z",
            full_text=TEXT.format(hour % 3),
            user_id=first + hour,
        )
        for hour in range(hours)
    ]
    pipeline.land(f"{first}.json", "".join(lines))


@pytest.fixture(scope="module")
def history_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a lake with the tweets `IDS` in seven hours of five days."""
    with open_pipeline(spark, tmp_path_factory.mktemp("history")) as pipeline:
        for day, hours in enumerate((2, 2, 1, 1, 1), start=1):
            land(pipeline, 100 * day, hours, f"2026-01-{day:02}")
        pipeline.run_once()
        return Path(pipeline.lake)


@pytest.fixture
def history(
    spark: SparkSession, tmp_path: Path, history_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pipeline]:
    """A pipeline with a copy of the history; a new model version `next` scores, and each hour is a part."""
    bundled = BundledModel().current()
    following = ModelVersion(bundled.name, "next", bundled.folder)
    monkeypatch.setattr(BundledModel, "current", lambda _: following)
    monkeypatch.setattr(parts, "_PART_ROWS", 1)
    with open_pipeline(spark, tmp_path, history_lake) as pipeline:
        yield pipeline


def rebuild_gold(
    pipeline: Pipeline, since: date | None = None, on_part: Callable[[RewrittenPart], None] = lambda _: None
) -> RebuildResult:
    return rebuild(pipeline.spark, pipeline.settings, since, on_part, Event())


def change_silver(pipeline: Pipeline, changes: Mapping[str, dict[str, object] | None]) -> None:
    """Change the rows of tweets, by id, in one MERGE like `rebuild silver`; None deletes the row."""
    tweets = delta_tables.read(pipeline.spark, pipeline.lake, SILVER_TWEETS)
    rows = [
        {**row.asDict(), **(changes[row["id"]] or {}), "is_removed": changes[row["id"]] is None}
        for row in tweets.where(F.col("id").isin(list(changes))).collect()
    ]
    for row in rows:
        row["tweet_date"] = row["timestamp"].date()
    schema = f"{tweets.schema.toDDL()}, is_removed BOOLEAN"
    merge = (
        DeltaTable.forPath(pipeline.spark, SILVER_TWEETS.path(pipeline.lake))
        .alias("t")
        .merge(pipeline.spark.createDataFrame(rows, schema).alias("s"), "t.id = s.id")
        .whenMatchedDelete("s.is_removed")
        .whenMatchedUpdate(set={name: f"s.{name}" for name in SILVER_TWEETS.column_names})
    )
    deleted = sum(change is None for change in changes.values())
    counts = {"changed": len(rows) - deleted, "deleted": deleted}
    TableWriter(pipeline.lake, SILVER_TWEETS, "rebuild", uuid.uuid4().hex).merge(merge, pipeline.spark, 0, counts)


def at(day: int, hour: int) -> dict[str, object]:
    return {"timestamp": datetime(2026, 1, day, hour, 30, tzinfo=UTC).replace(tzinfo=None)}


# Two texts for which the model reads another text and the same text, another language, a deletion, and four tweets with
# another time: one in the same hour as another tweet, one on a new day, and two that change places.
CHANGES: dict[str, dict[str, object] | None] = {
    "100": {"full_text": "I hate this so much!", "mentions": []},
    "101": {"lang": "es", **at(1, 0)},
    "200": {"full_text": "I love @Friend0 so  much!", "mentions": ["other"]},
    "201": None,
    "300": {"full_text": "Terrible, awful, bad", **at(7, 3)},
    "400": at(5, 0),
    "500": at(4, 0),
}
RESCORED = {"100", "300"}


def by_id(pipeline: Pipeline) -> dict[str, Row]:
    return {row["id"]: row for row in pipeline.rows(GOLD_SENTIMENT)}


def check(pipeline: Pipeline, ids: list[str]) -> None:
    """Assert that Gold has the tweets `ids` as Silver has them, and that the aggregates and the sums match."""
    tweets, sentiment = (
        delta_tables.read(pipeline.spark, pipeline.lake, table) for table in (SILVER_TWEETS, GOLD_SENTIMENT)
    )
    assert sorted(row["id"] for row in sentiment.collect()) == sorted(ids)
    assert_same_rows(tweets.select(COPIED_COLUMNS), sentiment.select(COPIED_COLUMNS))
    assert sentiment.where("label IS NULL OR score IS NULL OR scored_at IS NULL").isEmpty()
    assert_aggregates_match(pipeline.spark, pipeline.lake)
    status = read_status(pipeline.lake)
    assert status.lag == {"silver": 0, "gold": 0, "aggregates": 0}
    totals = status.tables[GOLD_SENTIMENT.name].totals
    assert totals["rows"] - totals.get("deleted", 0) == len(ids)
    assert not Path(pipeline.lake, UNFINISHED).exists()


def check_streams_continue(pipeline: Pipeline, ids: list[str]) -> None:
    """Assert that the streams have nothing to read after a rebuild, and that they read new tweets exactly once."""
    versions = pipeline.versions()
    assert pipeline.run_once() == [] and rebuild_gold(pipeline).tweets == 0
    assert pipeline.versions() == versions
    land(pipeline, 900, 2, "2026-01-01")
    pipeline.run_once()
    check(pipeline, [*ids, "900", "901"])


def test_a_rebuild_of_an_unchanged_lake_commits_nothing(history: Pipeline) -> None:
    versions = history.versions()
    done = rebuild_gold(history)
    assert (done.tweets, done.parts, done.moved, done.deleted, done.aggregates) == (0, 0, 0, 0, [])
    assert history.versions() == versions
    assert not Path(history.lake, UNFINISHED).exists()


def test_gold_follows_the_changes_of_silver_and_scores_only_changed_texts(history: Pipeline) -> None:
    before = by_id(history)
    change_silver(history, CHANGES)
    reports: list[RewrittenPart] = []
    done = rebuild_gold(history, on_part=reports.append)
    ids = [id_ for id_ in IDS if id_ != "201"]
    check(history, ids)
    after = by_id(history)
    for id_, row in after.items():
        labels = [
            [rows[id_][name] for name in ("label", "score", "negative", "model_version")] for rows in (before, after)
        ]
        assert row["scored_at"] == before[id_]["scored_at"]
        assert (labels[0] == labels[1], row["rescored_at"] is None) == (id_ not in RESCORED, id_ not in RESCORED)
    assert {id_ for id_, row in after.items() if row["model_version"] == "next"} == RESCORED
    assert {after[id_]["label"] for id_ in RESCORED} == {"negative"}
    # The two tweets that change places need no more than their new times.
    assert (done.moved, done.tweets, done.deleted, done.model_version) == (4, 5, 1, "next")
    assert done.aggregates == [GOLD_TRENDS.name, GOLD_MENTIONS.name]
    assert len(reports) == done.parts == 3 and (reports[0].day, reports[-1].day) == ("2026-01-07", "2026-01-01")
    check_streams_continue(history, ids)


def test_lost_doubled_and_damaged_rows_of_gold_are_mended(history: Pipeline) -> None:
    spark, path = history.spark, f"delta.`{GOLD_SENTIMENT.path(history.lake)}`"
    # Hours without any row: a stream must not read the rows that come back as new ones.
    spark.sql(f"DELETE FROM {path} WHERE id IN ('100', '500')")
    done = rebuild_gold(history)
    assert (done.tweets, done.deleted, done.parts) == (2, 0, 2)
    check(history, IDS)
    assert {id_ for id_, row in by_id(history).items() if row["model_version"] == "next"} == {"100", "500"}
    check_streams_continue(history, IDS)

    rows = delta_tables.read(spark, history.lake, GOLD_SENTIMENT).localCheckpoint()
    spark.sql(f"UPDATE {path} SET timestamp = NULL WHERE id = '101'")
    spark.sql(f"UPDATE {path} SET tweet_date = DATE'2026-01-09' WHERE id = '200'")
    spark.sql(f"UPDATE {path} SET mentions = NULL WHERE id = '201'")
    copies = rows.where("id = '300'")
    strange = copies.withColumn("id", F.lit("strange"))
    undated = copies.withColumns({"id": F.lit("undated"), "timestamp": F.lit(None).cast("timestamp")})
    for damaged in (copies, strange, undated):
        write = damaged.write.format("delta").mode("append").option("dataChange", "false")
        write.save(GOLD_SENTIMENT.path(history.lake))
    done = rebuild_gold(history)
    assert (done.moved, done.deleted) == (2, 3)
    assert_same_rows(rows, delta_tables.read(spark, history.lake, GOLD_SENTIMENT))
    assert history.run_once() == [] and rebuild_gold(history).tweets == 0
    assert read_status(history.lake).lag == {"silver": 0, "gold": 0, "aggregates": 0}


def test_damaged_aggregates_are_mended_and_the_others_stay(history: Pipeline) -> None:
    damages = (
        (GOLD_TRENDS, "UPDATE {} SET score_sum = score_sum + 0.001 WHERE minute = TIMESTAMP'2026-01-01T00:30:00Z'"),
        (GOLD_TRENDS, "DELETE FROM {}"),
        (GOLD_MENTIONS, "UPDATE {} SET last_seen = NULL WHERE mention = 'friend1'"),
    )
    for table, damage in damages:
        history.spark.sql(damage.format(f"delta.`{table.path(history.lake)}`"))
        done = rebuild_gold(history)
        assert (done.tweets, done.aggregates) == (0, [table.name])
        check(history, IDS)


def test_a_rebuild_continues_after_a_failure_around_any_write(
    history: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write fails once before and once after its commit, as by a kill; the streams run between two attempts."""
    change_silver(history, CHANGES)
    history.spark.sql(f"DELETE FROM delta.`{GOLD_SENTIMENT.path(history.lake)}` WHERE id IN ('200', '500')")
    ids, before = [id_ for id_ in IDS if id_ != "201"], by_id(history)
    writes = (
        (GOLD_SENTIMENT, "merge"),
        (GOLD_SENTIMENT, "replace"),
        (GOLD_SENTIMENT, "restore"),
        (GOLD_TRENDS, "replace"),
        (GOLD_MENTIONS, "replace"),
    )
    for table, method in writes:
        for when in ("before", "after"):
            with monkeypatch.context() as patch:
                fail_write(patch, method, table, when)
                with pytest.raises(RuntimeError, match=f"failed {when} the commit of {table.name}"):
                    rebuild_gold(history)
            assert Path(history.lake, UNFINISHED).exists()
        ids.append(str(900 + len(ids)))
        land(history, int(ids[-1]), 1, "2026-01-06")
        history.run_once()
    done = rebuild_gold(history)
    assert (done.tweets, done.moved, done.deleted, done.aggregates) == (0, 0, 0, [])
    check(history, ids)
    rows = by_id(history)
    for id_ in before.keys() - {"201"}:
        assert rows[id_]["scored_at"] == before[id_]["scored_at"]
        assert rows[id_]["model_version"] == ("next" if id_ in RESCORED else before[id_]["model_version"])
    check_streams_continue(history, ids)


def test_tweets_that_silver_appends_during_a_rebuild_are_read_once_afterwards(history: Pipeline) -> None:
    change_silver(history, CHANGES)

    def append(report: RewrittenPart) -> None:
        if report.part == 1:
            land(history, 600, 5, "2026-01-01")
            history.run_once(*history.streams("bronze", "silver"))
            change_silver(history, {"601": {"lang": "ja"}, "400": {"lang": "de"}})

    rebuild_gold(history, on_part=append)
    status = read_status(history.lake)
    assert (status.lag["gold"], len(by_id(history))) == (5, 6)
    ids = [id_ for id_ in IDS if id_ != "201"] + [str(600 + hour) for hour in range(5)]
    history.run_once()
    assert sorted(by_id(history)) == sorted(ids) and by_id(history)["400"]["lang"] == "und"
    done = rebuild_gold(history)
    assert done.parts == 2
    check(history, ids)


def test_a_tweet_that_silver_has_removed_and_appended_again_is_in_gold_once(history: Pipeline) -> None:
    change_silver(history, {"100": None})
    land(history, 100, 1, "2026-01-01")
    history.run_once()
    assert [row["id"] for row in history.rows(GOLD_SENTIMENT)].count("100") == 2
    rebuild_gold(history)
    check(history, IDS)


def test_erased_tweets_stay_out(history: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    request = make_request(["101"], ["300"], "the author asked")
    history.land("request.json", json.dumps(request.to_json()) + "\n")
    change_silver(history, {"100": at(1, 1)})
    with monkeypatch.context() as patch:
        # Silver still has the tweets when Gold has already deleted them.
        fail_write(patch, "erase", SILVER_TWEETS, "before")
        history.run_once(*history.streams("bronze", "silver"))
        rebuild_gold(history)
    remaining = [id_ for id_ in IDS if id_ not in {"101", "300"}]
    assert sorted(by_id(history)) == remaining
    history.run_once()
    check(history, remaining)


def test_since_limits_the_comparison(history: Pipeline) -> None:
    # One tweet moves out of the compared days, and one moves into them.
    changes: dict[str, dict[str, object] | None] = {
        "100": {"lang": "es"},
        "101": {"lang": "es", **at(4, 7)},
        "300": {"lang": "ja"},
        "400": at(1, 5),
    }
    change_silver(history, changes)
    before = by_id(history)
    done = rebuild_gold(history, date(2026, 1, 3))
    assert (done.moved, done.tweets, done.deleted) == (2, 2, 0)
    after = by_id(history)
    assert {id_: row["lang"] for id_, row in after.items() if row["lang"] != "und"} == {"101": "es", "300": "ja"}
    assert {id_ for id_ in IDS if after[id_]["timestamp"] != before[id_]["timestamp"]} == {"101", "400"}
    assert all(row["model_version"] == before[id_]["model_version"] for id_, row in after.items())
    assert_aggregates_match(history.spark, history.lake)
    assert rebuild_gold(history).tweets == 1
    check(history, IDS)


def test_the_command_reports_parts_and_stops(
    history: Pipeline, command: Callable[..., Result], pipeline_without_tables: Pipeline
) -> None:
    refused = command("rebuild", "gold", "--lake", history.lake, "--since", "yesterday")
    assert refused.exit_code == 2 and "--since yesterday is not a date: write a day such as" in refused.stderr
    with pytest.raises(LakeError, match=r"gold/sentiment does not exist yet: run the streams"):
        rebuild_gold(pipeline_without_tables)

    change_silver(history, CHANGES)
    stop = Event()
    with pytest.raises(RewriteError, match=r"the rebuild was stopped with 2 of 3 parts left: run the same command"):
        rebuild(history.spark, history.settings, None, lambda _: stop.set(), stop)
    done = command("rebuild", "gold", "--lake", history.lake, "--json", TWEETS_MONITOR_PORT="8090")
    assert done.exit_code == 0, done.output
    *reports, result = (json.loads(line) for line in done.stdout.splitlines())
    assert [(report["event"], report["part"], report["parts"]) for report in reports] == [
        ("rebuilt", number, 2) for number in (1, 2)
    ]
    assert (result["tweets"], result["parts"], result["deleted"]) == (reports[-1]["done"], 2, 1)
    check(history, [id_ for id_ in IDS if id_ != "201"])
    done = command("rebuild", "gold", "--lake", history.lake)
    assert "0 tweets of gold/sentiment rewritten" in done.stderr and "replaced aggregates: none" in done.stderr


@pytest.fixture
def pipeline_without_tables(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with open_pipeline(spark, tmp_path_factory.mktemp("empty")) as pipeline:
        yield pipeline
