"""Layouts of the Gold tables: live batches, a replay of ten years, the number of files, and queries."""

import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from pyspark.sql import functions as F

from spark_apps.dashboard import statements
from spark_apps.lake.query import LakeQuery, Statement, Value
from spark_apps.lake.status import read_status
from spark_apps.session import make_session
from spark_apps.settings import load
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS, Table
from tests.benchmarks.gold_lake import DAY, TODAY, GoldLake, Layout
from tests.benchmarks.result import Line, Result

LIVE_BATCHES, LIVE_TWEETS = 16, 1_000
REPLAY_DAYS, REPLAY_TWEETS, REPLAYS = 3_650, 20_000, 2
# A compaction starts at this many files instead of Delta's 50, so that the live batches include compactions.
COMPACTED_FILES = 10
LAYOUTS = {
    "a partition per day": Layout("PARTITIONED BY (tweet_date)", sort=False),
    "a partition per month": Layout("PARTITIONED BY (month)", month=True),
    "liquid clustering by day": Layout("CLUSTER BY (tweet_date)"),
    "no partitions": Layout(merged_mb=4),
    "no partitions, deletion vectors": Layout(deletion_vectors=True),
}


def layout() -> Result:
    """CPU seconds of live batches, of a replay of ten years, and of queries, for each layout of the tables."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        spark = make_session(load(lake=folder))
        spark.conf.set("spark.databricks.delta.autoCompact.minNumFiles", COMPACTED_FILES)
        try:
            # The first run compiles plans that all others reuse: do not measure it.
            _measure(GoldLake(spark, f"{folder}/warm-up", Layout()))
            figures = {
                name: _measure(GoldLake(spark, f"{folder}/{number}", candidate))
                for number, (name, candidate) in enumerate(LAYOUTS.items())
            }
        finally:
            spark.stop()
    lines = [
        Line(f"{name}: {title}", ", ".join(f"{key} {value}" for key, value in values.items()))
        for name, measured in figures.items()
        for title, values in measured.items()
    ]
    return Result(lines, figures)


def _measure(lake: GoldLake) -> dict[str, dict[str, Any]]:
    lake.create()
    lake.fill()
    _live(lake, "live", TODAY)
    figures: dict[str, dict[str, Any]] = {"files after the live batches": _files(lake)}
    for number in range(REPLAYS):
        lake.batch("one day", REPLAY_TWEETS, TODAY - (number + 5) * DAY, DAY)
        lake.batch("ten years", REPLAY_TWEETS, TODAY - timedelta(minutes=number), REPLAY_DAYS * DAY)
    figures["files after the replay"] = _files(lake)
    _live(lake, "live after the replay", TODAY + DAY / 4)
    for kind, steps in lake.seconds.items():
        figures[kind] = {step: round(median(seconds), 2) for step, seconds in steps.items()}
        figures[f"{kind}, slowest"] = {step: round(max(seconds), 2) for step, seconds in steps.items()}
    figures["queries of the last hour"] = _queries(lake, TODAY + DAY / 2 - timedelta(hours=1))
    return figures


def _live(lake: GoldLake, kind: str, start: datetime) -> None:
    span = DAY / 4 / LIVE_BATCHES
    for number in range(LIVE_BATCHES):
        lake.batch(kind, LIVE_TWEETS, start + (number + 1) * span, span)


def _files(lake: GoldLake) -> dict[str, str]:
    tables = read_status(lake.path).tables
    folders = {name: sum(1 for _ in Path(lake.path, name).glob("*=*")) for name in tables}
    return {name: f"{tables[name].files} in {folders[name]} folders" for name in tables if tables[name].exists}


def _queries(lake: GoldLake, since: datetime) -> dict[str, float]:
    """Return the CPU milliseconds of the dashboard's statements and of Spark, and how many files Spark read."""
    filters = (since, since.date(), None)
    recent = lake.read(GOLD_SENTIMENT).where(f"timestamp >= TIMESTAMP'{since:%Y-%m-%d %H:%M:%S}'")
    began = lake.cpu_seconds()
    files = len(recent.select(F.input_file_name()).distinct().collect())
    return {
        "totals": _milliseconds(lake, GOLD_SENTIMENT, statements.TOTALS_OF_TWEETS, *filters),
        "latest tweets": _milliseconds(lake, GOLD_SENTIMENT, statements.LATEST, *filters, None, 12),
        "trends": _milliseconds(lake, GOLD_TRENDS, statements.TOTALS_OF_TRENDS, *filters),
        "mentions": _milliseconds(lake, GOLD_MENTIONS, statements.MENTIONS_BY_DAY, since.date(), None, 10),
        "Spark": round(1000 * (lake.cpu_seconds() - began)),
        "files": files,
    }


def _milliseconds(lake: GoldLake, table: Table, statement: Statement, *values: Value) -> float:
    def query() -> None:
        opened = LakeQuery.open(lake.path, **{table.name.removeprefix("gold/"): table})
        assert opened is not None
        if table is GOLD_SENTIMENT:
            opened.create_view(statements.LABELLED_VIEW)
        opened.arrow(statement, *values)

    return round(1000 * median(_cpu_seconds(query) for _ in range(7)))


def _cpu_seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
