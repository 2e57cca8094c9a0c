"""Writes tweets as JSON in each shape that silver/tweet_formats.py reads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Json = dict[str, Any]

_SENTIMENT = {"negative": 0, "neutral": 2, "positive": 4}
# Maximum length of a text before 2017. `v1` truncates at half of it, so that many tweets are truncated.
_LIMIT = 140


@dataclass(frozen=True)
class Draft:
    """The content of a tweet, independent of its shape.

    `mood` is the sentiment label of the text. `original` is the retweeted tweet, or None.
    """

    id: int
    user_id: int
    user: str
    text: str
    lang: str
    time: datetime
    mentions: tuple[str, ...]
    mood: str
    original: "Draft | None" = None


def _v1_time(time: datetime) -> str:
    return time.strftime("%a %b %d %H:%M:%S +0000 %Y")


def _iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03}Z"


def v1(tweet: Draft) -> Json:
    """API v1.1: a long text is truncated, with the full text in extended_tweet; a retweet contains its original."""
    mentions = [{"screen_name": name, "indices": [0, len(name) + 1]} for name in tweet.mentions]
    value: Json = {
        "created_at": _v1_time(tweet.time),
        "id": tweet.id,
        "id_str": str(tweet.id),
        "text": tweet.text,
        "truncated": False,
        "user": {"id": tweet.user_id, "id_str": str(tweet.user_id), "screen_name": tweet.user, "verified": False},
        "entities": {"hashtags": [], "urls": [], "user_mentions": mentions},
        "lang": tweet.lang,
        "timestamp_ms": str(int(tweet.time.timestamp() * 1000)),
    }
    if tweet.original is not None:
        value["text"] = f"RT @{tweet.original.user}: {tweet.text}"[: _LIMIT - 1] + "…"
        value["retweeted_status"] = v1(tweet.original)
    elif len(tweet.text) > _LIMIT // 2:
        value["text"], value["truncated"] = tweet.text[: _LIMIT // 2] + "…", True
        value["extended_tweet"] = {"full_text": tweet.text, "entities": value["entities"]}
    return value


def timeline(tweets: Sequence[Draft]) -> list[Json]:
    return [v1(tweet) for tweet in tweets]


def search_result(tweets: Sequence[Draft]) -> Json:
    return {"statuses": timeline(tweets), "search_metadata": {"count": len(tweets), "query": "%40all"}}


def _v2(tweet: Draft) -> Json:
    value: Json = {
        "id": str(tweet.id),
        "text": tweet.text,
        "author_id": str(tweet.user_id),
        "created_at": _iso(tweet.time),
        "edit_history_tweet_ids": [str(tweet.id)],
        "entities": {"mentions": [{"start": 0, "end": 1, "username": name} for name in tweet.mentions]},
        "lang": tweet.lang,
    }
    if tweet.original is not None:
        value["text"] = f"RT @{tweet.original.user}: {tweet.text}"[:_LIMIT]
        value["referenced_tweets"] = [{"type": "retweeted", "id": str(tweet.original.id)}]
    return value


def v2(tweet: Draft) -> Json:
    """API v2, one tweet of a filtered stream."""
    return {"data": _v2(tweet), **_includes([tweet]), "matching_rules": [{"id": "1", "tag": "all"}]}


def v2_many(tweets: Sequence[Draft]) -> Json:
    """API v2, the response to a search."""
    return {"data": [_v2(tweet) for tweet in tweets], **_includes(tweets), "meta": {"result_count": len(tweets)}}


def v2_bare(tweet: Draft) -> Json:
    """API v2 with its default fields: the time of the tweet is only in its id."""
    return {"data": {"id": str(tweet.id), "text": tweet.text, "edit_history_tweet_ids": [str(tweet.id)]}}


def _includes(tweets: Sequence[Draft]) -> Json:
    originals = [_v2(tweet.original) for tweet in tweets if tweet.original is not None]
    users = [{"id": str(tweet.user_id), "username": tweet.user, "name": tweet.user.title()} for tweet in tweets]
    return {"includes": {"users": users, "tweets": originals}}


def activity(tweet: Draft) -> Json:
    """Activity Streams, the format of the enterprise APIs."""
    value: Json = {
        "id": f"tag:search.twitter.com,2005:{tweet.id}",
        "objectType": "activity",
        "verb": "post",
        "actor": {"id": f"id:twitter.com:{tweet.user_id}", "preferredUsername": tweet.user},
        "postedTime": _iso(tweet.time),
        "body": tweet.text,
        "twitter_lang": tweet.lang,
        "twitter_entities": {"user_mentions": [{"screen_name": name} for name in tweet.mentions]},
    }
    if tweet.original is not None:
        value |= {
            "verb": "share",
            "body": f"RT @{tweet.original.user}: {tweet.text}",
            "object": activity(tweet.original),
        }
    return value


def flat(tweet: Draft) -> Json:
    """The flat shape, with the label."""
    return {
        "id": tweet.id,
        "full_text": tweet.text,
        "timestamp": _iso(tweet.time),
        "lang": tweet.lang,
        "user_id": tweet.user_id,
        "truth": tweet.mood,
    }


def course(tweet: Draft) -> Json:
    """The shape of course material: no id, a time with a zone name, the label as a number."""
    return {
        "date": tweet.time.strftime("%a %b %d %H:%M:%S UTC %Y"),
        # Silver derives the id from date, user and text: the number in `user` makes the ids of equal texts different.
        "user": f"{tweet.user}_{tweet.id}",
        "text": tweet.text,
        "sentiment": _SENTIMENT[tweet.mood],
    }


# Shapes of a document with one tweet, and of a document with several tweets.
ONE: dict[str, Callable[[Draft], Json]] = {
    "v1.1": v1,
    "v2": v2,
    "v2 default fields": v2_bare,
    "activity": activity,
    "flat": flat,
    "course": course,
}
MANY: dict[str, Callable[[Sequence[Draft]], Any]] = {
    "timeline": timeline,
    "search result": search_result,
    "v2 search": v2_many,
}
SHAPES = (*ONE, *MANY)
