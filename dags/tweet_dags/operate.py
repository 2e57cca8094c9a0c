"""What a person does to a stream: the body of the task of `operate_stream`."""

import logging

from airflow.sdk.exceptions import AirflowFailException

from tweet_dags import pods, settings
from tweet_dags.actions import Kind
from tweet_dags.cluster import Cluster
from tweet_dags.decide import decide
from tweet_dags.drift import MANAGER
from tweet_dags.keep import do
from tweet_dags.seen import Seen

_log = logging.getLogger(__name__)
_OWNER = "operate-stream"


def operate(stream: str, action: str, reason: str, user: str | None) -> str:
    """Stop, start or restart `stream`; return what was done. Fails where something else holds it.

    A stop and a start are written on the chart's map, where they last; the application follows at once, or, while it
    is being submitted, as soon as `keep_streams_running` finds that over.
    """
    cluster = Cluster.connect(settings.namespace())
    seen = cluster.see(stream)
    if seen.held and seen.held.owner not in {_OWNER, MANAGER}:
        raise AirflowFailException(f"{stream} is {seen.held}")
    why = f"{reason} ({user})" if user else reason
    match action:
        case "stop":
            cluster.hold(seen, _OWNER, why)
            said = _follow(cluster, stream)
        case "start":
            cluster.release(seen)
            said = _follow(cluster, stream)
        case _:
            said = _restart(cluster, seen)
    says = f"{stream}: {action}, {why}: {said}"
    _log.info(says)
    return says


def _follow(cluster: Cluster, stream: str) -> str:
    """Suspend, resume or apply the application, where it may be written now; say what is left to be done."""
    seen = cluster.see(stream)
    action, _ = decide(seen, settings.limits())
    if action.kind in {Kind.SUSPEND, Kind.RESUME, Kind.APPLY}:
        do(cluster, seen, action)
        return action.says
    if action.kind is Kind.NOTHING:
        return action.says
    return f"left to keep_streams_running: {action.says}"


def _restart(cluster: Cluster, seen: Seen) -> str:
    if seen.held:
        raise AirflowFailException(f"{seen.name} is {seen.held}. Start it instead")
    if seen.driver is None:
        raise AirflowFailException(f"{seen.name} has no driver: keep_streams_running says why, and sees to it")
    if lost := pods.lost(seen.driver, seen.now):
        raise AirflowFailException(f"{lost}: its driver may still write, and is not ended by force")
    cluster.pardon(seen)
    cluster.end_driver(seen)
    return "the driver is ended, and started again from its checkpoint"
