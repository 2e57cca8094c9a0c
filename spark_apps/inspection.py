"""Implements `tweet-sentiment inspect`: read a local file as the streams would, without Spark or a lake."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from spark_apps.bronze.documents import Document, read_documents
from spark_apps.printable import printable
from spark_apps.settings import Settings, check_files
from spark_apps.silver.near_formats import NearFormat, near_formats
from spark_apps.silver.records import ErasureRequest, Rejected, Tweet, read_records
from spark_apps.silver.tweet import TweetLimits
from spark_apps.silver.tweet_formats import find_format
from spark_apps.silver.tweet_reader import TweetFormat
from spark_apps.tables import REASONS

_EXCERPT_CHARACTERS = 120
_SHOWN_MENTIONS = 10
# Quarantine reason → the field of `TweetFormat` with the paths at which no value was found.
_MISSING_FIELDS = {"missing_id": "id", "missing_text": "text", "missing_time": "time"}


@dataclass(frozen=True)
class RecordReport:
    """One record: its position in the file, and the tweet or the reason for its rejection. Texts are shortened.

    Attributes:
        member: path of the file in an archive; "" if the file is not an archive.
        document: position of the document in its file, from 0.
        record: index of the record in its document, from 0.
        format: name of the format that matched; None without a match.
        tweet: id, time, lang, user, mentions and text; None for a reject.
        reason: quarantine reason; None for a tweet.
        detail: explanation of the reason; None for a tweet.
        raw: text of the rejected record; None for a tweet.
        near_formats: the most similar formats, if the record is an object that matches no format.
    """

    member: str
    document: int
    record: int
    format: str | None
    tweet: dict[str, Any] | None = None
    reason: str | None = None
    detail: str | None = None
    raw: str | None = None
    near_formats: list[NearFormat] = field(default_factory=list)


@dataclass
class FileReport:
    """Counts of a file's documents, tweets by format, rejects by reason and erasures, with reports on some records."""

    file: str
    documents: int = 0
    tweets: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    erasures: int = 0
    records: list[RecordReport] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"tweets": dict(self.tweets), "rejects": dict(self.rejects)}


def inspect_files(
    files: Sequence[Path], formats: Sequence[TweetFormat], settings: Settings, limit: int
) -> Iterator[FileReport]:
    """Yield a report on each file, in bounded memory.

    Args:
        files: plain or compressed files, or archives.
        formats: formats that the user has declared.
        settings: limits of documents and tweets.
        limit: maximum number of records to report for each file, rejects first.

    Raises:
        SettingsError: a file does not exist.
        OSError: a file is not readable.
    """
    check_files(files)
    for file in files:
        yield _inspect(file, formats, settings, limit)


def _inspect(file: Path, formats: Sequence[TweetFormat], settings: Settings, limit: int) -> FileReport:
    limits = TweetLimits(settings.max_text_characters, settings.max_mentions)
    report = FileReport(str(file))
    tweets: list[RecordReport] = []
    rejects: list[RecordReport] = []
    with file.open("rb") as stream:
        documents = read_documents(stream, str(file), settings.max_document_mb << 20, settings.max_expansion)
        for position, document in _with_positions(documents):
            report.documents += 1
            for number, record in enumerate(_records(document, formats, limits, settings.deletion_notices)):
                if isinstance(record, Tweet):
                    report.tweets[record.format] += 1
                    if len(tweets) < limit:
                        tweets.append(RecordReport(document.member, position, number, record.format, _tweet(record)))
                elif isinstance(record, ErasureRequest):
                    report.erasures += 1
                else:
                    report.rejects[record.reason] += 1
                    if len(rejects) < limit:
                        rejects.append(_reject(document.member, position, number, record, formats))
    report.records = rejects + tweets[: limit - len(rejects)]
    return report


def _with_positions(documents: Iterable[Document]) -> Iterator[tuple[int, Document]]:
    """Yield each document with its position in its file; each file of an archive starts at 0."""
    for _, of_member in groupby(documents, lambda document: document.member):
        yield from enumerate(of_member)


def _records(
    document: Document, formats: Sequence[TweetFormat], limits: TweetLimits, reads_notices: bool
) -> Iterator[Tweet | ErasureRequest | Rejected]:
    if document.problem:
        yield Rejected(document.raw or "", document.problem, document.detail)
    else:
        raw, now = document.raw or "", datetime.now(UTC)
        yield from read_records(raw, now, document.raw_bytes, formats, limits, reads_notices)


def _tweet(tweet: Tweet) -> dict[str, Any]:
    return {
        "id": tweet.id,
        "time": tweet.timestamp.isoformat(),
        "lang": tweet.lang,
        "user": tweet.user_id,
        "mentions": tweet.mentions[:_SHOWN_MENTIONS],
        "text": _excerpt(tweet.full_text),
    }


def _reject(member: str, document: int, number: int, record: Rejected, formats: Sequence[TweetFormat]) -> RecordReport:
    value = _parse(record.raw)
    format_ = find_format(value, formats) if isinstance(value, dict) else None
    detail = record.detail
    if format_ and (name := _MISSING_FIELDS.get(record.reason)):
        detail = f"no value at {' or '.join('.'.join(path) for path in getattr(format_, name))}"
    return RecordReport(
        member,
        document,
        number,
        format_.name if format_ else None,
        reason=record.reason,
        detail=detail,
        raw=_excerpt(record.raw),
        near_formats=near_formats(value, formats) if isinstance(value, dict) and not format_ else [],
    )


def _parse(raw: str) -> Any:
    """Return the JSON value of a record; None if it is not JSON."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT_CHARACTERS else text[: _EXCERPT_CHARACTERS - 1] + "…"


def report_lines(report: FileReport) -> Iterator[str]:
    """Yield the lines that show a report in a terminal, without control characters."""
    yield printable(
        f"{report.file}: {report.documents:,} documents, {report.tweets.total():,} tweets, "
        f"{report.rejects.total():,} rejected"
    )
    for name, count in report.tweets.most_common():
        yield printable(f"  {count:,} × {name}")
    if report.erasures:
        yield f"  {report.erasures:,} × erasure request"
    for reason, count in report.rejects.most_common():
        yield f"  {count:,} × {reason}, {REASONS[reason]}"
    for record in report.records:
        member = f"{record.member}, " if record.member else ""
        outcome = f"rejected: {record.reason}" if record.reason else "a tweet"
        matched = f", format {record.format}" if record.format else ""
        yield printable(f"  {member}document {record.document}, record {record.record}: {outcome}{matched}")
        yield from (printable(f"    {line}") for line in _details(record))


def _details(record: RecordReport) -> Iterator[str]:
    if tweet := record.tweet:
        mentions = ", ".join(tweet["mentions"]) or "none"
        yield f"id {tweet['id']}, {tweet['time']}, lang {tweet['lang']}, user {tweet['user']}, mentions {mentions}"
        yield f"text {tweet['text']}"
    if record.detail:
        yield record.detail
    if record.raw:
        yield f"raw {record.raw}"
    for near in record.near_formats:
        where = f"{near.path} is not {near.name}" if near.path else f"not {near.name}"
        parts = [f"has {', '.join(near.present)}"]
        parts += [f"lacks {', '.join(near.missing)}"] if near.missing else []
        parts += [f"must not have {', '.join(near.excluded_by)}"] if near.excluded_by else []
        yield f"{where}: {'; '.join(parts)}"
