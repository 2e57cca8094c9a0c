"""Write holds, expected restarts and reconcile states, as annotations of the ConfigMap `stream-applications`.

Reports go into another ConfigMap: other pods mount it, and a volume has the data of a ConfigMap, not its annotations.
"""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tweet_dags.reconcile.annotations import (
    CONFIG_MAP,
    EXPECTED_RESTART_KEY,
    HOLD_KEY,
    STATE_KEY,
    STATUS_CONFIG_MAP,
    ExpectedRestart,
    Hold,
    ReconcileState,
)
from tweet_dags.reconcile.observed import ObservedState
from tweet_dags.reconcile.report import Report
from tweet_dags.reconcile.spec_drift import FIELD_MANAGER

if TYPE_CHECKING:
    from tweet_dags.kubernetes.client import Cluster

_log = logging.getLogger(__name__)


def save_reconcile_state(cluster: "Cluster", stream: str, state: ReconcileState) -> None:
    """Save `state` for the next pass. Only `keep_streams_running` writes it, one run at a time."""
    cluster.annotate(CONFIG_MAP, {STATE_KEY + stream: state.to_json()}, FIELD_MANAGER)


def save_report(cluster: "Cluster", report: Report) -> None:
    """Write a report into the ConfigMap that other pods mount. It tells people, and nothing depends on it."""
    try:
        cluster.set_data(STATUS_CONFIG_MAP, {f"{report.stream}.json": report.to_json()}, FIELD_MANAGER)
    except Exception as error:
        # For example, a chart of an earlier version has no such ConfigMap.
        _log.warning("the status of %s was not written: %s", report.stream, str(error).partition("\n")[0])


def acknowledge_hold(cluster: "Cluster", observed: ObservedState, hold: Hold, reason: str) -> None:
    """Record that a person knows of a hold, so that it raises no alert; raise `ConflictError` like `hold_stream`."""
    annotations = {HOLD_KEY + observed.name: replace(hold, acknowledged=reason).to_json()}
    cluster.annotate(CONFIG_MAP, annotations, FIELD_MANAGER, observed.config_map_version)


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
