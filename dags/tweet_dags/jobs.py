"""A task that is one pod, as the chart has rendered it, with arguments of its own.

The pod is the provider's: it is found again after a restart of the scheduler, ended with its task, and its log is the
task's. The template stands in the ConfigMap `job-pods` in the streams' namespace, and is read when the task runs. Needs
there get on that map, and in the pod's namespace what the provider does with pods, their logs and events.
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
# What the commands of the project exit with where they have done their work, and the answer is no.
_REFUSED = 3
# Lines of the log that go into the error: a person should not have to look for it.
_LINES = 15
# An image with torch takes minutes to be pulled.
_START_SECONDS = 1200


class PodJob(BaseOperator):
    """Runs the pod `pod` of the chart with `arguments`; returns the JSON object that it prints last, if any.

    Exit code 3 fails the task at once, since the same question has the same answer; all else is tried again.
    """

    template_fields = ("arguments",)

    def __init__(self, *, pod: str, arguments: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self.pod = pod
        self.arguments = list(arguments)
        self._running: KubernetesPodOperator | None = None

    def execute(self, context: Any) -> dict[str, Any] | None:
        """Run the pod, or go on with the one that an earlier try has left running."""
        # Takes two seconds, which the reading of a DAG does not have.
        from airflow.providers.cncf.kubernetes.callbacks import KubernetesPodOperatorCallback
        from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

        from tweet_dags.cluster import Cluster

        heard: deque[str] = deque(maxlen=_LINES)
        said: dict[str, Any] = {}

        class Hear(KubernetesPodOperatorCallback):
            @staticmethod
            def progress_callback(*, line: str, **_: Any) -> None:
                heard.append(line.rstrip())
                if found := _json_object(line):
                    said.clear()
                    said.update(found)

        self._running = KubernetesPodOperator(
            task_id=self.task_id,
            kubernetes_conn_id=None,
            pod_template_dict=Cluster.connect(settings.namespace()).template(self.pod, CONFIG_MAP),
            name=f"{self.dag_id}-{self.task_id}".replace("_", "-"),
            arguments=self.arguments,
            base_container_name="job",
            startup_timeout_seconds=_START_SECONDS,
            log_events_on_failure=True,
            log_pod_spec_on_failure=False,
            container_name_log_prefix_enabled=False,
            callbacks=[Hear],
        )
        try:
            self._running.execute_sync(context)
        except Exception as error:
            if _exit_code(self._running.remote_pod) == _REFUSED:
                raise AirflowFailException("\n".join(heard)) from error
            raise
        return said or None

    def on_kill(self) -> None:
        """End the pod with its task."""
        if self._running:
            self._running.on_kill()


def _json_object(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _exit_code(pod: Any) -> int | None:
    """Return what the container of a pod has ended with; None where it has not, or the pod is not known."""
    for container in (pod.status.container_statuses or []) if pod is not None and pod.status else []:
        if container.name == "job" and container.state and container.state.terminated:
            return int(container.state.terminated.exit_code)
    return None
