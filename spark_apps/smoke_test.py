"""The smoke test of running streams: land one tweet, and wait until the tweet is in gold/sentiment."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from spark_apps import snowflake, storage
from spark_apps.errors import UserError
from spark_apps.lake.commits import LakeError
from spark_apps.lake.journey import journey

_POLL_SECONDS = 1.0
# The clock of the driver that ingests the tweet may be behind the clock of this process by up to this time.
_CLOCK_SKEW = timedelta(minutes=1)


class SmokeTestError(UserError):
    """The tweet did not reach gold/sentiment in time; the message names the last layer that it reached."""

    exit_code = 1


@dataclass(frozen=True)
class SmokeTestResult:
    """A scored tweet: its id, its label with the probability (0 to 1), and the seconds from landing to the result."""

    id: str
    label: str
    score: float
    seconds: float

    def __str__(self) -> str:
        return f"tweet {self.id} is in gold/sentiment after {self.seconds:.0f} s: {self.label}, {self.score:.0%}"


def run_smoke_test(landing: str, lake: str, seconds: float) -> SmokeTestResult:
    """Land a tweet with a unique id and text, and wait until the tweet is in gold/sentiment. The tweet stays there.

    Args:
        landing: folder or s3a:// URI that the streams read.
        lake: folder or s3a:// URI of the Delta tables.
        seconds: time limit.

    Raises:
        SmokeTestError: the tweet did not reach gold/sentiment within the time limit.
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
    uri = storage.put(landing, f"smoke-test-{id_}.json", json.dumps(tweet).encode())
    began = time.monotonic()
    reached: Mapping[str, object] = {}
    problem = ""
    while (elapsed := time.monotonic() - began) < seconds:
        try:
            reached, problem = journey(lake, id_, now - _CLOCK_SKEW), ""
        except LakeError as error:  # the streams may be creating a table: retry
            problem = f" ({error})"
        if "gold" in reached:
            return SmokeTestResult(id_, str(reached["label"]), float(str(reached["score"])), elapsed)
        time.sleep(_POLL_SECONDS)
    raise SmokeTestError(
        f"tweet {id_} is not in gold/sentiment after {seconds:.0f} s; {_diagnosis(reached, uri, lake)}{problem}"
    )


def _diagnosis(reached: Mapping[str, object], uri: str, lake: str) -> str:
    """Return the last layer that the tweet reached, and which driver to check."""
    if "silver" in reached:
        return f"it is in silver/tweets of {lake}: check the driver of gold"
    return f"it landed as {uri} and is not in silver/tweets of {lake}: check the drivers of bronze and silver"
