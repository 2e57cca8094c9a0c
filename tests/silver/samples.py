"""The same tweet in the formats of Twitter's APIs and in the flat format."""

from datetime import UTC, datetime
from typing import Any

ID = 1_050_118_621_198_921_728
TIME = datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)
V1_TIME = "Wed Oct 10 20:19:24 +0000 2018"
USER = {"id": 6253282, "id_str": "6253282", "screen_name": "api", "created_at": "Wed May 23 06:01:13 +0000 2007"}
V1: dict[str, Any] = {
    "created_at": V1_TIME,
    "id": ID,
    "id_str": str(ID),
    "text": "To make room @Ann",
    "truncated": False,
    "entities": {"user_mentions": [{"screen_name": "Ann", "id": 1}, {"screen_name": "ann", "id": 1}]},
    "user": USER,
    "lang": "en",
}
V2: dict[str, Any] = {
    "id": str(ID),
    "text": "To make room @Ann",
    "author_id": "6253282",
    "created_at": "2018-10-10T20:19:24.000Z",
    "edit_history_tweet_ids": [str(ID)],
    "entities": {"mentions": [{"username": "Ann"}]},
    "lang": "en",
}
ACTIVITY: dict[str, Any] = {
    "id": f"tag:search.twitter.com,2005:{ID}",
    "objectType": "activity",
    "verb": "post",
    "postedTime": "2018-10-10T20:19:24.000Z",
    "actor": {"id": "id:twitter.com:6253282", "preferredUsername": "api"},
    "body": "To make room @Ann",
    "twitter_lang": "en",
    "twitter_entities": {"user_mentions": [{"screen_name": "Ann"}]},
}
FLAT: dict[str, Any] = {
    "id": ID,
    "full_text": "To make room @Ann",
    "timestamp": "2018-10-10T20:19:24Z",
    "lang": "en",
    "user_id": 6253282,
}
FORMATS = {"v1.1": V1, "v2": V2, "activity": ACTIVITY, "flat": FLAT}
