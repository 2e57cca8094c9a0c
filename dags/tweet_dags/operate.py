"""What a person does to a stream: the body of the task of `operate_stream`."""

import logging

from airflow.sdk.exceptions import AirflowFailException

from tweet_dags import settings
from tweet_dags.cluster import Cluster
from tweet_dags.decide import MANAGER, Memory, hold

_log = logging.getLogger(__name__)
_OWNER = "operate-stream"


def operate(stream: str, action: str, reason: str, user: str | None) -> str:
    """Stop, start or restart `stream`; return what was done. Fails where there is nothing to do it to."""
    cluster = Cluster.connect(settings.namespace())
    seen = cluster.see(stream)
    if seen.live is None:
        raise AirflowFailException(f"{stream} has no application yet: keep_streams_running makes it within a minute")
    held = hold(seen.live)
    if held and held.get("owner") not in {_OWNER, MANAGER}:
        raise AirflowFailException(f"{stream} is held by {held.get('owner')}: {held.get('reason')}")
    why = f"{reason} ({user})" if user else reason
    match action:
        case "stop":
            cluster.hold(stream, _OWNER, why)
        case "start":
            cluster.release(stream, str(held.get("owner", _OWNER)))
        case "restart":
            # What a person asks for is no failure.
            cluster.remember(stream, Memory())
            cluster.end_driver(stream)
    says = f"{stream}: {action}, {why}"
    _log.info(says)
    return says
