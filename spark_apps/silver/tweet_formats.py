"""Recognise the JSON format of a tweet, and read the fields of the tweet from it.

| Format   | Source                                       | Typical fields                                          |
|----------|----------------------------------------------|---------------------------------------------------------|
| v1.1     | Twitter API v1.1: search, timelines, streams | `id_str`, `full_text` or `text`, `created_at`, `user{}` |
| v2       | API v2: objects in `data`, with `includes`   | `id`, `text`, `author_id`, `created_at`, `note_tweet{}` |
| activity | Activity Streams of the enterprise APIs      | `id` (a tag URI), `body`, `postedTime`, `actor{}`       |
| flat     | preprocessed tweets, one level deep          | `id`, `full_text`, `timestamp`, `user_id`, `mentions[]` |
| course   | labelled course material; no ids             | `date`, `user`, `text`, `sentiment`                     |

The text and mentions of a retweet are those of the original tweet, because API v1.1 truncates the retweet's own text.
Id, time and author are those of the retweet. The text of a quoted tweet is ignored.
"""

from typing import Any

from spark_apps.silver.tweet import DERIVE_ID, Json, RawFields, Tweet, supplied_label, validate

_TEXT_FIELDS = ("full_text", "text", "body")
# An object with a text is a tweet if it also has one of these fields.
_TWEET_FIELDS = {
    "id",
    "id_str",
    "tweet_id",
    "created_at",
    "timestamp",
    "date",
    "postedTime",
    "user",
    "user_id",
    "author_id",
}
_V2_FIELDS = {
    "author_id",
    "author",
    "edit_history_tweet_ids",
    "note_tweet",
    "conversation_id",
    "referenced_tweets",
    "public_metrics",
}
# Direct messages have an id, a time and a text too.
_DIRECT_MESSAGE_FIELDS = {
    "sender_id", "recipient_id", "recipient", "event_type", "dm_conversation_id", "message_create",
}  # fmt: skip


def is_tweet(value: Json) -> bool:
    """Return whether an object is meant as a tweet, complete or not."""
    names = value.keys()
    if _DIRECT_MESSAGE_FIELDS & names or "delete" in names:
        return False
    if _is_activity(value):
        return True
    if not any(name in names for name in _TEXT_FIELDS):
        # A tweet without a text. The last condition excludes users, which have an id and created_at too.
        return bool({"id", "id_str"} & names) and (
            "timestamp" in names or ("created_at" in names and bool({"user", "entities", "author_id"} & names))
        )
    return bool(_TWEET_FIELDS & names)


def parse_tweet(value: Json, includes: Json) -> Tweet:
    """Read an object for which `is_tweet` returns True.

    `includes` is the field of that name in an API v2 response, {} for other sources. Raises `InvalidTweet` if id, text
    or time is missing or malformed.
    """
    match tweet_format := _format(value):
        case "v1.1":
            raw = _v1(value)
        case "v2":
            raw = _v2(value, includes)
        case "activity":
            raw = _activity(value)
        case "course":
            raw = _course(value)
        case _:
            raw = _flat(value)
    return validate(value, tweet_format, raw)


def _is_activity(value: Json) -> bool:
    return "postedTime" in value or ("actor" in value and ("body" in value or "verb" in value))


def _format(value: Json) -> str:
    names = value.keys()
    if _is_activity(value):
        return "activity"
    if "created_at" not in names and "timestamp" not in names and ("date" in names or "sentiment" in names):
        return "course"
    if "timestamp" in names and "created_at" not in names:
        return "flat"
    if isinstance(value.get("user"), dict) or "id_str" in names or "truncated" in names:
        return "v1.1"
    if _V2_FIELDS & names:
        return "v2"
    if "full_text" in names:
        return "v1.1" if "entities" in names or "created_at" in names else "flat"
    return "flat" if "user_id" in names or "user" in names else "v2"


def _v1(value: Json) -> RawFields:
    """Read a Tweet object of API v1.1.

    The untruncated text is in `full_text` (extended mode), or in `extended_tweet.full_text` (streams).
    """
    source = _v1_text_source(value)
    mentions = _get(source, "extended_tweet", "entities", "user_mentions") or _get(source, "entities", "user_mentions")
    return RawFields(
        id=value.get("id_str") or value.get("id"),
        text=_v1_text(value, source),
        time=_v1_time(value),
        user=_v1_user(value),
        lang=value.get("lang"),
        mentions=_names(mentions, "screen_name"),
    )


def _v2(value: Json, includes: Json) -> RawFields:
    """Read a Tweet object of API v2; the untruncated text of a long tweet is in `note_tweet.text`."""
    source = _v2_text_source(value, includes)
    mentions = _get(source, "note_tweet", "entities", "mentions") or _get(source, "entities", "mentions")
    return RawFields(
        id=value.get("id") or value.get("id_str"),
        text=_get(source, "note_tweet", "text") or source.get("text"),
        time=value.get("created_at"),
        user=value.get("author_id") or _get(value, "author", "id"),
        lang=value.get("lang"),
        mentions=_names(mentions, "username"),
    )


def _activity(value: Json) -> RawFields:
    """Read an activity; the verb `share` is a retweet, with the original tweet in `object`."""
    shared = value.get("object") if value.get("verb") == "share" else None
    source = shared if isinstance(shared, dict) and shared.get("body") else value
    return RawFields(
        id=_last_part(value.get("id")),
        text=_get(source, "long_object", "body") or source.get("body"),
        time=value.get("postedTime"),
        user=_last_part(_get(value, "actor", "id")) or _get(value, "actor", "preferredUsername"),
        lang=value.get("twitter_lang") or _get(value, "gnip", "language", "value"),
        mentions=_names(_get(source, "twitter_entities", "user_mentions"), "screen_name"),
    )


def _course(value: Json) -> RawFields:
    return RawFields(
        id=value.get("id", DERIVE_ID),
        text=value.get("text"),
        time=value.get("date"),
        user=value.get("user") or value.get("user_id"),
        lang=value.get("lang"),
        mentions=None,
        truth=supplied_label(value),
    )


def _flat(value: Json) -> RawFields:
    return RawFields(
        id=value.get("id") or value.get("id_str") or value.get("tweet_id"),
        text=value.get("full_text") or value.get("text"),
        time=value.get("timestamp") if value.get("timestamp") is not None else value.get("created_at"),
        user=value.get("user_id") or value.get("user"),
        lang=value.get("lang"),
        mentions=value.get("mentions"),
        truth=supplied_label(value),
    )


def _v1_text_source(value: Json) -> Json:
    """Return the tweet to take the text from: the original of a retweet, else the tweet itself."""
    original = value.get("retweeted_status")
    return original if isinstance(original, dict) and _v1_text(original, original) else value


def _v1_text(value: Json, source: Json) -> Any:
    for text in (_get(source, "extended_tweet", "full_text"), source.get("full_text"), source.get("text")):
        if text:
            return text
    return value.get("full_text", value.get("text"))


def _v1_time(value: Json) -> Any:
    created = value.get("created_at")
    return value.get("timestamp_ms") if created is None or created == "" else created


def _v1_user(value: Json) -> Any:
    user = value.get("user")
    if isinstance(user, dict):
        return user.get("id_str") or user.get("id") or user.get("screen_name")
    return user or value.get("user_id_str") or value.get("user_id")


def _v2_text_source(value: Json, includes: Json) -> Json:
    """Return the tweet to take the text from: the original of a retweet if the response includes it."""
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


def _get(value: Any, *path: str) -> Any:
    """Return the value at `path` in nested objects, or None if the path does not exist."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _last_part(value: Any) -> Any:
    """Return `123` for `tag:search.twitter.com,2005:123`."""
    return value.rpartition(":")[2] if isinstance(value, str) else value


def _names(mentions: Any, name: str) -> list[Any] | None:
    if not isinstance(mentions, list):
        return None
    return [mention.get(name) for mention in mentions if isinstance(mention, dict)]
