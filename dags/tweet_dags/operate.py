"""What a person does to a stream: the body of the task of `operate_stream`."""

import logging

from airflow.sdk.exceptions import AirflowFailException

from tweet_dags import pods, rescore, settings
from tweet_dags.cluster import Cluster
from tweet_dags.drift import MANAGER
from tweet_dags.keep import settle
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
        _refuse_unless_left(cluster, seen, action)
    why = f"{reason} ({user})" if user else reason
    match action:
        case "stop":
            cluster.hold(seen, _OWNER, why)
            said = settle(cluster, stream)
        case "start":
            cluster.release(seen)
            said = settle(cluster, stream)
        case _:
            said = _restart(cluster, seen)
    says = f"{stream}: {action}, {why}: {said}"
    _log.info(says)
    return says


def _refuse_unless_left(cluster: Cluster, seen: Seen, action: str) -> None:
    """Let a person start what a rescore holds that is given up: of which nothing is there any more that could write."""
    if not seen.held or seen.held.owner != rescore.OWNER or action != "start":
        raise AirflowFailException(f"{seen.name} is {seen.held}")
    if there := rescore.remains(cluster):
        raise AirflowFailException(
            f"{seen.name} is {seen.held}, and {there}: trigger rescore_gold to go on with it, or delete the "
            f"SparkApplication {rescore.JOB} to give it up, and start {seen.name} once its pods are gone"
        )


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
