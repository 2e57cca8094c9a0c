"""The settings of the DAGs, from the environment variables that the chart sets."""

import os
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class HealingLimits:
    """When the reconciler heals a stream, and when it gives up.

    Attributes:
        stuck: A driver that makes no progress for this long is restarted.
        failures: A stream with more failures than this within an hour is given up: it is suspended.
        retry: A stream that was given up is started again after this time.
    """

    stuck: timedelta = timedelta(seconds=300)
    failures: int = 6
    retry: timedelta = timedelta(minutes=30)


def namespace() -> str:
    """Return the namespace of the streams; raise `KeyError` if TWEETS_STREAMS_NAMESPACE is not set."""
    try:
        return os.environ["TWEETS_STREAMS_NAMESPACE"]
    except KeyError:
        raise KeyError("TWEETS_STREAMS_NAMESPACE is not set: set it to the chart's streams.namespace") from None


def runbook() -> str:
    """Return the path or URL of docs/operations.md, for links to its sections."""
    return os.environ.get("TWEETS_RUNBOOK") or "docs/operations.md"


def streams() -> list[str]:
    """Return the names of the streams that `keep_streams_running` reconciles."""
    return [name.strip() for name in os.environ.get("TWEETS_STREAMS", "bronze,silver,gold").split(",")]


def healing_limits() -> HealingLimits:
    """Return the limits that TWEETS_STUCK_SECONDS, TWEETS_FAILURES_PER_HOUR and TWEETS_RETRY_MINUTES set."""
    return HealingLimits(
        stuck=timedelta(seconds=float(os.environ.get("TWEETS_STUCK_SECONDS", "300"))),
        failures=int(os.environ.get("TWEETS_FAILURES_PER_HOUR", "6")),
        retry=timedelta(minutes=float(os.environ.get("TWEETS_RETRY_MINUTES", "30"))),
    )
