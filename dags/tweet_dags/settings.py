"""What the DAGs are told by their environment, as the chart sets it."""

import os
from datetime import timedelta

from tweet_dags.actions import Limits


def namespace() -> str:
    """Return the namespace of the streams; `KeyError` where it is not set."""
    return os.environ["TWEETS_STREAMS_NAMESPACE"]


def streams() -> list[str]:
    """Return the names of the streams that are kept running."""
    return [name.strip() for name in os.environ.get("TWEETS_STREAMS", "bronze,silver,gold").split(",")]


def limits() -> Limits:
    return Limits(
        stuck=timedelta(seconds=float(os.environ.get("TWEETS_STUCK_SECONDS", "300"))),
        failures=int(os.environ.get("TWEETS_FAILURES_PER_HOUR", "6")),
    )
