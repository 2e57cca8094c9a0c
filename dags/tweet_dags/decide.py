"""What to do about one stream: from what stands on the cluster to one action. No calls, no clock, no Airflow.

The operator does the common restarts by itself. What it does not see or cannot end is decided here, one step a look:
each look starts from what is there, so whoever dies in between costs a minute and nothing else.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from tweet_dags import pods
from tweet_dags.actions import Action, Kind, Limits, Step, do, nothing
from tweet_dags.drift import edited
from tweet_dags.failures import counted, last_error
from tweet_dags.notes import Hold, Memory
from tweet_dags.seen import Seen, get
from tweet_dags.states import KNOWN, by_state, submitting, under_way

# A deletion of an application waits for nothing but what somebody has made it wait for.
_DELETION = timedelta(minutes=5)


def decide(seen: Seen, limits: Limits) -> tuple[Action, Memory]:
    """Return what to do now, and what the next look has to know once it is done."""
    seen = replace(seen, memory=counted(seen))
    action, condition = _decide(seen, limits)
    memory, condition = seen.memory, seen.about(condition)
    since = memory.since if condition and condition == memory.condition else seen.now if condition else None
    return action, replace(memory, condition=condition, since=since)


def _decide(seen: Seen, limits: Limits) -> Step:
    """Look first for what forbids all action, then for what people want, then for what the chart wants."""
    live = seen.live
    if live is None:
        return _absent(seen)
    if seen.driver and (reason := pods.lost(seen.driver, seen.now)):
        return nothing(f"{reason}; the driver may still write, and nobody ends it by force", alert=True)
    if since := get(live, "metadata", "deletionTimestamp"):
        late = seen.now - datetime.fromisoformat(since) > _DELETION
        waits = ", ".join(get(live, "metadata", "finalizers") or []) or "its pods"
        return nothing(f"being deleted since {since}; waits for {waits}", alert=late)
    if seen.state not in KNOWN:
        # UNKNOWN, and what a later operator may bring.
        return nothing(f"{seen.state}: the state of the driver is not known; {last_error(seen)}", alert=True)
    if seen.held:
        return _held(seen, seen.held)
    if under_way(seen):
        return submitting(seen)
    if difference := edited(seen.rendered, live):
        return do(Kind.DELETE, f"edited by hand ({difference}): made anew as the chart has it")
    if seen.suspended:
        return _suspended(seen)
    if seen.changed:
        return do(Kind.APPLY, "the chart has changed: applied")
    return by_state(seen, limits)


def _absent(seen: Seen) -> Step:
    if gone := [reason for pod in seen.pods if (reason := pods.lost(pod, seen.now))]:
        return nothing(f"deleted, but {'; '.join(gone)}. Nothing is ended by force", alert=True)
    if seen.pods:
        return nothing(f"deleted; {len(seen.pods)} of its pods are still going")
    if seen.held:
        return nothing(f"{seen.held}; it has no application, and none is made")
    return do(Kind.APPLY, "there is no application: applied")


def _held(seen: Seen, held: Hold) -> Step:
    if seen.suspended:
        return nothing(str(held))
    if under_way(seen):
        return nothing(f"{held}; it is suspended once its submission is over")
    return do(Kind.SUSPEND, f"{held}; suspended")


def _suspended(seen: Seen) -> Step:
    if seen.changed:
        # Resumed, it would start as it was, which may be why it was stopped, only to be started again.
        return do(Kind.DELETE, "suspended, and held by nobody; the chart has changed: made anew")
    return do(Kind.RESUME, "suspended, and held by nobody: resumed")
