"""The observed state of one stream."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tweet_dags.kubernetes import pods
from tweet_dags.kubernetes.driver import DriverResponse, query_driver
from tweet_dags.kubernetes.objects import Object, get
from tweet_dags.reconcile.actions import Condition
from tweet_dags.reconcile.annotations import (
    CONFIG_MAP,
    EXPECTED_RESTART_KEY,
    HOLD_COPY_KEY,
    HOLD_KEY,
    STATE_KEY,
    ExpectedRestart,
    Hold,
    ReconcileState,
    effective_hold,
)

if TYPE_CHECKING:
    from tweet_dags.kubernetes.client import Cluster

# The chart's hash of a spec: on each application and, as a label, on the driver that runs the spec.
SPEC_HASH = "tweet-sentiment/spec-hash"


@dataclass(frozen=True)
class ObservedState:
    """Everything that the reconciler knows about one stream at one instant.

    Attributes:
        now: The time of the observation.
        desired: The manifest that the chart has rendered.
        application: The SparkApplication, or None.
        pods: Its driver and executors, including those that are terminating.
        finished_executors: Its executors that have ended; they are not in `pods`.
        response: The response of the driver; None if it has no IP address yet.
        hold: Who has stopped the stream, or None.
        expected_restart: The last restart that a person asked for.
        reconcile_state: What the last pass of the reconciler left.
        config_map_version: The resourceVersion of the ConfigMap that holds the last three.
        last_status_change: When the stored status of any stream last changed, or None.
    """

    now: datetime
    desired: Object
    application: Object | None = None
    pods: tuple[Object, ...] = ()
    finished_executors: tuple[Object, ...] = ()
    response: DriverResponse | None = None
    hold: Hold | None = None
    expected_restart: ExpectedRestart = field(default_factory=ExpectedRestart)
    reconcile_state: ReconcileState = field(default_factory=ReconcileState)
    config_map_version: str = ""
    last_status_change: datetime | None = None

    @property
    def name(self) -> str:
        """The name of the stream and of its application."""
        return str(get(self.desired, "metadata", "name"))

    @property
    def driver(self) -> Object | None:
        """The pod of the driver, or None."""
        return next((pod for pod in self.pods if get(pod, "metadata", "labels", "spark-role") == "driver"), None)

    @property
    def state(self) -> str:
        """The state that the operator reports; '' for an application that it has not processed yet."""
        return str(get(self.application, "status", "applicationState", "state") or "")

    @property
    def submission(self) -> str:
        """The operator's id of its last submission of the application; '' before the first."""
        return str(get(self.application, "status", "submissionID") or "")

    @property
    def suspended(self) -> bool:
        """Whether the spec of the application says `suspend`."""
        return bool(get(self.application, "spec", "suspend"))

    @property
    def chart_changed(self) -> bool:
        """Whether the chart now renders another spec than the applied spec."""
        return spec_hash(self.application) != spec_hash(self.desired)

    def with_response(self, response: DriverResponse | None) -> "ObservedState":
        """Return this state with the response of the driver."""
        return replace(self, response=response)

    def condition_key(self, condition: Condition) -> str:
        """Return the stored form of `condition`: its value, and the uid of the driver, or else of the application.

        Because of the uid, the condition starts again with the next driver or application.
        """
        uid = get(self.driver or self.application, "metadata", "uid")
        return f"{condition.value} {uid}" if condition.value else ""

    def duration_of(self, condition: Condition) -> timedelta | None:
        """Return how long `condition` has lasted; None if the last pass did not see it."""
        last = self.reconcile_state
        return self.now - last.since if last.since and last.condition == self.condition_key(condition) else None


def observe(cluster: "Cluster", stream: str) -> ObservedState:
    """Read the state of `stream`, and query its driver; raise `ManifestNotFoundError` if the chart lacks it."""
    config_map = cluster.config_map(CONFIG_MAP)
    desired = cluster.manifest(config_map, stream)
    application = cluster.application(stream)
    all_pods = cluster.pods(stream)
    stored = config_map.metadata.annotations or {}
    restart = ExpectedRestart.from_json(stored.get(EXPECTED_RESTART_KEY + stream))
    hold_copy = get(application, "metadata", "annotations", HOLD_COPY_KEY)
    observed = ObservedState(
        now=datetime.now(UTC),
        desired=desired,
        application=application,
        pods=tuple(pod for pod in all_pods if not pods.is_finished_executor(pod)),
        finished_executors=tuple(pod for pod in all_pods if pods.is_finished_executor(pod)),
        hold=effective_hold(stored.get(HOLD_KEY + stream), hold_copy, restart),
        expected_restart=restart,
        reconcile_state=ReconcileState.from_json(stored.get(STATE_KEY + stream)),
        config_map_version=config_map.metadata.resource_version,
        last_status_change=_last_status_change(stored),
    )
    return observed.with_response(query_driver(observed.driver))


def _last_status_change(stored: Mapping[str, str]) -> datetime | None:
    states = (ReconcileState.from_json(text) for key, text in stored.items() if key.startswith(STATE_KEY))
    return max((state.status_since for state in states if state.status_since), default=None)


def spec_hash(application: Object | None) -> str:
    """Return the hash of the spec that an application was applied with, or ''."""
    return str(get(application, "metadata", "annotations", SPEC_HASH) or "")
