"""One look at one stream, and the step that it calls for: the bodies of the tasks of `keep_streams_running`."""

import logging

from airflow.sdk.exceptions import AirflowFailException

from tweet_dags import settings
from tweet_dags.cluster import Cluster
from tweet_dags.decide import MANAGER, Action, Kind, Seen, decide

_log = logging.getLogger(__name__)
_APPLYING = {Kind.APPLY, Kind.WAKE, Kind.DELETE}
_HEALING = {Kind.END_DRIVER, Kind.LEAVE_DOWN}


def applied(stream: str) -> str:
    """See that the application is there as the chart has it, and that the operator works on it."""
    cluster, seen, action = _look(stream)
    if action.kind in _APPLYING:
        _do(cluster, stream, seen, action)
    if action.alert and action.kind not in _HEALING:
        raise AirflowFailException(f"{stream}: {action.says}")
    return action.says


def behind(stream: str) -> bool:
    """Tell whether the stream has to be healed: it runs, but its batches do not advance, or it fails too often."""
    _, _, action = _look(stream)
    return action.kind in _HEALING


def healed(stream: str) -> str:
    """End the driver of a stream that stands still; leave down one that fails too often, and say so by failing."""
    cluster, seen, action = _look(stream)
    if action.kind in _HEALING:
        _do(cluster, stream, seen, action)
    if action.alert:
        raise AirflowFailException(
            f"{stream}: {action.says}\nWhen the cause is mended, trigger operate_stream with the action start."
        )
    return action.says


def _look(stream: str) -> tuple[Cluster, Seen, Action]:
    cluster = Cluster.connect(settings.namespace())
    seen = cluster.see(stream)
    action, memory = decide(seen, settings.limits())
    if memory != seen.memory:
        cluster.remember(stream, memory)
    _log.info("%s: %s (%s)", stream, action.says, action.kind.value)
    if seen.progress and (error := seen.progress.get("error")):
        _log.warning("%s: the last error of its driver: %s", stream, error)
    return cluster, seen, action


def _do(cluster: Cluster, stream: str, seen: Seen, action: Action) -> None:
    match action.kind:
        case Kind.APPLY:
            cluster.apply(seen.rendered)
        case Kind.WAKE:
            cluster.wake(stream)
        case Kind.DELETE:
            cluster.delete(stream)
        case Kind.END_DRIVER:
            cluster.end_driver(stream)
        case Kind.LEAVE_DOWN:
            cluster.hold(stream, MANAGER, action.says)
