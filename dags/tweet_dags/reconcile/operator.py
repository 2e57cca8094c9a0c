"""The tasks of `keep_streams_running`."""

from datetime import datetime
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.triggers.base import StartTriggerArgs

from tweet_dags.reconcile.actions import Status


class ReconcileStream(BaseOperator):
    """Watch a stream with a trigger, and reconcile it when the trigger asks for it.

    The scheduler defers the task, and the trigger ends it: while all is well, no worker process starts.

    Args:
        stream: The name of the stream.
        settle: Whether to end as soon as the application is in line with the chart and its hold; otherwise watch until
            the end of the run.
    """

    template_fields = ("started",)
    start_from_trigger = True

    def __init__(self, *, stream: str, settle: bool, **options: Any) -> None:
        super().__init__(**options)
        self.stream = stream
        self.settle = settle
        # Rendered in the triggerer, or in the worker.
        self.started = "{{ dag_run.start_date.isoformat() }}"
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="tweet_dags.reconcile.trigger.StreamTrigger",
            trigger_kwargs={"stream": stream, "started": self.started, "settle": settle},
            next_method="resume",
        )

    def execute(self, context: Any) -> str:
        """Reconcile the stream, then watch it: only for `dag.test()`, without a scheduler that defers the task."""
        return self.resume(context, {"reason": "started without a trigger", "last": False, "problem": ""})

    def resume(self, _context: Any, event: dict[str, Any]) -> str:
        """Reconcile the stream; the event of the trigger is only a hint.

        Raises:
            AirflowFailException: if a person must act. Airflow does not try again.
            AirflowSkipException: if the task ends while somebody holds the stream.
        """
        # Imported here: the Kubernetes client is too large for the parsing of a DAG.
        from tweet_dags.reconcile import tasks, watch

        self.log.info("%s: woken by the trigger: %s", self.stream, event["reason"])
        if event["problem"]:
            raise AirflowFailException(f"{self.stream}: {event['problem']}")
        outcome = tasks.reconcile(self.stream, datetime.fromisoformat(self.started) + watch.RUN_LENGTH)
        if not event["last"]:
            self._watch()
        if outcome.status is Status.ALERT:
            raise AirflowFailException(f"{self.stream}: {outcome.reason}")
        if outcome.status is Status.HELD:
            raise AirflowSkipException(outcome.reason)
        return outcome.reason

    def _watch(self) -> None:
        """Defer the task again: Airflow ends this process with an exception."""
        # Imported here: the trigger imports the Kubernetes client.
        from tweet_dags.reconcile.trigger import StreamTrigger

        self.defer(trigger=StreamTrigger(self.stream, self.started, self.settle), method_name="resume")
