"""A small lake for tests that read documents again: two landed files, read by Bronze on two days."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from spark_apps.lake.delta_tables import sql_name
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT, QUARANTINE, SILVER_TWEETS
from tests.conftest import Pipeline, open_pipeline
from tests.lakes import flat_tweet

# Posts of a network that only a declared format can read; the second one has the id of a tweet.
POSTS = [
    {"kind": "note", "number": 901, "note": "lovely @bo", "at": "2026-01-01T00:00:00Z", "who": "ann"},
    {"kind": "note", "number": 2, "note": "a copy", "at": "2026-01-01T00:00:00Z", "who": "ann"},
]
FORMATS = """
notes:
  marks: [note, at]
  id: [number]
  text: [note]
  time: [at]
  user: [who]
"""


def write_lake(spark: SparkSession, folder: Path) -> Path:
    """Write the lake and return its folder: nine tweets, three duplicates, and four rejected records."""
    with open_pipeline(spark, folder) as pipeline:
        tweets = [flat_tweet(number) for number in range(1, 6)]
        copies = [flat_tweet(1, full_text="another text of tweet 1"), flat_tweet(2)]
        notes = [json.dumps(post) + "\n" for post in POSTS]
        pipeline.land("first.json", "".join([*tweets, *copies, *notes]))
        pipeline.run_once()
        make_older(pipeline)
        tweets = [flat_tweet(number) for number in range(6, 10)]
        pipeline.land("second.json", "".join([*tweets, flat_tweet(3), '{"id": 12, "full_text"\n', "[]\n"]))
        pipeline.run_once()
        return Path(pipeline.lake)


def make_older(pipeline: Pipeline) -> None:
    """Let all rows seem to be read by Bronze 30 hours earlier."""
    for table in (BRONZE_TWEETS, SILVER_TWEETS, QUARANTINE, GOLD_SENTIMENT):
        earlier = "ingested_at - INTERVAL 30 HOURS"
        day = f", ingest_date = to_date({earlier})" if "ingest_date" in table.column_names else ""
        update(pipeline, table.path(pipeline.lake), f"ingested_at = {earlier}{day}")


def update(pipeline: Pipeline, path: str, assignment: str, condition: str = "true") -> None:
    """Change rows of a table, as a person or another version of the program could have written them."""
    pipeline.spark.sql(f"UPDATE {sql_name(path)} SET {assignment} WHERE {condition}")


def declare_format(pipeline: Pipeline, folder: Path) -> None:
    """Declare the format of POSTS."""
    pipeline.settings.formats = folder / "formats.yaml"
    pipeline.settings.formats.write_text(FORMATS)


@contextmanager
def copy_of(spark: SparkSession, lake: Path, folder: Path) -> Iterator[Pipeline]:
    """Yield a pipeline with a copy of the lake; its landing is empty."""
    with open_pipeline(spark, folder, lake) as pipeline:
        yield pipeline
