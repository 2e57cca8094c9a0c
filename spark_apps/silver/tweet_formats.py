"""The JSON formats of tweets: how each is recognised, and where its fields are.

| Format   | Source                                       | Typical fields                                          |
|----------|----------------------------------------------|---------------------------------------------------------|
| v1.1     | Twitter API v1.1: search, timelines, streams | `id_str`, `full_text` or `text`, `created_at`, `user{}` |
| v2       | API v2: objects in `data`, with `includes`   | `id`, `text`, `author_id`, `created_at`, `note_tweet{}` |
| activity | Activity Streams of the enterprise APIs      | `id` (a tag URI), `body`, `postedTime`, `actor{}`       |
| graphql  | responses of the web client                  | `rest_id`, `legacy{}`, `core{}`                         |
| scraper  | snscrape and twscrape                        | `id`, `rawContent`, `date`, `user{}`, `mentionedUsers`  |
| camel    | Apify and other services                     | `id`, `text` or `fullText`, `createdAt`, `author{}`     |
| connect  | Kafka Connect, Java objects of Twitter4J     | `Id`, `Text`, `CreatedAt`, `User{}`                     |
| flat     | preprocessed tweets and data sets, one level | `id`, `full_text`, `timestamp`, `user_id`, `mentions[]` |
| course   | labelled course material, mostly without ids | `date`, `user`, `text`, `sentiment`                     |

The text and mentions of a retweet are those of the original tweet, because most formats truncate the retweet's own
text. Id, time and author are those of the retweet. The text of a quoted tweet is ignored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spark_apps.silver.tweet import DERIVE_ID, Json, RawFields, Tweet, supplied_label, validate

Path = tuple[str, ...]


def _paths(*dotted: str) -> tuple[Path, ...]:
    return tuple(tuple(path.split(".")) for path in dotted)


@dataclass(frozen=True, kw_only=True)
class TweetFormat:
    """Where the fields of a tweet are; the first path with a value counts.

    Attributes:
        name: name of the format, the value of the column `format`.
        marks: an object with a value at each of these paths is a tweet in this format.
        any_mark: if not empty, one of these paths must have a value too.
        id: decimal digits; strings come before numbers, which programs round.
        text: text of the tweet.
        time: time of the tweet, in any notation that `parse_time` reads.
        user: the author's id, or the author as an object.
        lang: language of the text.
        mentions: list of the mentioned accounts; the last name is the field of its objects that has the account.
        original: the original of a retweet, from which text and mentions are taken.
        derives_id: whether a tweet without an id gets one from its content.
        has_labels: whether the tweet may have a sentiment label.
    """

    name: str
    marks: tuple[Path, ...] = ()
    any_mark: tuple[Path, ...] = ()
    id: tuple[Path, ...]
    text: tuple[Path, ...]
    time: tuple[Path, ...]
    user: tuple[Path, ...]
    lang: tuple[Path, ...] = (("lang",),)
    mentions: tuple[Path, ...] = ()
    original: tuple[Path, ...] = ()
    derives_id: bool = False
    has_labels: bool = False

    def matches(self, value: Json) -> bool:
        """Return whether `value` has the marks of this format."""
        for path in self.marks:
            if path[0] not in value or _get(value, path) is None:
                return False
        return not self.any_mark or any(_get(value, path) is not None for path in self.any_mark)


# Formats that have fields of their own. The other formats share fields: `_shared_format` tells them apart.
_MARKED = (
    TweetFormat(
        name="graphql",
        marks=_paths("rest_id", "legacy.full_text"),
        id=_paths("legacy.id_str", "rest_id"),
        text=_paths("note_tweet.note_tweet_results.result.text", "legacy.full_text"),
        time=_paths("legacy.created_at"),
        user=_paths("legacy.user_id_str", "core.user_results.result.rest_id"),
        lang=_paths("legacy.lang"),
        mentions=_paths(
            "note_tweet.note_tweet_results.result.entity_set.user_mentions.screen_name",
            "legacy.entities.user_mentions.screen_name",
        ),
        original=_paths(
            "legacy.retweeted_status_result.result",
            "legacy.retweeted_status_result.result.tweet",
            "retweeted_status_result.result",
        ),
    ),
    TweetFormat(
        name="scraper",
        marks=_paths("date"),
        any_mark=_paths("rawContent", "renderedContent"),
        id=_paths("id_str", "id"),
        text=_paths("rawContent", "content", "renderedContent"),
        time=_paths("date"),
        user=_paths("user"),
        mentions=_paths("mentionedUsers.username"),
        original=_paths("retweetedTweet"),
    ),
    TweetFormat(
        name="camel",
        marks=_paths("createdAt"),
        any_mark=_paths("fullText", "text"),
        id=_paths("id_str", "id", "tweetId"),
        text=_paths("fullText", "full_text", "text"),
        time=_paths("createdAt"),
        user=_paths("author", "user", "userId", "authorId"),
        mentions=_paths("entities.user_mentions.screen_name", "entities.userMentions.screenName"),
        original=_paths("retweet", "retweetedTweet", "retweeted_tweet"),
    ),
    TweetFormat(
        name="connect",
        marks=_paths("Id", "Text", "CreatedAt"),
        id=_paths("Id"),
        text=_paths("Text"),
        time=_paths("CreatedAt"),
        user=_paths("User.Id", "User.ScreenName"),
        lang=_paths("Lang"),
        mentions=_paths("UserMentionEntities.ScreenName"),
        original=_paths("RetweetedStatus"),
    ),
)
_V1 = TweetFormat(
    name="v1.1",
    id=_paths("id_str", "id"),
    # The untruncated text is in `full_text` (extended mode), or in `extended_tweet.full_text` (streams).
    text=_paths("extended_tweet.full_text", "full_text", "text"),
    time=_paths("created_at", "timestamp_ms"),
    user=_paths("user.id_str", "user.id", "user.screen_name", "user", "user_id_str", "user_id"),
    mentions=_paths("extended_tweet.entities.user_mentions.screen_name", "entities.user_mentions.screen_name"),
    original=_paths("retweeted_status"),
)
_V2 = TweetFormat(
    name="v2",
    id=_paths("id_str", "id"),
    # The untruncated text of a long tweet is in `note_tweet.text`.
    text=_paths("note_tweet.text", "text"),
    time=_paths("created_at"),
    user=_paths("author_id", "author.id"),
    mentions=_paths("note_tweet.entities.mentions.username", "entities.mentions.username"),
)
_ACTIVITY = TweetFormat(
    name="activity",
    id=_paths("id"),
    text=_paths("long_object.body", "body"),
    time=_paths("postedTime"),
    user=_paths("actor.id", "actor.preferredUsername"),
    lang=_paths("twitter_lang", "gnip.language.value"),
    mentions=_paths(
        "long_object.twitter_entities.user_mentions.screen_name", "twitter_entities.user_mentions.screen_name"
    ),
    original=_paths("object"),
)
_FLAT = TweetFormat(
    name="flat",
    id=_paths("id_str", "id", "tweet_id", "Tweet Id", "Id"),
    text=_paths("full_text", "text", "tweet", "Text", "tweet_text"),
    time=_paths("timestamp", "created_at", "date", "tweet_created", "Datetime"),
    user=_paths("user_id", "user", "username", "Username", "name"),
    mentions=_paths("mentions."),
    has_labels=True,
)
_COURSE = TweetFormat(
    name="course",
    id=_paths("id_str", "id", "ids"),
    text=_paths("text"),
    time=_paths("date"),
    user=_paths("user", "user_id"),
    derives_id=True,
    has_labels=True,
)

_TEXT_FIELDS = {"full_text", "text", "body", "Text", "tweet_text"}
# An object with a text is a tweet if it also has one of these fields.
_TWEET_FIELDS = {
    "id", "id_str", "tweet_id", "Tweet Id", "created_at", "timestamp", "date", "postedTime", "user", "user_id",
    "author_id",
}  # fmt: skip
_V2_FIELDS = {
    "author_id", "author", "edit_history_tweet_ids", "note_tweet", "conversation_id", "referenced_tweets",
    "public_metrics",
}  # fmt: skip
# Direct messages have an id, a time and a text too.
_DIRECT_MESSAGE_FIELDS = {
    "sender_id", "recipient_id", "recipient", "event_type", "dm_conversation_id", "message_create",
}  # fmt: skip
# Posts of Mastodon (`spoiler_text`) and Bluesky (`$type`) have an id, a time and a text too.
OTHER_NETWORK_FIELDS = {"spoiler_text", "$type"}
_NO_TWEET_FIELDS = _DIRECT_MESSAGE_FIELDS | OTHER_NETWORK_FIELDS | {"delete"}


def find_format(value: Json) -> TweetFormat | None:
    """Return the format of an object that is meant as a tweet, complete or not; None if it is not a tweet."""
    names = value.keys()
    if not _NO_TWEET_FIELDS.isdisjoint(names):
        return None
    for format_ in _MARKED:
        if format_.matches(value):
            return format_
    if "postedTime" in names or ("actor" in names and ("body" in names or "verb" in names)):
        return _ACTIVITY
    if _TEXT_FIELDS.isdisjoint(names) and not isinstance(value.get("tweet"), str):
        # A tweet without a text. The last condition excludes users, which have an id and created_at too.
        if ("id" in names or "id_str" in names) and (
            "timestamp" in names or ("created_at" in names and not {"user", "entities", "author_id"}.isdisjoint(names))
        ):
            return _shared_format(value)
        return None
    return None if _TWEET_FIELDS.isdisjoint(names) else _shared_format(value)


def _shared_format(value: Json) -> TweetFormat:
    names = value.keys()
    if "created_at" not in names and "timestamp" not in names and ("date" in names or "sentiment" in names):
        return _COURSE
    if "timestamp" in names and "created_at" not in names:
        return _FLAT
    if isinstance(value.get("user"), dict) or "truncated" in names:
        return _V1
    if not _V2_FIELDS.isdisjoint(names):
        return _V2
    if "full_text" in names:
        return _V1 if "entities" in names or "created_at" in names else _FLAT
    if "id_str" in names:
        return _V1
    # API v2 returns only id, text and edit_history_tweet_ids by default.
    return _V2 if "id" in names and "text" in names and not {"user_id", "user"} & names else _FLAT


def parse_tweet(value: Json, format_: TweetFormat, includes: Json, read_at: datetime) -> Tweet:
    """Read a tweet in one format.

    Args:
        value: JSON object of the tweet.
        format_: format that `find_format` returned.
        includes: field of that name in an API v2 response, {} for other sources.
        read_at: when the tweet was read.

    Raises:
        InvalidTweet: id, text or time is missing or malformed.
    """
    source = _text_source(value, format_, includes)
    id_ = _first(value, format_.id)
    user = _first(value, format_.user)
    if format_ is _ACTIVITY:
        id_, user = _last_part(id_), _last_part(user)
    return validate(
        value,
        format_.name,
        RawFields(
            id=DERIVE_ID if id_ is None and format_.derives_id else id_,
            text=_first(source, format_.text),
            time=_first(value, format_.time),
            user=user,
            lang=_first(value, format_.lang),
            mentions=_accounts(source, format_.mentions),
            truth=supplied_label(value) if format_.has_labels else None,
        ),
        read_at,
    )


def _text_source(value: Json, format_: TweetFormat, includes: Json) -> Json:
    """Return the tweet to take the text from: the original of a retweet, else the tweet itself."""
    if format_ is _V2:
        return _referenced_original(value, includes)
    if format_ is _ACTIVITY and value.get("verb") != "share":
        return value
    for path in format_.original:
        original = _get(value, path)
        if isinstance(original, dict) and _first(original, format_.text) is not None:
            return original
    return value


def _referenced_original(value: Json, includes: Json) -> Json:
    """Return the original of a retweet of API v2 if the response includes it, else the tweet itself."""
    references = value.get("referenced_tweets")
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, dict) and reference.get("type") == "retweeted":
            if reference.get("text"):  # the flattened output of twarc embeds the original in the reference
                return reference
            tweets = includes.get("tweets")
            for original in tweets if isinstance(tweets, list) else ():
                if isinstance(original, dict) and original.get("id") == reference.get("id") and original.get("text"):
                    return original
    return value


def _get(value: Any, path: Iterable[str]) -> Any:
    """Return the value at `path` in nested objects, or None if the path does not exist."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _first(value: Json, paths: Iterable[Path]) -> Any:
    """Return the first value at one of `paths` that is neither null nor an empty string."""
    for path in paths:
        found = _get(value, path)
        if found is not None and found != "":
            return found
    return None


def _last_part(value: Any) -> Any:
    """Return `123` for `tag:search.twitter.com,2005:123`."""
    return value.rpartition(":")[2] if isinstance(value, str) else value


def _accounts(value: Json, paths: Iterable[Path]) -> list[Any] | None:
    """Return the accounts in the first list that has any, [] if all lists are empty, None if there is no list."""
    accounts = None
    for *path, field in paths:
        mentions = _get(value, path)
        if isinstance(mentions, list):
            accounts = [item.get(field) if isinstance(item, dict) else item for item in mentions]
            if accounts:
                break
    return accounts
