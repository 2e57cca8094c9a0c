"""The contract between the layers: name, schema, partitioning and comment of every Delta table of the lake.

Nothing here needs Spark: the dashboard and the DAGs read it too. `lake.py` creates and evolves the tables.

To make a field that Bronze already keeps a column of Silver, add one `Column` with a `field` to SILVER_TWEETS and
raise SCHEMA_VERSION: the next start adds it to tables that exist, and rows from then on carry it.
"""

from dataclasses import dataclass

# Stored as a property of each table: a program refuses a table whose version is above its own.
SCHEMA_VERSION = 2
SCHEMA_VERSION_PROPERTY = "tweets.schemaVersion"


@dataclass(frozen=True)
class Column:
    """One column: its Spark SQL type, what it holds and, for a plain copy, its path in the tweet's own JSON."""

    name: str
    type: str
    comment: str
    field: str | None = None


@dataclass(frozen=True)
class Table:
    """One Delta table, at `<lake>/<name>`, partitioned by one date column."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    partition: str

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def ddl(self) -> str:
        """The schema as Spark SQL reads it: `id STRING, …`."""
        return ", ".join(f"`{column.name}` {column.type}" for column in self.columns)

    def path(self, lake: str) -> str:
        return f"{lake.rstrip('/')}/{self.name}"


_LANDED = Column("landed_at", "TIMESTAMP", "when the file of the tweet landed (its modification time)")
_INGESTED = Column("ingested_at", "TIMESTAMP", "when Bronze read the document")
_TWEET_DATE = Column("tweet_date", "DATE", "UTC date of timestamp")

_ID = Column("id", "STRING", "id of the tweet, digits as they came; derived where the tweet has none")
_USER = Column("user_id", "STRING", "id of the author, or the name where the tweet has only that")
_TEXT = Column("full_text", "STRING", "untruncated text; of a retweet, the text of the original")
_LANG = Column("lang", "STRING", "BCP 47 language as Twitter says it, und where unknown")
_TIME = Column("timestamp", "TIMESTAMP", "when the tweet was written, UTC")
_MENTIONS = Column("mentions", "ARRAY<STRING>", "accounts mentioned, without @, lower case, each once")

BRONZE_TWEETS = Table(
    "bronze/tweets",
    "every landed document as it came, one row each",
    (
        Column("raw", "STRING", "the document; invalid UTF-8 replaced by U+FFFD; null where it could not be read"),
        Column("raw_bytes", "BINARY", "the bytes of the document where raw is not exactly them, else null"),
        Column("problem", "STRING", "why the document could not be read, a quarantine reason; null otherwise"),
        Column("detail", "STRING", "what a person wants to know about the problem"),
        Column("source_file", "STRING", "URI of the file"),
        Column("position", "BIGINT", "place of the document in its file, from 0"),
        Column("source_modified_at", "TIMESTAMP", "modification time of the file: when it landed"),
        _INGESTED,
        Column("ingest_date", "DATE", "UTC date of ingested_at"),
    ),
    "ingest_date",
)

SILVER_TWEETS = Table(
    "silver/tweets",
    "one row a tweet id, for ever",
    (
        _ID,
        _USER,
        _TEXT,
        _LANG,
        _TIME,
        _MENTIONS,
        Column("truth", "STRING", "the label that came with the tweet, if any: negative, neutral or positive"),
        Column("format", "STRING", "input shape: v1.1, v2, activity, flat or course"),
        _LANDED,
        _INGESTED,
        _TWEET_DATE,
    ),
    "tweet_date",
)

QUARANTINE = Table(
    "silver/quarantine",
    "one row a rejected document or tweet",
    (
        Column("raw", "STRING", "the document, or the tweet within it, that was rejected"),
        Column("reason", "STRING", "why, as one of a fixed set of words"),
        Column("detail", "STRING", "what a person wants to know about it"),
        Column("source_file", "STRING", "URI of the file it came in"),
        _INGESTED,
        Column("ingest_date", "DATE", "UTC date of ingested_at"),
    ),
    "ingest_date",
)

GOLD_SENTIMENT = Table(
    "gold/sentiment",
    "one row a silver tweet, with its sentiment",
    (
        _ID,
        _USER,
        _TIME,
        _LANG,
        _TEXT,
        _MENTIONS,
        Column("label", "STRING", "negative, neutral or positive: the most probable one"),
        Column("score", "FLOAT", "probability of label"),
        Column("negative", "FLOAT", "probability"),
        Column("neutral", "FLOAT", "probability"),
        Column("positive", "FLOAT", "probability"),
        Column("model", "STRING", "registered name of the model that scored the tweet"),
        Column("model_version", "STRING", "its version in the registry"),
        Column("scored_at", "TIMESTAMP", "when it was scored first"),
        Column("rescored_at", "TIMESTAMP", "when a rescore gave it this label; null: never"),
        _LANDED,
        _INGESTED,
        _TWEET_DATE,
    ),
    "tweet_date",
)

GOLD_TRENDS = Table(
    "gold/trends",
    "tweets a minute, language and label: an aggregate of gold/sentiment",
    (
        Column("minute", "TIMESTAMP", "start of the minute of timestamp, UTC"),
        _LANG,
        Column("label", "STRING", "negative, neutral or positive"),
        Column("tweets", "BIGINT", "number of tweets"),
        Column("score_sum", "DOUBLE", "sum of score: divided by tweets, the mean confidence"),
        _TWEET_DATE,
    ),
    "tweet_date",
)

GOLD_MENTIONS = Table(
    "gold/mentions",
    "tweets that mention an account, a day and language: an aggregate of gold/sentiment",
    (
        Column("mention", "STRING", "account, without @, lower case"),
        Column("first_seen", "TIMESTAMP", "timestamp of its earliest tweet of that day and language"),
        Column("last_seen", "TIMESTAMP", "timestamp of its latest"),
        _LANG,
        Column("negative", "BIGINT", "tweets of that label"),
        Column("neutral", "BIGINT", "tweets of that label"),
        Column("positive", "BIGINT", "tweets of that label"),
        Column("total", "BIGINT", "tweets"),
        _TWEET_DATE,
    ),
    "tweet_date",
)

TABLES = (BRONZE_TWEETS, SILVER_TWEETS, QUARANTINE, GOLD_SENTIMENT, GOLD_TRENDS, GOLD_MENTIONS)

# Each reason for which a document or a tweet is quarantined, and what it means.
REASONS = {
    "empty_file": "the file holds nothing",
    "binary": "the file or document is not text",
    "bad_gzip": "the gzip stream is damaged or ends early",
    "too_large": "the document is larger than the limit",
    "vanished": "the file was gone before it was read",
    "unreadable": "the file could not be read",
    "not_json": "the document is not JSON",
    "cut_off": "the document is JSON that ends too early",
    "trailing_text": "text after a JSON document on its line",
    "too_deep": "the document is nested too deeply",
    "not_a_tweet": "JSON, but of no known shape",
    "no_tweets": "a known shape that holds no tweet",
    "deletion": "a notice that a tweet was deleted",
    "notice": "another notice of the stream: limit, withheld, disconnect, warning …",
    "direct_message": "a direct message",
    "user": "a user object",
    "list": "a list object",
    "missing_id": "a tweet without an id",
    "missing_text": "a tweet without a text",
    "missing_time": "a tweet without a time",
    "bad_id": "an id that is no id",
    "bad_text": "a text that is no string",
    "long_text": "a text longer than any tweet's",
    "bad_time": "a time that cannot be read",
}
