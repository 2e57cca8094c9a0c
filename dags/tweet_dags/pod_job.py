"""An Airflow operator that runs a pod of the chart with the task's arguments.

`KubernetesPodOperator` runs the pod: it finds the pod again after a restart of the scheduler, deletes it with the task,
and copies its log. The pod template is read at run time from the ConfigMap `job-pods` in the namespace of the streams.
The task needs `get` on that ConfigMap and, in the namespace of the pod, the permissions of `KubernetesPodOperator` on
pods, logs and events.
"""

import json
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from tweet_dags import settings

if TYPE_CHECKING:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

CONFIG_MAP = "job-pods"
# Exit code of the project's commands for a refusal, such as a failed gate: the command worked, and a retry is useless.
_EXIT_REFUSED = 3
# Number of log lines in the error of a refusal.
_LOG_LINES = 15
# Pulling an image with torch takes minutes.
_STARTUP_SECONDS = 1200


class PodJob(BaseOperator):
    """Run the pod `pod` of the chart with `arguments`, and return the last JSON object that it prints, if any.

    Exit code 3 fails the task without a retry, since a retry would give the same result. Other failures are retried.
    """

    template_fields = ("arguments",)

    def __init__(self, *, pod: str, arguments: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self.pod = pod
        self.arguments = list(arguments)
        self._running: KubernetesPodOperator | None = None

    def execute(self, context: Any) -> dict[str, Any] | None:
        """Run the pod, or attach to the pod that an earlier try has started."""
        # Imported here: the import takes two seconds, too long for the parsing of a DAG.
        from airflow.providers.cncf.kubernetes.callbacks import KubernetesPodOperatorCallback
        from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

        from tweet_dags.kubernetes.client import Cluster

        last_lines: deque[str] = deque(maxlen=_LOG_LINES)
        result: dict[str, Any] = {}

        class LogReader(KubernetesPodOperatorCallback):
            @staticmethod
            def progress_callback(*, line: str, **_: Any) -> None:
                last_lines.append(line.rstrip())
                if parsed := _json_object(line):
                    result.clear()
                    result.update(parsed)

        cluster = Cluster.connect(settings.namespace())
        self._running = KubernetesPodOperator(
            task_id=self.task_id,
            kubernetes_conn_id=None,
            pod_template_dict=cluster.manifest(cluster.config_map(CONFIG_MAP), self.pod),
            name=f"{self.dag_id}-{self.task_id}".replace("_", "-"),
            arguments=self.arguments,
            base_container_name="job",
            startup_timeout_seconds=_STARTUP_SECONDS,
            log_events_on_failure=True,
            log_pod_spec_on_failure=False,
            container_name_log_prefix_enabled=False,
            callbacks=[LogReader],
        )
        try:
            self._running.execute_sync(context)
        except Exception as error:
            if _exit_code(self._running.remote_pod) == _EXIT_REFUSED:
                raise AirflowFailException("\n".join(last_lines)) from error
            raise
        return result or None

    def on_kill(self) -> None:
        """Delete the pod when the task is killed."""
        if self._running:
            self._running.on_kill()


def _json_object(line: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _exit_code(pod: Any) -> int | None:
    """Return the exit code of the pod's container; None if it has not exited, or if the pod is unknown."""
    for container in (pod.status.container_statuses or []) if pod is not None and pod.status else []:
        if container.name == "job" and container.state and container.state.terminated:
            return int(container.state.terminated.exit_code)
    return None
