"""Figures of the rows that the streams wrote in a window of time, read without Spark.

DataFusion aggregates the tables, and counts of rows come from the batch metadata of the commits, so memory use does not
grow with the lake.
"""

from collections import Counter, deque
from collections.abc import Iterator
from datetime import datetime
from itertools import takewhile

from spark_apps.lake.commits import Commit, batch_commits, open_table
from spark_apps.lake.query import LakeQuery, Statement
from spark_apps.lake.status import documents_read, tweets_read
from spark_apps.quality.profile import Profile
from spark_apps.tables import GOLD_SENTIMENT, QUARANTINE, SILVER_TWEETS, Table

_RESCORED_AT = "rescored_at"
# A rescore replaces label and version of older rows: these rows do not show the results of a version in the stream.
_NOT_RESCORED = "CREATE VIEW scored AS SELECT * FROM gold WHERE label IS NOT NULL AND rescored_at IS NULL"
# Tables created before rescores existed have no column rescored_at.
_ALL = "CREATE VIEW scored AS SELECT * FROM gold WHERE label IS NOT NULL"

_COUNT = Statement("SELECT count(*) AS tweets FROM gold WHERE scored_at >= $1", "TIMESTAMP WITH TIME ZONE")

# One column for each histogram in profile.FIGURES. A value that does not look like a language code counts as `und`
# (undetermined), because the sender of a tweet controls it.
_PROFILES = Statement(
    r"""
WITH texts AS (
  SELECT CASE WHEN regexp_like(lang, '^[A-Za-z0-9-]{1,35}$') THEN lang ELSE 'und' END AS lang,
         label, full_text, character_length(full_text) AS size
  FROM scored WHERE scored_at >= $1 AND model_version = $2
)
SELECT lang, count(*) AS tweets,
  make_array(count(*) FILTER (WHERE label = 'negative'), count(*) FILTER (WHERE label = 'neutral'),
             count(*) FILTER (WHERE label = 'positive')) AS label,
  make_array(count(*) FILTER (WHERE size <= 20), count(*) FILTER (WHERE size BETWEEN 21 AND 40),
             count(*) FILTER (WHERE size BETWEEN 41 AND 60), count(*) FILTER (WHERE size BETWEEN 61 AND 80),
             count(*) FILTER (WHERE size BETWEEN 81 AND 100), count(*) FILTER (WHERE size BETWEEN 101 AND 120),
             count(*) FILTER (WHERE size BETWEEN 121 AND 140), count(*) FILTER (WHERE size BETWEEN 141 AND 200),
             count(*) FILTER (WHERE size BETWEEN 201 AND 280), count(*) FILTER (WHERE size > 280)) AS length,
  make_array(count(*) FILTER (WHERE full_text LIKE '%http://%' OR full_text LIKE '%https://%'),
             count(*) FILTER (WHERE NOT (full_text LIKE '%http://%' OR full_text LIKE '%https://%'))) AS link,
  make_array(count(*) FILTER (WHERE regexp_like(full_text, '(^|\W)@\w')),
             count(*) FILTER (WHERE NOT regexp_like(full_text, '(^|\W)@\w'))) AS mention,
  make_array(count(*) FILTER (WHERE regexp_like(full_text, '(^|\W)[#＃]\w')),
             count(*) FILTER (WHERE NOT regexp_like(full_text, '(^|\W)[#＃]\w'))) AS hashtag,
  make_array(count(*) FILTER (WHERE octet_length(full_text) > size),
             count(*) FILTER (WHERE octet_length(full_text) = size)) AS non_ascii
FROM texts GROUP BY lang HAVING count(*) >= $3 ORDER BY tweets DESC, lang
""",
    "TIMESTAMP WITH TIME ZONE",
    "VARCHAR",
    "BIGINT",
)


def waiting_since(lake: str, source: Table, reader: Table, read: str) -> datetime | None:
    """Return when the oldest row of `source` that a layer has not read yet was written; None if no row is waiting.

    Args:
        lake: folder or s3a:// URI of the Delta tables.
        source: table that the layer reads.
        reader: table that the layer writes.
        read: name of the count in the batch metadata of `reader` that counts the rows read from `source`.
    """
    last, newest = next(_commits(lake, reader), None), next(_commits(lake, source), None)
    done = last.metadata.totals.get(read, 0) if last else 0
    if last and reader is SILVER_TWEETS:
        done = documents_read(last.metadata.totals)
    if last and newest and reader is GOLD_SENTIMENT:
        done = tweets_read(newest.metadata.totals, last.metadata.totals)
    unread = takewhile(lambda commit: commit.metadata.totals.get("rows", 0) > done, _commits(lake, source))
    oldest = deque(unread, maxlen=1)
    return oldest[0].at if oldest else None


def count_scored(lake: str, since: datetime) -> int:
    """Return the number of tweets scored from `since` on."""
    query = LakeQuery.open(lake, gold=GOLD_SENTIMENT)
    return int(query.rows(_COUNT, since)[0]["tweets"]) if query else 0


def count_records(lake: str, since: datetime) -> tuple[int, Counter[str]]:
    """Return the number of records that Silver did not reject from `since` on, and rejects by reason."""
    accepted = sum(
        commit.metadata.counts.get(outcome, 0)
        for commit in _commits_since(lake, SILVER_TWEETS, since)
        for outcome in ("rows", "duplicates", "erasures", "erased")
    )
    rejected: Counter[str] = Counter()
    for commit in _commits_since(lake, QUARANTINE, since):
        rejected.update(commit.metadata.counts)
    return accepted, rejected


def profiles(lake: str, since: datetime, version: str, least: int) -> dict[str, Profile]:
    """Return the profile of each language with at least `least` tweets that `version` scored from `since` on.

    The languages with the most tweets come first.
    """
    query = LakeQuery.open(lake, gold=GOLD_SENTIMENT)
    if query is None:
        return {}
    columns = {field.name for field in query.tables["gold"].schema().fields}
    query.create_view(_NOT_RESCORED if _RESCORED_AT in columns else _ALL)
    return {row["lang"]: Profile.from_row(row) for row in query.rows(_PROFILES, since, version, least)}


def _commits_since(lake: str, table: Table, since: datetime) -> Iterator[Commit]:
    """Yield the commits of a table's micro-batches from `since` on, newest first."""
    return takewhile(lambda commit: commit.at >= since, _commits(lake, table))


def _commits(lake: str, table: Table) -> Iterator[Commit]:
    """Yield the commits of a table's micro-batches, newest first; none if the table does not exist yet."""
    delta = open_table(lake, table)
    return batch_commits(delta) if delta else iter(())
