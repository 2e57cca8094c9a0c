"""Execute a planned action on the SparkApplication, the driver or the hold of a stream."""

from contextlib import suppress
from datetime import UTC, datetime

from tweet_dags import settings
from tweet_dags.kubernetes import pods
from tweet_dags.kubernetes.client import Cluster
from tweet_dags.kubernetes.objects import Object
from tweet_dags.kubernetes.writes import ConflictError, RejectedError
from tweet_dags.reconcile.actions import Action, ActionKind
from tweet_dags.reconcile.annotations import CONFIG_MAP, HOLD_COPY_KEY, Hold
from tweet_dags.reconcile.config_map import hold_stream, release_hold
from tweet_dags.reconcile.observed import ObservedState, observe
from tweet_dags.reconcile.plan import plan
from tweet_dags.reconcile.spec_drift import FIELD_MANAGER

# A change of this annotation of the application makes the operator process the application again.
_REQUEUED = "tweet-sentiment/woken"


def execute(cluster: Cluster, observed: ObservedState, action: Action) -> None:
    """Execute `action` on the objects that were observed.

    Raises:
        ConflictError: if an object has changed since; nothing is written.
        RejectedError: if the cluster rejects the write.
    """
    match action.kind:
        case ActionKind.APPLY:
            apply_manifest(cluster, observed)
        case ActionKind.REQUEUE:
            annotations = {_REQUEUED: datetime.now(UTC).isoformat()}
            cluster.patch(observed.application, annotations, {}, FIELD_MANAGER)
        case ActionKind.RECREATE:
            _recreate(cluster, observed)
        case ActionKind.SUSPEND if observed.hold:
            _suspend(cluster, observed, observed.hold)
        case ActionKind.RESUME:
            cluster.patch(observed.application, {HOLD_COPY_KEY: None}, {"suspend": None}, FIELD_MANAGER)
        case ActionKind.RESTART_DRIVER:
            restart_driver(cluster, observed)
        case ActionKind.GIVE_UP:
            _give_up(cluster, observed, action.reason)
        case ActionKind.RETRY:
            release_hold(cluster, observed)


def reconcile_hold(cluster: Cluster, stream: str) -> str:
    """Suspend, resume or apply an application according to its hold; return what was done, or why nothing was done.

    Leave every other action to `keep_streams_running`.
    """
    observed = observe(cluster, stream)
    action, _ = plan(observed, settings.healing_limits())
    if action.kind in {ActionKind.SUSPEND, ActionKind.RESUME, ActionKind.APPLY}:
        execute(cluster, observed, action)
    elif action.kind is not ActionKind.NONE:
        return f"left to keep_streams_running: {action.reason}"
    return action.reason


def apply_manifest(cluster: Cluster, observed: ObservedState, **options: str) -> None:
    """Apply the desired manifest. The ConfigMap becomes the owner, so that `helm uninstall` deletes the application."""
    uid = cluster.config_map(CONFIG_MAP).metadata.uid
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": CONFIG_MAP, "uid": uid}
    manifest: Object = {
        **observed.desired,
        "metadata": {**observed.desired["metadata"], "ownerReferences": [owner]},
    }
    cluster.apply(manifest, observed.application, FIELD_MANAGER, **options)


def restart_driver(cluster: Cluster, observed: ObservedState) -> None:
    """Delete the driver's pod. The driver finishes its batch if it can, and the operator submits the stream again."""
    cluster.delete_pod(observed.driver)


def delete_orphaned_executors(cluster: Cluster, observed: ObservedState) -> None:
    """Delete finished executors that no driver will delete."""
    for executor in observed.finished_executors:
        if pods.is_orphaned(executor, observed.driver, observed.now):
            cluster.delete_pod(executor)


def _recreate(cluster: Cluster, observed: ObservedState) -> None:
    # A dry run first: if the cluster rejects the manifest, or the operator's webhook is down, the stream must not be
    # deleted.
    apply_manifest(cluster, observed, dry_run="All")
    cluster.delete(observed.application)


def _suspend(cluster: Cluster, observed: ObservedState, hold: Hold) -> None:
    cluster.patch(observed.application, {HOLD_COPY_KEY: hold.to_json()}, {"suspend": True}, f"{hold.owner}-hold")


def _give_up(cluster: Cluster, observed: ObservedState, reason: str) -> None:
    hold = hold_stream(cluster, observed, FIELD_MANAGER, reason)
    # The hold alone keeps the stream down, and a person must be alerted now. The next pass suspends the application.
    with suppress(ConflictError, RejectedError):
        _suspend(cluster, observed, hold)
