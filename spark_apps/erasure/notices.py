"""Twitter's notices that a tweet, an account or the locations of an account were deleted, as erasure requests.

| Notice                                        | Source                                    |
|-----------------------------------------------|-------------------------------------------|
| `{"delete": {"status": {"id_str", …}}}`       | streaming and compliance APIs v1.1        |
| `{"user_delete": {"id", …}}`                  | compliance API v1.1                       |
| `{"scrub_geo": {"user_id_str", …}}`           | streaming and compliance APIs v1.1        |
| `{"delete": {"tweet": {"id", …}, …}}`         | compliance stream v2, in the field `data` |
| `{"user_delete": {"user": {"id"}, …}}`        | compliance stream v2, in the field `data` |
| `{"scrub_geo": {"user": {"id"}, …}}`          | compliance stream v2, in the field `data` |
"""

from datetime import UTC, datetime
from typing import Any

from spark_apps.erasure.request import ErasureRequest, iso_time, tweet_id, user_key

_TWEET_DELETED = "Twitter: the tweet was deleted"
_USER_DELETED = "Twitter: the account was deleted"
_LOCATIONS_DELETED = "Twitter: the locations of the account were deleted"


def parse_notice(value: dict[str, Any]) -> ErasureRequest | None:
    """Return the erasure that a notice requests; None for other objects, such as a notice about a deleted like."""
    if isinstance(notice := value.get("delete"), dict):
        deleted = tweet_id(_id(notice.get("status")) or _id(notice.get("tweet")))
        return ErasureRequest((deleted,), (), _TWEET_DELETED, _time(notice)) if deleted else None
    if isinstance(notice := value.get("user_delete"), dict):
        user = _id(notice.get("user")) or _id(notice)
        return ErasureRequest((), (user_key(user),), _USER_DELETED, _time(notice)) if user else None
    if isinstance(notice := value.get("scrub_geo"), dict):
        user = _id(notice.get("user")) or _id({"id_str": notice.get("user_id_str"), "id": notice.get("user_id")})
        return ErasureRequest((), (), _LOCATIONS_DELETED, _time(notice), (user_key(user),)) if user else None
    return None


def _id(value: object) -> str | None:
    """Return the id of a tweet or user object."""
    id_ = (value.get("id_str") or value.get("id")) if isinstance(value, dict) else None
    return str(id_) if isinstance(id_, (int, str)) and not isinstance(id_, bool) and id_ else None


def _time(notice: dict[str, Any]) -> datetime | None:
    milliseconds = str(notice.get("timestamp_ms", ""))
    if milliseconds.isdecimal() and len(milliseconds) == 13:
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    return iso_time(notice.get("event_at"))
