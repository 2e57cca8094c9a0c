"""What counts as a failure of a stream, how many there were, and what is known of the last."""

from dataclasses import replace
from datetime import timedelta

from tweet_dags import pods
from tweet_dags.actions import Limits
from tweet_dags.notes import Memory
from tweet_dags.seen import Seen, get

_WITHIN = timedelta(hours=1)
# Two looks: the one that finds a new submission may find the operator still at it.
_JUST_NOW = timedelta(seconds=90)


def counted(seen: Seen) -> Memory:
    """Count a submission that nobody asked for; forget what is older than an hour, or pardoned.

    A new application and a new generation of its spec were asked for: by the chart, by a person, by an edit and by
    what takes it back. So was the end of a driver that a person wanted.
    """
    memory, pardon = seen.memory, seen.pardon
    recent = tuple(at for at in memory.failures if seen.now - at < _WITHIN and (pardon.at is None or at > pardon.at))
    error = (seen.answer and seen.answer.error) or memory.error
    memory = replace(memory, failures=recent, error=error)
    submission = seen.submission
    if not submission or submission == memory.submission:
        return memory
    asked = f"{get(seen.live, 'metadata', 'uid')}/{get(seen.live, 'metadata', 'generation')}"
    if memory.submission and asked == memory.asked and memory.submission != pardon.submission:
        recent = (*recent, seen.now)
    return replace(memory, submission=submission, asked=asked, failures=recent)


def too_many(seen: Seen, limits: Limits) -> bool:
    return len(seen.memory.failures) > limits.failures


def just_failed(seen: Seen) -> bool:
    """Tell whether the newest failure is so young that a stream which is not up yet has not recovered from it."""
    failures = seen.memory.failures
    return bool(failures) and seen.now - failures[-1] <= _JUST_NOW


def last_error(seen: Seen) -> str:
    """Return all that is known: what the driver said, what its pod ended with, and what the operator makes of it."""
    told = {
        "the driver's last error": seen.memory.error,
        "its pod": pods.trouble(seen.driver),
        "the operator": str(get(seen.live, "status", "applicationState", "errorMessage") or "").strip(),
    }
    return "; ".join(f"{who}: {what}" for who, what in told.items() if what) or "no error is known"
