"""Write holds, expected restarts and reconcile states, as annotations of the ConfigMap `stream-applications`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tweet_dags.reconcile.annotations import (
    CONFIG_MAP,
    EXPECTED_RESTART_KEY,
    HOLD_KEY,
    STATE_KEY,
    ExpectedRestart,
    Hold,
    ReconcileState,
)
from tweet_dags.reconcile.observed import ObservedState
from tweet_dags.reconcile.spec_drift import FIELD_MANAGER

if TYPE_CHECKING:
    from tweet_dags.kubernetes.client import Cluster


def save_reconcile_state(cluster: "Cluster", stream: str, state: ReconcileState) -> None:
    """Save `state` for the next pass. Only `keep_streams_running` writes it, one run at a time."""
    cluster.annotate(CONFIG_MAP, {STATE_KEY + stream: state.to_json()}, FIELD_MANAGER)


def hold_stream(cluster: "Cluster", observed: ObservedState, owner: str, reason: str) -> Hold:
    """Write a hold, which keeps others from starting the stream. The caller then suspends the application.

    Raises:
        ConflictError: if the ConfigMap has changed since `observed` was read.
    """
    hold = Hold(owner, reason, datetime.now(UTC).isoformat(timespec="seconds"))
    annotations = {HOLD_KEY + observed.name: hold.to_json()}
    cluster.annotate(CONFIG_MAP, annotations, FIELD_MANAGER, observed.config_map_version)
    return hold


def release_hold(cluster: "Cluster", observed: ObservedState) -> None:
    """Remove the hold of a stream, and forget its failures; raise `ConflictError` like `hold_stream`."""
    restart = ExpectedRestart(observed.submission, datetime.now(UTC))
    annotations = {HOLD_KEY + observed.name: None, EXPECTED_RESTART_KEY + observed.name: restart.to_json()}
    cluster.annotate(CONFIG_MAP, annotations, FIELD_MANAGER, observed.config_map_version)


def expect_restart(cluster: "Cluster", observed: ObservedState) -> None:
    """Record that the next restart is requested: it is not a failure, and earlier failures no longer count."""
    restart = ExpectedRestart(observed.submission, datetime.now(UTC))
    cluster.annotate(CONFIG_MAP, {EXPECTED_RESTART_KEY + observed.name: restart.to_json()}, FIELD_MANAGER)
