"""Land one tweet and follow it through the tables: the whole way, seen from outside."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from spark_apps import snowflake, storage
from spark_apps.errors import UserError
from spark_apps.lake.commits import LakeError
from spark_apps.lake.journey import journey

_EVERY_SECONDS = 1.0
# The clock of the store may be behind this one.
_CLOCKS_APART = timedelta(minutes=1)


class FollowError(UserError):
    """A tweet that did not arrive in time; the text says how far it came and where to look."""

    exit_code = 1


@dataclass(frozen=True)
class Arrival:
    """A tweet in gold/sentiment: its id, its label with the probability, and the seconds from landing to being seen."""

    id: str
    label: str
    score: float
    seconds: float

    def __str__(self) -> str:
        return f"tweet {self.id} is in gold/sentiment after {self.seconds:.0f} s: {self.label}, {self.score:.0%}"


def follow(landing: str, lake: str, seconds: float) -> Arrival:
    """Land a tweet whose id and text nobody else has, and wait for it in gold/sentiment, where it stays.

    `FollowError` when it is not there within `seconds`.
    """
    now = datetime.now(UTC)
    id_ = snowflake.new_id(now)
    tweet = {
        "id": id_,
        "full_text": f"I like it that tweet {id_} travels all the way to Gold",
        "timestamp": now.isoformat(),
        "lang": "en",
        "user_id": "tweet-sentiment",
    }
    uri = storage.put(landing, f"followed-{id_}.json", json.dumps(tweet).encode())
    began, way, problem = time.monotonic(), dict[str, object](), ""
    while (spent := time.monotonic() - began) < seconds:
        try:
            way, problem = dict(journey(lake, id_, now - _CLOCKS_APART)), ""
        except LakeError as error:  # perhaps a table that is just being made
            problem = f" ({error})"
        if "gold" in way:
            return Arrival(id_, str(way["label"]), float(str(way["score"])), spent)
        time.sleep(_EVERY_SECONDS)
    raise FollowError(f"tweet {id_} has not come to Gold within {seconds:.0f} s: {_stuck(way, uri, lake)}{problem}")


def _stuck(way: Mapping[str, object], uri: str, lake: str) -> str:
    if "silver" in way:
        return f"it is in silver/tweets of {lake}, so look at the driver of gold"
    return f"it has landed as {uri} and is not in silver/tweets of {lake}, so look at the drivers of bronze and silver"
