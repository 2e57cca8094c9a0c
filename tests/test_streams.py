"""All layers together: exact sums, second runs, replays, failures between any two writes, tables that changed."""

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable

from spark_apps import tables
from spark_apps.bronze import app as bronze
from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected, LandedFile
from spark_apps.lake import delta_tables
from spark_apps.lake.commits import LakeError
from spark_apps.lake.status import read_status
from spark_apps.lake.writer import TableWriter
from spark_apps.silver import app as silver
from spark_apps.streaming.checkpoint import last_error
from spark_apps.streaming.runner import StreamError, StreamRunner
from spark_apps.streaming.stream import BatchReport
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT, QUARANTINE, SILVER_TWEETS, Column
from tests.conftest import Place
from tests.exactness import check
from tests.waiting import until

MIX = Mix(duplicates=0.1, late=0.1, malformed=0.05)


def land(place: Place, files: list[LandedFile], prefix: str = "") -> Expected:
    total = Expected()
    for file in files:
        place.land(prefix + file.name, file.data)
        total += file.expected
    return total


def test_every_record_ends_in_one_place_and_stays_there(place: Place) -> None:
    generator = Generator(11, mix=MIX)
    first, second = list(generator.files(900, 150)), list(generator.files(300, 100))
    expected = land(place, first + generator.troubles())
    place.once(*place.layers())
    before = {name: table.version for name, table in read_status(place.lake).tables.items()}

    assert place.once(*place.layers()) == []
    assert {name: table.version for name, table in read_status(place.lake).tables.items()} == before

    # All of it landed once more, under other names: nothing but duplicates and the same rejects again.
    again = Expected()
    for file in first:
        again += land(place, [file], "again/")
    expected += land(place, second)
    place.once(*place.layers())
    repeated = Expected(again.documents, 0, again.tweets + again.duplicates, again.quarantine)
    check(place.spark, place.lake, expected + repeated)


@pytest.mark.parametrize("left", [[], [".00000000000000000000.json.1f.tmp", "..00000000000000000000.json.1f.tmp.crc"]])
def test_a_kill_while_a_table_is_created_costs_nothing(place: Place, left: list[str]) -> None:
    for table in tables.TABLES:
        log = Path(table.path(place.lake), "_delta_log")
        log.mkdir(parents=True)
        for name in left:
            (log / name).write_bytes(b"half")
    expected = land(place, list(Generator(3, mix=MIX).files(40, 20)))
    place.once(*place.layers())
    check(place.spark, place.lake, expected)


def test_a_kill_while_the_first_batch_is_planned_costs_nothing(place: Place) -> None:
    place.once(*place.layers())  # nothing has landed: the checkpoints are made, and hold no batch
    for layer in ("bronze", "silver", "gold", "gold-aggregates"):
        offsets = Path(place.lake, "checkpoints", layer, "offsets")
        offsets.mkdir(exist_ok=True)
        (offsets / ".0.5a6ecb50-e408-45fd-bbbc-6ef2f7722d72.tmp").write_bytes(b"v1")
    expected = land(place, list(Generator(3, mix=MIX).files(40, 20)))
    place.once(*place.layers())
    check(place.spark, place.lake, expected)


def test_a_layer_alone_waits_for_the_tables_of_the_layer_before(place: Place) -> None:
    """It makes none of them: on S3 it may not, and two processes would make them at once."""
    only_silver = [stream for stream in place.layers() if stream.name == "silver"]
    with pytest.raises(LakeError, match=r"bronze/tweets does not exist yet: run the layer that writes the table first"):
        place.once(*only_silver)
    assert not Path(BRONZE_TWEETS.path(place.lake)).exists()

    expected = land(place, list(Generator(3, mix=MIX).files(40, 20)))
    stop, waited, reports = threading.Event(), threading.Event(), list[BatchReport]()
    waiting = StreamRunner(place.spark, place.lake, reports.append, stop, on_wait=lambda _: waited.set())
    run = threading.Thread(target=waiting.run, args=(only_silver, "0 seconds"))
    run.start()
    try:
        assert waited.wait(30)
        place.once(*[stream for stream in place.layers() if stream.name == "bronze"])
        until(lambda: sum(report.counts["rows"] for report in reports) >= expected.tweets, 90, "all tweets in Silver")
        assert run.is_alive()
    finally:
        stop.set()
        run.join(60)


WRITES = [
    "bronze/tweets",
    "silver/quarantine",
    "silver/tweets",
    "gold/sentiment",
    "gold/trends",
    "gold/mentions",
]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_failure_around_any_write_costs_nothing(place: Place, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Each write in turn fails before or after its commit, as by a kill; the next start takes up where that stood."""
    generator = Generator(5, mix=MIX)
    expected = Expected()
    for table in WRITES:
        expected += land(place, list(generator.files(40, 20)))
        with monkeypatch.context() as patch:
            for write in ("append", "merge"):
                patch.setattr(TableWriter, write, _failing(getattr(TableWriter, write), table, when))
            with pytest.raises(StreamError, match=f"struck {when} {table}"):
                place.once(*place.layers())
        stream = "gold-aggregates" if table in WRITES[-2:] else table.partition("/")[0]
        error = json.loads(Path(place.lake, "checkpoints", f"{stream}.error.json").read_text())
        assert f"struck {when} {table}" in (
            last_error(place.spark, place.lake, [stream.name for stream in place.layers()]) or ""
        )
        assert f"struck {when} {table}" in error["error"]
    place.once(*place.layers())
    check(place.spark, place.lake, expected)


def _failing(write: Any, table: str, when: str) -> Any:
    def wrapped(self: TableWriter, *args: Any) -> None:
        if self.table.name != table or when == "after":
            write(self, *args)
        if self.table.name == table:
            raise RuntimeError(f"struck {when} {table}")

    return wrapped


def flat(number: int, **more: object) -> str:
    tweet = {"id": number, "full_text": f"tweet {number}", "timestamp": "2026-01-01T00:00:00Z", "user_id": 1}
    return json.dumps(tweet | more) + "\n"


def two_layers(place: Place) -> list[Any]:
    return [*bronze.streams(place.spark, place.settings), *silver.streams(place.spark, place.settings)]


def test_an_unknown_field_becomes_a_column_by_one_entry(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.land("1.json", flat(1, stats={"likes": 5}))
    place.once(*two_layers(place))
    with monkeypatch.context() as patch:
        # As an edit of tables.py does.
        likes = Column("likes", "BIGINT", "number of likes", field="stats.likes")
        evolved = replace(SILVER_TWEETS, columns=(*SILVER_TWEETS.columns, likes))
        patch.setattr(silver, "SILVER_TWEETS", evolved)
        patch.setattr(delta_tables, "SCHEMA_VERSION", tables.SCHEMA_VERSION + 1)
        place.land("2.json", flat(2, stats={"likes": 7}) + flat(3, stats={"likes": "many"}) + flat(4))
        place.once(*two_layers(place))
        found = {row["id"]: row["likes"] for row in place.rows(evolved)}
        assert found == {"1": None, "2": 7, "3": None, "4": None}
        assert read_status(place.lake).tables[SILVER_TWEETS.name].schema_version == tables.SCHEMA_VERSION + 1
    # What did not become a column is still whole in Bronze.
    assert any('"many"' in row["raw"] for row in place.rows(tables.BRONZE_TWEETS))

    with pytest.raises(LakeError, match="written by a newer version of this program"):
        place.once(*two_layers(place))


def test_a_column_of_another_type_is_refused_by_name(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.land("1.json", flat(1))
    place.once(*two_layers(place))
    columns = tuple(
        replace(column, type="BIGINT") if column.name == "user_id" else column for column in SILVER_TWEETS.columns
    )
    monkeypatch.setattr(silver, "SILVER_TWEETS", replace(SILVER_TWEETS, columns=tuple(columns)))
    with pytest.raises(LakeError, match="user_id is STRING, not BIGINT"):
        place.once(*two_layers(place))


def test_a_checkpoint_of_other_tables_is_refused(place: Place, tmp_path: Path) -> None:
    place.land("1.json", flat(1))
    place.once(*two_layers(place))
    Path(place.lake, "silver", "tweets").rename(tmp_path / "away")
    with pytest.raises(LakeError, match=r"checkpoints/silver belongs to other tables .*silver/tweets recreated"):
        place.once(*two_layers(place))
    # Whoever looks after the process is gone finds why it never began.
    left = last_error(place.spark, place.lake, ["bronze", "silver"])
    assert left and "bronze: " in left and "belongs to other tables" in left


def test_a_second_process_on_a_table_ends_the_first(place: Place) -> None:
    place.land("1.json", flat(1))
    place.once(*two_layers(place))
    first = TableWriter(place.lake, SILVER_TWEETS, "silver", "silver:one")
    second = TableWriter(place.lake, SILVER_TWEETS, "silver", "silver:two")
    row = delta_tables.read(place.spark, place.lake, SILVER_TWEETS).limit(1)
    for batch in (1, 2):
        first.append(row, batch, {"rows": 1})
    # What this program does to a table between batches is no second process.
    DeltaTable.forPath(place.spark, SILVER_TWEETS.path(place.lake)).optimize().executeCompaction()
    first.append(row, 3, {"rows": 1})
    first.append(row, 3, {"rows": 1})
    assert TableWriter(place.lake, SILVER_TWEETS, "silver", "silver:one").is_committed(3) and not second.is_committed(0)
    with pytest.raises(LakeError, match=r"silver/tweets was written by another process \(version \d+: batch 3 of"):
        second.append(row, 1, {"rows": 1})
    assert delta_tables.read(place.spark, place.lake, SILVER_TWEETS).count() == 1 + 3


def test_a_lake_that_cannot_be_written_is_named(place: Place) -> None:
    Path(place.lake).write_text("a file where the lake should be")
    with pytest.raises(LakeError, match=f"cannot create {place.lake}/bronze/tweets"):
        place.once(*two_layers(place))


def test_within_a_batch_the_first_that_landed_wins(place: Place) -> None:
    place.land("a.json", flat(1, full_text="first") + flat(1, full_text="second"))
    place.once(*two_layers(place))
    (row,) = place.rows(SILVER_TWEETS)
    assert row["full_text"] == "first"
    assert row["timestamp"] == datetime(2026, 1, 1, tzinfo=UTC).astimezone().replace(tzinfo=None)


def test_ids_of_any_length_and_day_are_found_again(place: Place) -> None:
    ids = [7, 10, 9, 100, 99, 2**63, 2**64 - 1, 1_050_118_621_198_921_728]
    days = ["2009-01-01", "2026-01-01", "2026-01-02"]
    lines = [flat(id_, timestamp=f"{days[row % 3]}T00:00:00Z") for row, id_ in enumerate(ids)]
    place.land("1.json", "".join(lines))
    place.once(*two_layers(place))
    # The same ids again, on other days than before.
    place.land("2.json", "".join(flat(id_, timestamp="2026-03-03T00:00:00Z") for id_ in ids) + flat(8))
    place.once(*two_layers(place))
    assert sorted(int(row["id"]) for row in place.rows(SILVER_TWEETS)) == sorted([*ids, 8])
    assert read_status(place.lake).tables[SILVER_TWEETS.name].totals["duplicates"] == len(ids)


def test_gold_scores_once_and_says_by_what(place: Place) -> None:
    place.land("1.json", flat(1, full_text="I love this so much!") + flat(2, full_text="I hate this, it is awful"))
    place.once(*place.layers())
    found = {row["id"]: row for row in place.rows(GOLD_SENTIMENT)}
    assert (found["1"]["label"], found["2"]["label"]) == ("positive", "negative")
    for row in found.values():
        probabilities = [row["negative"], row["neutral"], row["positive"]]
        assert sum(probabilities) == pytest.approx(1, abs=1e-3)
        assert row["score"] == max(probabilities) == row[row["label"]]
        assert row["model"] == "tweet-sentiment" and row["model_version"].startswith("bundled-")
        assert row["landed_at"] <= row["ingested_at"] <= row["scored_at"]


def test_quarantine_keeps_what_was_rejected(place: Place) -> None:
    place.land("1.json", "no json at all\n" + flat(1) + '{"delete": {"status": {"id": 1}}}\n')
    place.once(*two_layers(place))
    found = {row["reason"]: row for row in place.rows(QUARANTINE)}
    assert found["not_json"]["raw"] == "no json at all"
    assert json.loads(found["deletion"]["raw"]) == {"delete": {"status": {"id": 1}}}
    assert all(row["source_file"].endswith("1.json") for row in found.values())
