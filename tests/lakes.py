"""Tweets to land, and lakes that are written without Spark, for tests of programs that read them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from deltalake import CommitProperties, write_deltalake

from spark_apps.lake.failures import Failure, failure_file
from spark_apps.tables import (
    BRONZE_TWEETS,
    GOLD_MENTIONS,
    GOLD_SENTIMENT,
    GOLD_TRENDS,
    QUARANTINE,
    SILVER_TWEETS,
    Table,
)

_TYPES = {
    "STRING": pa.string(),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
    "DATE": pa.date32(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "FLOAT": pa.float32(),
    "BINARY": pa.binary(),
    "ARRAY<STRING>": pa.list_(pa.string()),
}
LABELS = np.array(["negative", "neutral", "positive"])


def flat_tweet(number: int, **fields: object) -> str:
    """Return a tweet with the id `number` as a line of JSON in the flat format; `fields` replace or add fields."""
    tweet = {"id": number, "full_text": f"tweet {number}", "timestamp": "2026-01-01T00:00:00Z", "user_id": 1}
    return json.dumps(tweet | fields) + "\n"


def put(lake: Path, table: Table, frame: pd.DataFrame, **totals: int) -> None:
    """Append `frame` in one commit like the streams; the batch metadata has the counts `totals`."""
    columns = {
        column.name: pa.array(frame[column.name], _TYPES[column.type], from_pandas=True)
        if column.name in frame
        else pa.nulls(len(frame), _TYPES[column.type])
        for column in table.columns
    }
    metadata = {"query": "test", "app": "test", "batch": 0, "counts": totals, "totals": totals}
    write_deltalake(
        table.path(str(lake)),
        pa.table(columns),
        partition_by=[table.partition] if table.partition else None,
        mode="append",
        commit_properties=CommitProperties(custom_metadata={"userMetadata": json.dumps(metadata)}),
    )


def gold_rows(rows: int, span: timedelta, seed: int = 1) -> pd.DataFrame:
    """Return random rows of gold/sentiment with timestamps in the last `span`."""
    random = np.random.default_rng(seed)
    now = datetime.now(UTC)
    ages = np.sort(random.random(rows))[::-1] * span.total_seconds()
    times = pd.Series(now - pd.to_timedelta(ages, unit="s")).dt.floor("us")
    label = LABELS[random.choice(3, rows, p=[0.3, 0.4, 0.3])]
    return pd.DataFrame(
        {
            "id": [str(number) for number in range(rows)],
            "user_id": "1",
            "timestamp": times,
            "lang": np.array(["en", "es", "ja"])[random.choice(3, rows, p=[0.8, 0.1, 0.1])],
            "full_text": [f"tweet {number} about @account{number % 20}" for number in range(rows)],
            "mentions": [[f"account{number % 20}"] for number in range(rows)],
            "label": label,
            "score": 0.9,
            "negative": 0.3,
            "neutral": 0.3,
            "positive": 0.4,
            "model": "tweet-sentiment",
            "model_version": "7",
            "scored_at": times + pd.Timedelta(seconds=4),
            "landed_at": times + pd.Timedelta(seconds=1),
            "ingested_at": times + pd.Timedelta(seconds=2),
            "tweet_date": times.dt.date,
        }
    )


def fill(lake: Path, rows: int, span: timedelta) -> pd.DataFrame:
    """Write all tables that the dashboard reads, with tweets of the last `span`; return the rows of gold/sentiment."""
    frame = gold_rows(rows, span)
    put(lake, GOLD_SENTIMENT, frame, rows=rows)
    frame["minute"] = frame["timestamp"].dt.floor("min")
    trends = frame.groupby(["minute", "lang", "label", "tweet_date"], as_index=False).agg(
        tweets=("id", "count"), score_sum=("score", "sum")
    )
    put(lake, GOLD_TRENDS, trends, rows=rows)
    mentioned = frame.assign(mention=frame["mentions"].str[0])
    counts = mentioned.groupby(["mention", "lang", "tweet_date"], as_index=False).agg(
        first_seen=("timestamp", "min"),
        last_seen=("timestamp", "max"),
        negative=("label", lambda labels: int((labels == "negative").sum())),
        neutral=("label", lambda labels: int((labels == "neutral").sum())),
        positive=("label", lambda labels: int((labels == "positive").sum())),
        total=("id", "count"),
    )
    put(lake, GOLD_MENTIONS, counts, rows=rows)
    empty = pd.DataFrame({"ingest_date": [datetime.now(UTC).date()]})
    put(lake, BRONZE_TWEETS, empty, rows=rows + 5)
    put(lake, SILVER_TWEETS, frame.head(1), rows=rows, documents=rows, duplicates=3)
    put(lake, QUARANTINE, empty.assign(reason="not_json"), not_json=1, cut_off=4)
    return frame


def put_failure(lake: Path, failure: Failure) -> Path:
    """Write the last failure of a stream as its driver does; return the file."""
    file = Path(failure_file(str(lake), failure.stream))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(failure.to_json())
    return file


def put_report(folder: Path, layer: str, at: datetime, **fields: object) -> Path:
    """Write the report of Airflow on a layer, by default a layer that runs; return the file."""
    report: dict[str, object] = {
        "stream": layer,
        "at": at.isoformat(),
        "state": "running",
        "reason": "advancing: 7",
        "hold": None,
        "last_error": "",
        "failures": 0,
        "actions": [],
        "remedy": "",
        "link": "",
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{layer}.json"
    file.write_text(json.dumps(report | fields))
    return file
