"""The shapes of one tweet: which of them an object has, and where each keeps id, text, time, language and mentions."""

from typing import Any

from spark_apps.silver.fields import DERIVED, Found, Json, Tweet, checked, truth

_TEXTS = ("full_text", "text", "body")
_COMPANIONS = {
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
_V2 = {
    "author_id",
    "author",
    "edit_history_tweet_ids",
    "note_tweet",
    "conversation_id",
    "referenced_tweets",
    "public_metrics",
}
_NO_TWEET = {"sender_id", "recipient_id", "recipient", "event_type", "dm_conversation_id", "message_create"}


def is_tweet(value: Json) -> bool:
    """Tell whether an object is meant as a tweet, complete or not."""
    names = value.keys()
    if _NO_TWEET & names or "delete" in names:
        return False
    if _is_activity(value):
        return True
    if not any(name in names for name in _TEXTS):
        # A tweet that lost its text, but nothing else that looks like one: users have a created_at too.
        return bool({"id", "id_str"} & names) and (
            "timestamp" in names or ("created_at" in names and bool({"user", "entities", "author_id"} & names))
        )
    return bool(_COMPANIONS & names)


def tweet(value: Json, includes: Json) -> Tweet:
    """Read an object for which `is_tweet` holds; `includes` is what a v2 response has beside its data.

    Raises `Invalid` where id, text or time is missing or cannot be read.
    """
    match shape := _shape(value):
        case "v1.1":
            found = _v1(value)
        case "v2":
            found = _v2(value, includes)
        case "activity":
            found = _activity(value)
        case "course":
            found = _course(value)
        case _:
            found = _flat(value)
    return checked(value, shape, found)


def _is_activity(value: Json) -> bool:
    return "postedTime" in value or ("actor" in value and ("body" in value or "verb" in value))


def _shape(value: Json) -> str:
    names = value.keys()
    if _is_activity(value):
        return "activity"
    if "created_at" not in names and "timestamp" not in names and ("date" in names or "sentiment" in names):
        return "course"
    if "timestamp" in names and "created_at" not in names:
        return "flat"
    if isinstance(value.get("user"), dict) or "id_str" in names or "truncated" in names:
        return "v1.1"
    if _V2 & names:
        return "v2"
    if "full_text" in names:
        return "v1.1" if "entities" in names or "created_at" in names else "flat"
    return "flat" if "user_id" in names or "user" in names else "v2"


def _v1(value: Json) -> Found:
    source = _v1_source(value)
    entities = _at(source, "extended_tweet", "entities", "user_mentions") or _at(source, "entities", "user_mentions")
    return Found(
        id=value.get("id_str") or value.get("id"),
        text=_v1_text(value, source),
        time=_v1_time(value),
        user=_v1_user(value),
        lang=value.get("lang"),
        mentions=_names(entities, "screen_name"),
    )


def _v2(value: Json, includes: Json) -> Found:
    source = _v2_source(value, includes)
    entities = _at(source, "note_tweet", "entities", "mentions") or _at(source, "entities", "mentions")
    return Found(
        id=value.get("id") or value.get("id_str"),
        text=_at(source, "note_tweet", "text") or source.get("text"),
        time=value.get("created_at"),
        user=value.get("author_id") or _at(value, "author", "id"),
        lang=value.get("lang"),
        mentions=_names(entities, "username"),
    )


def _activity(value: Json) -> Found:
    shared = value.get("object") if value.get("verb") == "share" else None
    source = shared if isinstance(shared, dict) and shared.get("body") else value
    return Found(
        id=_last_part(value.get("id")),
        text=_at(source, "long_object", "body") or source.get("body"),
        time=value.get("postedTime"),
        user=_last_part(_at(value, "actor", "id")) or _at(value, "actor", "preferredUsername"),
        lang=value.get("twitter_lang") or _at(value, "gnip", "language", "value"),
        mentions=_names(_at(source, "twitter_entities", "user_mentions"), "screen_name"),
    )


def _course(value: Json) -> Found:
    return Found(
        id=value.get("id", DERIVED),
        text=value.get("text"),
        time=value.get("date"),
        user=value.get("user") or value.get("user_id"),
        lang=value.get("lang"),
        mentions=None,
        truth=truth(value),
    )


def _flat(value: Json) -> Found:
    return Found(
        id=value.get("id") or value.get("id_str") or value.get("tweet_id"),
        text=value.get("full_text") or value.get("text"),
        time=value.get("timestamp") if value.get("timestamp") is not None else value.get("created_at"),
        user=value.get("user_id") or value.get("user"),
        lang=value.get("lang"),
        mentions=value.get("mentions"),
        truth=truth(value),
    )


def _v1_source(value: Json) -> Json:
    """Return the tweet whose text counts: of a retweet, the original."""
    original = value.get("retweeted_status")
    return original if isinstance(original, dict) and _v1_text(original, original) else value


def _v1_text(value: Json, source: Json) -> Any:
    for found in (_at(source, "extended_tweet", "full_text"), source.get("full_text"), source.get("text")):
        if found:
            return found
    return value.get("full_text", value.get("text"))


def _v1_time(value: Json) -> Any:
    created = value.get("created_at")
    return value.get("timestamp_ms") if created is None or created == "" else created


def _v1_user(value: Json) -> Any:
    user = value.get("user")
    if isinstance(user, dict):
        return user.get("id_str") or user.get("id") or user.get("screen_name")
    return user or value.get("user_id_str") or value.get("user_id")


def _v2_source(value: Json, includes: Json) -> Json:
    """Return the tweet whose text counts: of a retweet, the original where the response includes it."""
    references = value.get("referenced_tweets")
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, dict) and reference.get("type") == "retweeted":
            if reference.get("text"):  # twarc's flattened form puts the original into the reference
                return reference
            tweets = includes.get("tweets")
            for original in tweets if isinstance(tweets, list) else ():
                if isinstance(original, dict) and original.get("id") == reference.get("id") and original.get("text"):
                    return original
    return value


def _at(value: Any, *path: str) -> Any:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _last_part(value: Any) -> Any:
    """Return `123` of `tag:search.twitter.com,2005:123`."""
    return value.rpartition(":")[2] if isinstance(value, str) else value


def _names(entities: Any, name: str) -> list[Any] | None:
    if not isinstance(entities, list):
        return None
    return [entity.get(name) for entity in entities if isinstance(entity, dict)]
