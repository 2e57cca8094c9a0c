"""A request to erase tweets or users. A request lands like any other document, as JSON without a user id."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from spark_apps.errors import UserError

# The kinds of rows in silver/erasures.
TWEET, USER, LOCATIONS = "tweet", "user", "locations"
# `why` of the rows for erased tweets that landed again. Only Bronze has these tweets.
LANDED_AGAIN = "landed again"
# Prefix of the user id in the hash, which then differs from other hashes of the id. `lake/erasures.py` uses it in SQL.
USER_PREFIX = "tweet-sentiment user "
_FIELD = "erasure"
_MAX_USER_CHARACTERS = 100
_MAX_IDS = 100_000
_MAX_WHY_CHARACTERS = 1_000


class RequestError(UserError):
    """An erasure request has no ids or an invalid id; the message names it."""


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """A request to erase tweets, all tweets of users, or the locations in the tweets of users.

    Attributes:
        tweets: ids of the tweets.
        users: `user_key` of each user.
        why: reason, without personal data: it is stored in the lake.
        requested_at: when the erasure was requested; None if unknown.
        locations: `user_key` of each user; the tweets stay, without their locations.
    """

    tweets: tuple[str, ...]
    users: tuple[str, ...]
    why: str
    requested_at: datetime | None
    locations: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the document that lands; `parse_request` reads it."""
        requested_at = self.requested_at.isoformat() if self.requested_at else None
        values = {"tweets": self.tweets, "users": self.users, "locations": self.locations}
        return {
            _FIELD: {name: [*ids] for name, ids in values.items()} | {"why": self.why, "requested_at": requested_at}
        }


def user_key(user: str) -> str:
    """Return the key of a user in silver/erasures: a hash of the value that silver/tweets has in `user_id`."""
    return hashlib.sha256((USER_PREFIX + user).encode("utf-8", "replace")).hexdigest()


def make_request(tweets: Iterable[str], users: Iterable[str], why: str) -> ErasureRequest:
    """Return a request, made now.

    Args:
        tweets: ids of tweets.
        users: values of the column `user_id`: ids of authors, or user names if the tweets have no author id.
        why: reason, without personal data.

    Raises:
        RequestError: there is no id, or a tweet id is not a number.
    """
    ids = {id_: tweet_id(id_) for id_ in tweets}
    names = [user.strip() for user in users]
    if invalid := [id_ for id_, valid in ids.items() if valid is None]:
        raise RequestError(f"{', '.join(invalid)}: not a tweet id; a tweet id is a positive 64-bit integer")
    if not all(0 < len(name) <= _MAX_USER_CHARACTERS for name in names):
        raise RequestError("a user id is empty or too long: pass the value of the column user_id of silver/tweets")
    if not why.strip() or len(why) > _MAX_WHY_CHARACTERS:
        raise RequestError(f"--why is empty or longer than {_MAX_WHY_CHARACTERS} characters: name the reason briefly")
    if not 0 < len(ids) + len(names) <= _MAX_IDS:
        raise RequestError(f"a request has 1 to {_MAX_IDS:,} ids: pass --tweet or --user, or several requests")
    valid_ids = dict.fromkeys(id_ for id_ in ids.values() if id_)
    return ErasureRequest(tuple(valid_ids), tuple(map(user_key, dict.fromkeys(names))), why, datetime.now(UTC))


def parse_request(value: dict[str, Any]) -> ErasureRequest | None:
    """Return the request in a JSON object; None if the object is not a valid request."""
    fields = value.get(_FIELD)
    if len(value) != 1 or not isinstance(fields, dict):
        return None
    tweets, users, locations = (fields.get(name, []) for name in ("tweets", "users", "locations"))
    why = fields.get("why")
    if not all(isinstance(ids, list) for ids in (tweets, users, locations)) or not isinstance(why, str):
        return None
    ids = [tweet_id(id_) for id_ in tweets]
    keys = [*users, *locations]
    if not 0 < len(ids) + len(keys) <= _MAX_IDS or None in ids or not all(map(_is_user_key, keys)):
        return None
    requested_at = iso_time(fields.get("requested_at"))
    valid_ids = tuple(id_ for id_ in ids if id_)
    return ErasureRequest(valid_ids, tuple(users), why[:_MAX_WHY_CHARACTERS], requested_at, tuple(locations))


def tweet_id(value: object) -> str | None:
    """Return a tweet id as silver/tweets has it; None if `value` is not a tweet id."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    digits = str(value).strip()
    is_id = digits.isascii() and digits.isdecimal() and len(digits) <= 20 and 0 < int(digits) < 2**64
    return str(int(digits)) if is_id else None


def iso_time(value: object) -> datetime | None:
    """Parse a time in ISO 8601; without a zone, it is in UTC. Return None for any other value."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time and time.tzinfo is None else time


def _is_user_key(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and not value.strip("0123456789abcdef")
