"""Reads documents and declared formats like Silver does, without Spark."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from spark_apps.silver.records import ErasureRequest, Rejected, Tweet, read_records
from spark_apps.silver.tweet_reader import TweetFormat
from spark_apps.silver.user_formats import load_formats

READ_AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
# The declaration of a format with as few fields as possible.
MINIMAL: dict[str, Any] = {"marks": ["body.words"], "id": ["nr"], "text": ["body.words"], "time": ["at"]}


def read(document: object, formats: Sequence[TweetFormat] = ()) -> list[Tweet | ErasureRequest | Rejected]:
    """Return the records of a document: a text, or a value that is encoded as JSON first."""
    text = document if isinstance(document, str) else json.dumps(document)
    return list(read_records(text, READ_AT, formats=formats))


def read_tweets(document: object, formats: Sequence[TweetFormat] = ()) -> list[Tweet]:
    """Return the tweets of a document that has no rejects."""
    records = read(document, formats)
    assert not [record for record in records if isinstance(record, Rejected)]
    return [record for record in records if isinstance(record, Tweet)]


def read_tweet(document: object, formats: Sequence[TweetFormat] = ()) -> Tweet:
    """Return the only record of a document, which must be a tweet."""
    (tweet,) = read_tweets(document, formats)
    return tweet


def read_reject(document: object, formats: Sequence[TweetFormat] = ()) -> Rejected:
    """Return the only record of a document, which must be a reject."""
    (record,) = read(document, formats)
    assert isinstance(record, Rejected), record
    return record


def reasons(document: object, formats: Sequence[TweetFormat] = ()) -> list[str]:
    """Return for each record of a document the quarantine reason, "tweet" or "erasure"."""
    others = {Tweet: "tweet", ErasureRequest: "erasure"}
    return [
        record.reason if isinstance(record, Rejected) else others[type(record)] for record in read(document, formats)
    ]


def declare(folder: Path, declared: object) -> tuple[TweetFormat, ...]:
    """Write a file of formats, as text or as a value; return the formats that Silver loads from the file."""
    file = folder / "formats.yaml"
    file.write_text(declared if isinstance(declared, str) else yaml.safe_dump(declared))
    return load_formats(file)
