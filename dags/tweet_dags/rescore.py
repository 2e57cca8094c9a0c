"""The history scored again by a job of its own while Gold is stopped: the bodies of the tasks of `rescore_gold`.

Each begins with what stands on the cluster, under names that do not change: whoever tries again, or looks after a
restart of Airflow, finds what the one before has left. Two drivers never write one table: the job is applied only
where Gold is held in its name, is suspended and has no pods left, and it is deleted where Gold is held by it no longer.
"""

import logging
from dataclasses import replace
from datetime import date

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from tweet_dags import pods, settings
from tweet_dags.cluster import Cluster
from tweet_dags.failures import last_error
from tweet_dags.keep import settle
from tweet_dags.seen import Seen, get
from tweet_dags.writing import ChangedError

_log = logging.getLogger(__name__)
OWNER = "rescore-gold"
STREAM, JOB = "gold", "rescore"
# Which run of the DAG the job was applied for: what another has finished was finished with the model of then.
_RUN = "tweet-sentiment/run"
# From these the operator never submits again by itself.
_ENDED = {"COMPLETED", "FAILED"}
_LINES = 15


def held(reason: str, user: str | None) -> str:
    """Hold Gold in the name of the rescore, and stop it; fails where somebody else holds it."""
    cluster, gold = _look(STREAM)
    if gold.held and gold.held.owner != OWNER:
        raise AirflowFailException(f"{STREAM} is {gold.held}. Trigger this again when that is over")
    if not gold.held:
        cluster.hold(gold, OWNER, f"{reason} ({user})" if user else reason)
    return settle(cluster, STREAM)


def quiet() -> bool:
    """Tell whether Gold is suspended and none of its pods is left."""
    cluster, gold = _look(STREAM)
    return _is_quiet(cluster, gold)


def rescored(since: str | None, run: str) -> bool:
    """Tell whether the job has come to its end; start it where it is not there. A job that has failed is deleted.

    `since` is the first day to be scored again, YYYY-MM-DD, or None; `run` is that of the DAG.
    """
    day = date.fromisoformat(since) if since else None
    cluster, job = _look(JOB)
    if job.live is None:
        if job.pods:
            _refuse_lost(job)
            _log.info("%s of its pods are still going", len(job.pods))
        elif _is_quiet(cluster, cluster.see(STREAM)):
            cluster.apply(_asked_for(job, day, run))
            _log.info("applied")
        job = cluster.see(JOB)
    _refuse_unless_ours(cluster, job)
    return _has_ended(cluster, job, run)


def resumed() -> bool:
    """Take the job away, and once its pods are gone the hold; tell whether Gold may run again."""
    cluster, job = _look(JOB)
    if job.live is not None and not get(job.live, "metadata", "deletionTimestamp"):
        _delete(cluster, job)
        return False
    if job.live is not None or job.pods:
        _refuse_lost(job)
        return False
    gold = cluster.see(STREAM)
    if gold.held and gold.held.owner == OWNER:
        cluster.release(gold)
    _log.info("%s: %s", STREAM, settle(cluster, STREAM))
    return True


def remains(cluster: Cluster) -> str:
    """Return what of a rescore is there that may write, or ''."""
    job = cluster.see(JOB)
    if job.live is not None:
        return f"its SparkApplication {JOB} is there ({job.state or 'NEW'})"
    return f"{len(job.pods)} of the pods of {JOB} are still going" if job.pods else ""


def _look(name: str) -> tuple[Cluster, Seen]:
    cluster = Cluster.connect(settings.namespace())
    seen = cluster.see(name)
    _log.info("%s: %s, %s pods", name, "absent" if seen.live is None else seen.state or "NEW", len(seen.pods))
    return cluster, seen


def _is_quiet(cluster: Cluster, gold: Seen) -> bool:
    """Tell whether nothing of Gold runs or can be started; where it is not suspended yet, see to that.

    The state SUSPENDED comes before the end of the pods, and without it a submission may still be under way.
    """
    _refuse_unless_held(gold)
    _refuse_lost(gold)
    suspended = gold.live is None or (gold.suspended and gold.state in {"SUSPENDED", *_ENDED})
    if suspended and not gold.pods:
        return True
    if not gold.suspended:
        try:
            _log.info("%s: %s", STREAM, settle(cluster, STREAM))
        except ChangedError as changed:
            _log.info("%s: %s", STREAM, changed)
    return False


def _asked_for(job: Seen, since: date | None, run: str) -> Seen:
    """Return `job` with the manifest of the chart as this run applies it."""
    rendered = job.rendered
    annotations = {**(get(rendered, "metadata", "annotations") or {}), _RUN: run}
    arguments = [*rendered["spec"]["arguments"], *(["--since", since.isoformat()] if since else [])]
    metadata = {**rendered["metadata"], "annotations": annotations}
    spec = {**rendered["spec"], "arguments": arguments}
    return replace(job, rendered={**rendered, "metadata": metadata, "spec": spec})


def _has_ended(cluster: Cluster, job: Seen, run: str) -> bool:
    """Tell whether the job that was seen has done its work; of one that has failed, say why, and make room."""
    _refuse_lost(job)
    if job.state == "UNKNOWN":
        raise AirflowFailException(f"the state of the driver is not known, and it may still write; {last_error(job)}")
    if job.state not in _ENDED:
        last = cluster.last_lines(job, 1).strip()
        _log.info("%s", last or (pods.pending(job.driver) if job.driver else "it has no driver yet"))
        return False
    said = cluster.last_lines(job, _LINES)
    _log.info("the last lines of its driver:\n%s", said)
    if job.state == "FAILED":
        _delete(cluster, job)
        raise AirflowException(f"the rescore has failed; {last_error(job)}\n{said}")
    if get(job.live, "metadata", "annotations", _RUN) != run:
        _log.info("that was an earlier run: once more, with the model in production now")
        _delete(cluster, job)
        return False
    return True


def _delete(cluster: Cluster, job: Seen) -> None:
    try:
        cluster.delete(job)
    except ChangedError as changed:
        # The operator writes its state; the next look sees that.
        _log.info("%s", changed)


def _refuse_unless_held(gold: Seen) -> None:
    if not gold.held or gold.held.owner != OWNER:
        raise AirflowFailException(f"{STREAM} is {gold.held or 'held by nobody'}: its tables are not the rescore's")


def _refuse_unless_ours(cluster: Cluster, job: Seen) -> None:
    """End the job where Gold is held by it no longer: Gold may be started at any moment."""
    try:
        _refuse_unless_held(cluster.see(STREAM))
    except AirflowFailException:
        if job.live is not None:
            _delete(cluster, job)
        raise


def _refuse_lost(seen: Seen) -> None:
    if gone := [reason for pod in seen.pods if (reason := pods.lost(pod, seen.now))]:
        raise AirflowFailException(f"{'; '.join(gone)}. It may still write, and nobody ends it by force")
