"""Find the tweets in a JSON value: single tweets, lists, and the envelopes of APIs, queues and exports."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from spark_apps import json_text
from spark_apps.erasure.notices import parse_notice
from spark_apps.erasure.request import ErasureRequest, parse_request
from spark_apps.json_nesting import encoded_json, rows_by_column, rows_of_table
from spark_apps.json_text import Rejected, compact_json, replace_lone_surrogates
from spark_apps.silver.tweet import Json
from spark_apps.silver.tweet_formats import OTHER_NETWORK_FIELDS, find_format
from spark_apps.silver.tweet_reader import TweetFormat

# Fields that contain a list of records: API v1.1 universal search (`modules`) and search (`statuses`), Gnip search
# (`results`), Account Activity API (`tweet_create_events`), and lists of other objects, which are rejected one by one.
_LIST_ENVELOPES = (
    "modules", "statuses", "results", "tweet_create_events", "users", "lists", "direct_messages", "dm_events",
)  # fmt: skip
_RESPONSE_FIELDS = {"data", "errors", "meta", *_LIST_ENVELOPES}
# Fields of responses that never contain a tweet. They are skipped, to save time.
_METADATA_FIELDS = {"meta", "errors", "matching_rules", "search_metadata"}
_DIRECT_MESSAGE_ENVELOPES = {
    "direct_message", "direct_message_events", "message_create", "dm_conversation_id", "recipient_id",
}  # fmt: skip
_DIRECT_MESSAGE_EVENTS = {"MessageCreate", "ParticipantsJoin", "ParticipantsLeave"}
# Fields of the messages that the streaming APIs send besides tweets.
_NOTICE_FIELDS = (
    {"limit", "scrub_geo", "status_withheld", "user_withheld", "disconnect", "warning", "friends", "friends_str"}
    | {"event", "control", "info", "for_user_id", "withheld", "compliance"}
)  # fmt: skip
_USER_FIELDS = {"screen_name", "username", "preferredUsername"}
_LIST_FIELDS = {"member_count", "subscriber_count", "follower_count"}
# Fields that contain the quoted tweets and originals of a tweet, which are not records of their own.
_RELATED_TWEETS = {"includes", "quoted_status_result", "quotedRefResult", "quoted_status", "retweeted_status"}
# Quarantine reasons of objects that were not recognised: such an object may still contain a tweet, at any depth.
UNRECOGNISED = {"no_tweets", "not_a_tweet"}
# JSON in a string in JSON in a string: a queue in a queue. No service nests deeper.
_MAX_ENCODINGS = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """A JSON object that is meant as a tweet, its format, and the `includes` of its API v2 response ({} if none)."""

    value: Json
    format: TweetFormat
    includes: Json


class TweetFinder:
    """Finds the tweets in the JSON values of one document."""

    def __init__(self, formats: Sequence[TweetFormat], reads_notices: bool) -> None:
        """Search for the formats that a user has declared, and for the built-in ones.

        Args:
            formats: declared formats.
            reads_notices: whether Twitter's notices of deletions are erasure requests; otherwise they are rejected.
        """
        self._formats = formats
        self._reads_notices = reads_notices
        self._values_left = json_text.MAX_VALUES

    def find(self, value: Any, includes: Json | None = None) -> Iterator[Candidate | ErasureRequest | Rejected]:
        """Yield the records of a JSON value: tweets, erasure requests, and rejects for values without either.

        An array has at least one record per object in it, an envelope of an API one per object in its list, and any
        other object the tweets in it, at any depth. An object within a tweet is not a record.

        Args:
            value: JSON value.
            includes: field of that name in an API v2 response around the value.

        Raises:
            TooManyValues: the strings of the document contain more than `MAX_VALUES` JSON values.
        """
        includes = includes or {}
        if isinstance(value, list):
            yield from self._find_in_list(value, includes)
        elif isinstance(value, dict):
            if isinstance(value.get("_json"), dict):  # a Status of Tweepy: `_json` is the JSON that it was made of
                yield from self.find(value["_json"], includes)
            elif format_ := find_format(value, self._formats):
                rows = rows_by_column(value)
                if rows is None:
                    yield Candidate(value, format_, includes)
                else:
                    yield from self._find_in_list(list(rows.values()), includes)
            else:
                yield from self._find_in_envelope(value, includes)
        elif (decoded := self._decode(value)) is not None:
            yield from self.find(decoded, includes)
        else:
            yield _reject_scalar(value)

    def _find_in_list(self, values: list[Any], includes: Json) -> Iterator[Candidate | ErasureRequest | Rejected]:
        if not values:
            yield Rejected("[]", "no_tweets", "an empty array")
            return
        decoded = [self._decode(value) if isinstance(value, str) else value for value in values]
        if not any(isinstance(value, (dict, list)) for value in decoded):
            # One reject for a list of numbers or words, not one for each of them.
            yield reject(values, "not_a_tweet", f"an array of {len(values)} values that are not objects")
            return
        for number, value in enumerate(decoded):
            if isinstance(value, (dict, list)):
                yield from self.find(value, includes)
            else:
                yield _reject_scalar(values[number])

    def _find_in_envelope(self, value: Json, includes: Json) -> Iterator[Candidate | ErasureRequest | Rejected]:
        """Yield the records in an object that is not a tweet itself; one reject if it contains no tweet."""
        request = parse_request(value) or (parse_notice(value) if self._reads_notices else None)
        if request is not None:
            yield request
            return
        if (rows := rows_by_column(value) or rows_of_table(value)) is not None:
            yield from self._find_in_list(list(rows.values()), includes)
            return
        if (envelope := _envelope(value)) is not None:
            yield from self.find(value[envelope], _includes(value, includes))
            # The other fields of an API's response contain no tweets, but those of another program's object may.
            if others := value.keys() - {envelope} - _METADATA_FIELDS - _RELATED_TWEETS:
                yield from self._search({name: child for name, child in value.items() if name in others})
            return
        reason, detail = _classify(value)
        candidates = list(self._search(value)) if reason in UNRECOGNISED else []
        if candidates:
            yield from candidates
        else:
            yield reject(value, reason, detail)

    def _search(self, root: Json) -> Iterator[Candidate]:
        """Yield the tweets at any depth of an object, in document order; do not descend into tweets and users."""
        stack: list[tuple[Any, Json, int]] = [(root, {}, 0)]
        while stack:
            value, includes, encodings = stack.pop()
            if isinstance(value, dict):
                if value is not root:
                    if format_ := find_format(value, self._formats):
                        yield Candidate(value, format_, includes)
                        continue
                    if _classify(value)[0] not in UNRECOGNISED:
                        continue
                includes = _includes(value, includes)
                children = [child for name, child in value.items() if name not in _RELATED_TWEETS]
                stack.extend((child, includes, encodings) for child in reversed(children))
            elif isinstance(value, list):
                stack.extend((child, includes, encodings) for child in reversed(value))
            elif encodings < _MAX_ENCODINGS and (decoded := self._decode(value)) is not None:
                stack.append((decoded, includes, encodings + 1))

    def _decode(self, value: Any) -> Any:
        """Return the object or array in a string with JSON, plain or in Base64; None for anything else."""
        if not isinstance(value, str):
            return None
        try:
            for _ in range(_MAX_ENCODINGS):
                text = encoded_json(value)
                if text is None:
                    return None
                if text[0] != '"':
                    self._count_values(text)
                value = json_text.parse(text)
                if not isinstance(value, str):
                    break
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, (dict, list)):
            return None
        json_text.prune(value)
        return value

    def _count_values(self, text: str) -> None:
        """Count the values of an encoded text: escapes and Base64 hide them from the count of the whole document."""
        self._values_left -= json_text.count_values(text)
        if self._values_left < 0:
            raise TooManyValues


class TooManyValues(Exception):  # noqa: N818 - names the condition, as StopIteration does
    """The strings of a document contain too many JSON values."""


def reject(value: Any, reason: str, detail: str | None) -> Rejected:
    """Return a reject with `value` as JSON."""
    return Rejected(compact_json(value), reason, None if detail is None else replace_lone_surrogates(detail))


def _reject_scalar(value: Any) -> Rejected:
    return reject(value, "not_a_tweet", f"a bare {type(value).__name__}")


def _envelope(value: Json) -> str | None:
    """Return the name of the field that contains the records of an API's response; None for any other object."""
    data = value.get("data")
    if isinstance(data, (dict, list)) and data != []:
        return "data"
    return next((name for name in _LIST_ENVELOPES if isinstance(value.get(name), list) and value[name]), None)


def _includes(value: Json, outer: Json) -> Json:
    """Return the `includes` of an API v2 response, or those of the response around it."""
    own = value.get("includes")
    return own if isinstance(own, dict) else outer


def _classify(value: Json) -> tuple[str, str | None]:
    """Return the quarantine reason and the detail for an object that contains no tweet."""
    names = value.keys()
    if "delete" in names:
        return "deletion", None
    event = value.get("event_type")
    if _DIRECT_MESSAGE_ENVELOPES & names or (isinstance(event, str) and event in _DIRECT_MESSAGE_EVENTS):
        return "direct_message", None
    if _LIST_FIELDS & names and "name" in names and not _USER_FIELDS & names:
        return "list", None
    if _USER_FIELDS & names:
        return "user", None
    if notice := sorted(_NOTICE_FIELDS & names):
        return "notice", notice[0]
    if OTHER_NETWORK_FIELDS & names:
        return "other_network", "a post of Mastodon or Bluesky: declare a format to read it"
    if _RESPONSE_FIELDS & names:
        return "no_tweets", "a response without a tweet"
    return "not_a_tweet", f"its fields are {', '.join(sorted(names)[:8])}" if names else "an empty object"
