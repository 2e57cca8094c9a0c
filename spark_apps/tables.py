"""The Delta tables of the lake: name, schema, layout and comments. Every layer and every reader uses them.

This module does not import Spark, because the dashboard and the DAGs read it too. `lake/delta_tables.py` creates the
tables and adds missing columns.

To extract another field of the tweet's JSON into Silver, append a `Column` with a `json_path` to SILVER_TWEETS and
raise SCHEMA_VERSION. The next start adds the column to existing tables; only tweets read from then on have a value.

Comments are written to Delta when a table or column is created. A changed comment does not affect existing tables.
"""

from collections.abc import Iterable
from dataclasses import dataclass

# Stored as a table property. A program refuses a table with a higher version than its own.
SCHEMA_VERSION = 4
SCHEMA_VERSION_PROPERTY = "tweets.schemaVersion"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: name of the column.
        type: Spark SQL type.
        comment: what the column contains.
        json_path: dotted path of the value in the tweet's JSON, if the column is a plain copy of a field; else None.
    """

    name: str
    type: str
    comment: str
    json_path: str | None = None


@dataclass(frozen=True)
class Table:
    """One Delta table at `<lake>/<name>`.

    Attributes:
        name: name of the table, and its path in the lake.
        comment: what one row is.
        columns: all columns.
        partition: column of the partitions; None for a table without partitions.
        order: column by which a write sorts its rows. Each file then has a narrow range of this column, and queries
            skip files by the statistics in the log. None for a table with partitions.
        merged: whether MERGEs write the table. A MERGE rewrites each file that contains one of its rows, so the files
            of these tables are small.
        reader: name of the stream that reads the table. Files and versions that this stream has not read are kept.
    """

    name: str
    comment: str
    columns: tuple[Column, ...]
    partition: str | None = None
    order: str | None = None
    merged: bool = False
    reader: str | None = None

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def data_columns(self) -> tuple[Column, ...]:
        """The columns without the dates that the streams derive from another column."""
        return tuple(column for column in self.columns if column.type != "DATE" or column.json_path)

    @property
    def file_bytes(self) -> int:
        """The size of a compacted file. Smaller files have tweets of fewer days, but many files slow down queries."""
        return (4 if self.merged else 32) << 20

    def path(self, lake: str) -> str:
        return f"{lake.rstrip('/')}/{self.name}"


def ddl(columns: Iterable[Column]) -> str:
    """Return the schema of `columns` in Spark SQL, such as "`id` STRING, `score` FLOAT"."""
    return ", ".join(f"`{column.name}` {column.type}" for column in columns)


_LANDED = Column("landed_at", "TIMESTAMP", "when the file with the tweet landed")
_INGESTED = Column("ingested_at", "TIMESTAMP", "when Bronze read the document")
_INGEST_DATE = Column("ingest_date", "DATE", "UTC date of ingested_at")
_TWEET_DATE = Column("tweet_date", "DATE", "UTC date of timestamp")

_ID = Column("id", "STRING", "tweet id: decimal digits, or a hash of the tweet if its format has no id")
_USER = Column("user_id", "STRING", "id of the author, or the user name if the tweet has no author id")
_TEXT = Column("full_text", "STRING", "untruncated text; for a retweet, the text of the original tweet")
_LANG = Column("lang", "STRING", "BCP 47 language tag assigned by Twitter; und if unknown")
_TIME = Column("timestamp", "TIMESTAMP", "when the tweet was posted, UTC")
_MENTIONS = Column("mentions", "ARRAY<STRING>", "mentioned accounts: lower case, without @, no duplicates")
_RETWEET_OF = Column("retweet_of", "STRING", "id of the original if the tweet is a retweet, else null")
_RETWEET_OF_USER = Column("retweet_of_user", "STRING", "id of the original's author, as in user_id; null if no retweet")
_SOURCE_FILE = Column("source_file", "STRING", "URI of the landed file, with !/ and the path of a file in an archive")

BRONZE_TWEETS = Table(
    "bronze/tweets",
    "one row per landed document, unchanged",
    (
        Column(
            "raw",
            "STRING",
            "text of the document, invalid UTF-8 replaced by U+FFFD; null if unreadable",
        ),
        Column("raw_bytes", "BINARY", "bytes of the document if raw does not reproduce them exactly, else null"),
        Column("problem", "STRING", "quarantine reason if the document is unreadable, else null"),
        Column("detail", "STRING", "explanation of the problem, for people"),
        _SOURCE_FILE,
        Column("position", "BIGINT", "position of the document in its file, from 0"),
        Column("source_modified_at", "TIMESTAMP", "when the file landed"),
        _INGESTED,
        _INGEST_DATE,
    ),
    partition="ingest_date",
    reader="silver",
)

SILVER_TWEETS = Table(
    "silver/tweets",
    "one row per tweet id; later copies of a tweet are dropped",
    (
        _ID,
        _USER,
        _TEXT,
        _LANG,
        _TIME,
        _MENTIONS,
        Column("truth", "STRING", "sentiment label supplied with the tweet: negative, neutral or positive; else null"),
        Column("format", "STRING", "input format, such as v1.1, v2 or flat: see silver/tweet_formats.py"),
        _LANDED,
        _INGESTED,
        _TWEET_DATE,
        _RETWEET_OF,
        _RETWEET_OF_USER,
    ),
    order="timestamp",
    reader="gold",
)

QUARANTINE = Table(
    "silver/quarantine",
    "one row per rejected document or record",
    (
        Column("raw", "STRING", "text of the rejected document, or of the rejected record within the document"),
        Column("reason", "STRING", "why the record was rejected: one of a fixed set of reasons"),
        Column("detail", "STRING", "explanation of the reason, for people"),
        _SOURCE_FILE,
        _INGESTED,
        _INGEST_DATE,
    ),
    partition="ingest_date",
)

ERASURES = Table(
    "silver/erasures",
    "one row per tweet or user to erase, and per landing of an erased tweet that was kept out",
    (
        Column("kind", "STRING", "what to erase: tweet, user (all tweets of a user) or locations (in a user's tweets)"),
        Column("key", "STRING", "id of the tweet, or a hash of the user id: user_key in erasure/request.py"),
        Column("why", "STRING", "reason of the request; 'landed again' if an erased tweet was kept out"),
        Column("requested_at", "TIMESTAMP", "when the erasure was requested; null if unknown"),
        Column("since", "DATE", "first ingest_date of the documents that may hold the tweet; null if unknown"),
        Column("batch", "BIGINT", "micro-batch of Silver that wrote the row"),
        _SOURCE_FILE,
        _INGESTED,
    ),
    partition="kind",
)

GOLD_SENTIMENT = Table(
    "gold/sentiment",
    "one row per tweet of silver/tweets, with its sentiment",
    (
        _ID,
        _USER,
        _TIME,
        _LANG,
        _TEXT,
        _MENTIONS,
        Column("label", "STRING", "most probable sentiment: negative, neutral or positive; null if scoring failed"),
        Column("score", "FLOAT", "probability of label"),
        Column("negative", "FLOAT", "probability that the tweet is negative"),
        Column("neutral", "FLOAT", "probability that the tweet is neutral"),
        Column("positive", "FLOAT", "probability that the tweet is positive"),
        Column("model", "STRING", "registered name of the model that scored the tweet"),
        Column("model_version", "STRING", "registry version of the model that scored the tweet"),
        Column("scored_at", "TIMESTAMP", "when the tweet was first scored"),
        Column("rescored_at", "TIMESTAMP", "when a rescore last replaced the label; null if never"),
        _LANDED,
        _INGESTED,
        _TWEET_DATE,
        _RETWEET_OF,
        _RETWEET_OF_USER,
    ),
    order="timestamp",
    reader="gold-aggregates",
)

GOLD_TRENDS = Table(
    "gold/trends",
    "number of tweets per minute, language and label: an aggregate of gold/sentiment",
    (
        Column("minute", "TIMESTAMP", "start of the minute in which the tweets were posted, UTC"),
        _LANG,
        Column("label", "STRING", "negative, neutral or positive"),
        Column("tweets", "BIGINT", "number of tweets"),
        Column("score_sum", "DOUBLE", "sum of score; divided by tweets, the mean confidence"),
        _TWEET_DATE,
    ),
    order="minute",
    merged=True,
)

GOLD_MENTIONS = Table(
    "gold/mentions",
    "number of tweets that mention an account, per day and language: an aggregate of gold/sentiment",
    (
        Column("mention", "STRING", "mentioned account: lower case, without @"),
        Column("first_seen", "TIMESTAMP", "timestamp of the earliest tweet with this mention, day and language"),
        Column("last_seen", "TIMESTAMP", "timestamp of the latest tweet with this mention, day and language"),
        _LANG,
        Column("negative", "BIGINT", "number of negative tweets"),
        Column("neutral", "BIGINT", "number of neutral tweets"),
        Column("positive", "BIGINT", "number of positive tweets"),
        Column("total", "BIGINT", "number of tweets"),
        _TWEET_DATE,
    ),
    order="tweet_date",
    merged=True,
)

GOLD_SHADOW = Table(
    "gold/shadow",
    "one row per tweet of gold/sentiment that the shadow version scored too",
    (
        _ID,
        _USER,
        _TIME,
        _LANG,
        Column("production_label", "STRING", "label in gold/sentiment"),
        Column("production_version", "STRING", "registry version that gave production_label"),
        Column("label", "STRING", "label of the shadow version: negative, neutral or positive"),
        Column("negative", "FLOAT", "probability that the tweet is negative, by the shadow version"),
        Column("neutral", "FLOAT", "probability that the tweet is neutral, by the shadow version"),
        Column("positive", "FLOAT", "probability that the tweet is positive, by the shadow version"),
        Column("model_version", "STRING", "registry version of the shadow version"),
        Column("milliseconds", "FLOAT", "time of the shadow version for this tweet, mean of its part of the batch"),
        Column("scored_at", "TIMESTAMP", "when the shadow version scored the tweet"),
        _TWEET_DATE,
        _RETWEET_OF,
        _RETWEET_OF_USER,
    ),
    order="timestamp",
)

HUMAN_LABELS = Table(
    "human_labels",
    "one row per label that a person gave to a tweet of gold/sentiment; the last label of a tweet counts",
    (
        _ID,
        Column("label", "STRING", "negative, neutral or positive; null if the person could not tell"),
        Column("labelled_by", "STRING", "name of the person at the login of the dashboard; null without a login"),
        Column("labelled_at", "TIMESTAMP", "when the person labelled the tweet"),
        Column("model_label", "STRING", "label in gold/sentiment at that time"),
        Column("model_version", "STRING", "registry version that gave model_label"),
    ),
)

# The tables that the streams write, and those and the table that the dashboard writes.
TABLES = (BRONZE_TWEETS, SILVER_TWEETS, QUARANTINE, ERASURES, GOLD_SENTIMENT, GOLD_TRENDS, GOLD_MENTIONS, GOLD_SHADOW)
ALL_TABLES = (*TABLES, HUMAN_LABELS)

# Each quarantine reason and its explanation.
REASONS = {
    "empty_file": "the file is empty",
    "binary": "the file or document is not text",
    "bad_gzip": "the gzip stream is damaged or truncated",
    "damaged": "the compressed file or archive is damaged, truncated or encrypted",
    "too_compressed": "the file expands to more than the permitted ratio to its size",
    "too_large": "the document exceeds the limit of its size or of its JSON values",
    "vanished": "the file disappeared before it was read",
    "unreadable": "reading the file or folder failed",
    "hidden": "the name of the file or of a folder begins with a dot",
    "not_json": "the document is not JSON",
    "cut_off": "the JSON of the document is truncated",
    "trailing_text": "text follows a JSON value on the same line",
    "too_deep": "the JSON is nested more than 100 levels deep",
    "more_rejects": "more records of a document with a thousand rejects are rejected",
    "erased": "the document held only tweets that were erased",
    "internal_error": "a fault of this program; please report it",
    "not_a_tweet": "JSON, but not in a known tweet format",
    "no_tweets": "a response or an array that contains no tweets",
    "deletion": "a notice that a like was deleted; of a tweet, if TWEETS_DELETION_NOTICES is false",
    "notice": "another stream notice: limit, withheld, disconnect, warning …",
    "direct_message": "a direct message",
    "user": "a user object",
    "list": "a list object",
    "other_network": "a post of another network",
    "missing_id": "the tweet has no id",
    "missing_text": "the tweet has no text",
    "missing_time": "the tweet has no time",
    "bad_id": "the tweet id is not a positive 64-bit integer",
    "bad_encoding": "the tweet text is not valid UTF-8",
    "bad_text": "the tweet text is not a string",
    "long_text": "the text has more characters than TWEETS_MAX_TEXT_CHARACTERS",
    "bad_time": "the time is unreadable or out of range",
}
