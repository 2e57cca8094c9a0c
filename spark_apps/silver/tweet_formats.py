"""The built-in JSON formats of tweets: how each is recognised, and where its fields are.

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

from collections.abc import Sequence

from spark_apps.silver.tweet import Json
from spark_apps.silver.tweet_reader import TweetFormat, first, paths


def _referenced_original(value: Json, includes: Json) -> Json | None:
    """Return the original of a retweet of API v2 if the response includes it."""
    references = value.get("referenced_tweets")
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, dict) and reference.get("type") == "retweeted":
            if reference.get("text"):  # the flattened output of twarc embeds the original in the reference
                return reference
            tweets = includes.get("tweets")
            for original in tweets if isinstance(tweets, list) else ():
                if isinstance(original, dict) and original.get("id") == reference.get("id") and original.get("text"):
                    return original
    return None


def _shared_original(value: Json, _: Json) -> Json | None:
    """Return the original of a share in Activity Streams. The object of any other activity is not an original."""
    original = value.get("object") if value.get("verb") == "share" else None
    return original if isinstance(original, dict) and first(original, _ACTIVITY.text) is not None else None


# Formats with fields of their own. The other formats share fields, and `_shared_format` distinguishes them.
_MARKED = (
    TweetFormat(
        name="graphql",
        marks=paths("rest_id", "legacy.full_text"),
        id=paths("legacy.id_str", "rest_id"),
        text=paths("note_tweet.note_tweet_results.result.text", "legacy.full_text"),
        time=paths("legacy.created_at"),
        user=paths("legacy.user_id_str", "core.user_results.result.rest_id"),
        lang=paths("legacy.lang"),
        mentions=paths(
            "note_tweet.note_tweet_results.result.entity_set.user_mentions.screen_name",
            "legacy.entities.user_mentions.screen_name",
        ),
        original=paths(
            "legacy.retweeted_status_result.result",
            "legacy.retweeted_status_result.result.tweet",
            "retweeted_status_result.result",
        ),
    ),
    TweetFormat(
        name="scraper",
        marks=paths("date"),
        any_mark=paths("rawContent", "renderedContent"),
        id=paths("id_str", "id"),
        text=paths("rawContent", "content", "renderedContent"),
        time=paths("date"),
        user=paths("user"),
        mentions=paths("mentionedUsers.username"),
        original=paths("retweetedTweet"),
    ),
    TweetFormat(
        name="camel",
        marks=paths("createdAt"),
        any_mark=paths("fullText", "text"),
        id=paths("id_str", "id", "tweetId"),
        text=paths("fullText", "full_text", "text"),
        time=paths("createdAt"),
        user=paths("author", "user", "userId", "authorId"),
        mentions=paths("entities.user_mentions.screen_name", "entities.userMentions.screenName"),
        original=paths("retweet", "retweetedTweet", "retweeted_tweet"),
    ),
    TweetFormat(
        name="connect",
        marks=paths("Id", "Text", "CreatedAt"),
        id=paths("Id"),
        text=paths("Text"),
        time=paths("CreatedAt"),
        user=paths("User.Id", "User.ScreenName"),
        lang=paths("Lang"),
        mentions=paths("UserMentionEntities.ScreenName"),
        original=paths("RetweetedStatus"),
    ),
)
_V1 = TweetFormat(
    name="v1.1",
    id=paths("id_str", "id"),
    # The untruncated text is in `full_text` (extended mode), or in `extended_tweet.full_text` (streams).
    text=paths("extended_tweet.full_text", "full_text", "text"),
    time=paths("created_at", "timestamp_ms"),
    user=paths("user.id_str", "user.id", "user.screen_name", "user", "user_id_str", "user_id"),
    mentions=paths("extended_tweet.entities.user_mentions.screen_name", "entities.user_mentions.screen_name"),
    original=paths("retweeted_status"),
)
_V2 = TweetFormat(
    name="v2",
    id=paths("id_str", "id"),
    # The untruncated text of a long tweet is in `note_tweet.text`.
    text=paths("note_tweet.text", "text"),
    time=paths("created_at"),
    user=paths("author_id", "author.id"),
    mentions=paths("note_tweet.entities.mentions.username", "entities.mentions.username"),
    find_original=_referenced_original,
    # The API omits created_at by default; its ids encode the creation time.
    has_time_in_id=True,
)
_ACTIVITY = TweetFormat(
    name="activity",
    id=paths("id"),
    text=paths("long_object.body", "body"),
    time=paths("postedTime"),
    user=paths("actor.id", "actor.preferredUsername"),
    lang=paths("twitter_lang", "gnip.language.value"),
    mentions=paths(
        "long_object.twitter_entities.user_mentions.screen_name", "twitter_entities.user_mentions.screen_name"
    ),
    find_original=_shared_original,
    has_uris=True,
)
_FLAT = TweetFormat(
    name="flat",
    id=paths("id_str", "id", "tweet_id", "Tweet Id", "Id"),
    text=paths("full_text", "text", "tweet", "Text", "tweet_text"),
    time=paths("timestamp", "created_at", "date", "tweet_created", "Datetime"),
    user=paths("user_id", "user", "username", "Username", "name"),
    mentions=paths("mentions."),
    has_labels=True,
)
_COURSE = TweetFormat(
    name="course",
    id=paths("id_str", "id", "ids"),
    text=paths("text"),
    time=paths("date"),
    user=paths("user", "user_id"),
    derives_id=True,
    identity=paths("date", "user", "text"),
    has_labels=True,
)
# An object with none of these fields matches no format of `_MARKED`.
_MARKED_FIELDS = {path[0] for format_ in _MARKED for path in format_.marks[:1] or format_.any_mark}
BUILT_IN = (*_MARKED, _V1, _V2, _ACTIVITY, _FLAT, _COURSE)

TEXT_FIELDS = {"full_text", "text", "body", "Text", "tweet_text"}
# An object with a text is a tweet if it also has one of these fields.
TWEET_FIELDS = {
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
NO_TWEET_FIELDS = _DIRECT_MESSAGE_FIELDS | OTHER_NETWORK_FIELDS | {"delete"}


def find_format(value: Json, declared: Sequence[TweetFormat] = ()) -> TweetFormat | None:
    """Return the format of an object that is meant as a tweet, complete or not; None for any other object.

    Args:
        value: JSON object.
        declared: formats that a user has declared; they come before the built-in ones.
    """
    for format_ in declared:
        if format_.matches(value):
            return format_
    names = value.keys()
    if not NO_TWEET_FIELDS.isdisjoint(names):
        return None
    if not _MARKED_FIELDS.isdisjoint(names):
        for format_ in _MARKED:
            if format_.matches(value):
                return format_
    if "postedTime" in names or ("actor" in names and ("body" in names or "verb" in names)):
        return _ACTIVITY
    if TEXT_FIELDS.isdisjoint(names) and not isinstance(value.get("tweet"), str):
        # Recognise a tweet without a text. The last condition excludes users, which have an id and created_at too.
        if ("id" in names or "id_str" in names) and (
            "timestamp" in names or ("created_at" in names and not {"user", "entities", "author_id"}.isdisjoint(names))
        ):
            return _shared_format(value)
        return None
    return None if TWEET_FIELDS.isdisjoint(names) else _shared_format(value)


def _shared_format(value: Json) -> TweetFormat:
    """Return the format of a tweet with fields that occur in several formats."""
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
