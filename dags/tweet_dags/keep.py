"""One look at one stream, and the step that it calls for: the bodies of the tasks of `keep_streams_running`.

What a task finds that is not its own to do, it leaves to be found again: only what was done is remembered.
"""

import logging
import time
from contextlib import suppress

from airflow.sdk.exceptions import AirflowFailException

from tweet_dags import settings
from tweet_dags.actions import Action, Kind
from tweet_dags.cluster import Cluster
from tweet_dags.decide import decide
from tweet_dags.drift import MANAGER
from tweet_dags.notes import Memory
from tweet_dags.seen import Seen, get
from tweet_dags.writing import ChangedError, RefusedError

_log = logging.getLogger(__name__)
_HEALING = {Kind.END_DRIVER, Kind.LEAVE_DOWN}
# A driver has 30 s to finish its batch.
_PATIENCE, _PAUSE = 45.0, 2.0


def applied(stream: str) -> str:
    """See that the application is there as the chart and its holder have it, and that the operator works on it.

    Where it is being made anew, this waits for the end of its pods, which takes seconds, rather than for the next look.
    """
    began, said = time.monotonic(), []
    while True:
        cluster, seen, action, memory = _look(stream)
        said.append(action.says)
        if action.kind in _HEALING:
            break
        do(cluster, seen, action)
        _remember(cluster, seen, memory)
        if action.alert:
            raise AirflowFailException(f"{stream}: {action.says}")
        if not _being_made_anew(seen, action) or time.monotonic() - began > _PATIENCE:
            break
        time.sleep(_PAUSE)
    try:
        cluster.clear(seen)
    except (ChangedError, RefusedError) as error:
        # They are in nobody's way.
        _log.warning("%s", error)
    return "; then ".join(dict.fromkeys(said))


def _being_made_anew(seen: Seen, action: Action) -> bool:
    """Tell whether nothing but the end of the application, or of its pods, is waited for until it can be applied."""
    gone = seen.live is None or get(seen.live, "metadata", "deletionTimestamp")
    return action.kind is Kind.DELETE or bool(gone and seen.pods and not seen.held)


def behind(stream: str) -> bool:
    """Tell whether the stream has to be healed: it runs, but its batches do not advance, or it fails too often."""
    _, _, action, _ = _look(stream)
    return action.kind in _HEALING


def healed(stream: str) -> str:
    """End the driver of a stream that stands still; leave down one that fails too often, and say so by failing."""
    cluster, seen, action, memory = _look(stream)
    if action.kind in _HEALING:
        do(cluster, seen, action)
        _remember(cluster, seen, memory)
        if action.alert:
            raise AirflowFailException(
                f"{stream}: {action.says}\nWhen the cause is mended, trigger operate_stream with the action start."
            )
    return action.says


def do(cluster: Cluster, seen: Seen, action: Action) -> None:
    """Do what was decided about what was seen."""
    match action.kind:
        case Kind.APPLY:
            cluster.apply(seen)
        case Kind.WAKE:
            cluster.wake(seen)
        case Kind.DELETE:
            cluster.rehearse(seen)
            cluster.delete(seen)
        case Kind.SUSPEND if seen.held:
            cluster.suspend(seen, seen.held)
        case Kind.RESUME:
            cluster.resume(seen)
        case Kind.END_DRIVER:
            cluster.end_driver(seen)
        case Kind.LEAVE_DOWN:
            held = cluster.hold(seen, MANAGER, action.says)
            # It is down by its hold, and a person hears of it now; the next look suspends what is not suspended yet.
            with suppress(ChangedError, RefusedError):
                cluster.suspend(seen, held)


def settle(cluster: Cluster, stream: str) -> str:
    """Suspend, resume or apply the application as its hold says, where it may be written now; say what is left."""
    seen = cluster.see(stream)
    action, _ = decide(seen, settings.limits())
    if action.kind in {Kind.SUSPEND, Kind.RESUME, Kind.APPLY}:
        do(cluster, seen, action)
        return action.says
    if action.kind is Kind.NOTHING:
        return action.says
    return f"left to keep_streams_running: {action.says}"


def _look(stream: str) -> tuple[Cluster, Seen, Action, Memory]:
    cluster = Cluster.connect(settings.namespace())
    seen = cluster.see(stream)
    action, memory = decide(seen, settings.limits())
    _log.info("%s: %s (%s)", stream, action.says, action.kind.value)
    if memory.error and memory.failures:
        _log.warning("%s: the last error of its driver: %s", stream, memory.error)
    return cluster, seen, action, memory


def _remember(cluster: Cluster, seen: Seen, memory: Memory) -> None:
    if memory != seen.memory:
        cluster.remember(seen.name, memory)
