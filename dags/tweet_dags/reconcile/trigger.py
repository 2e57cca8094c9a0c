"""The trigger of `keep_streams_running`: it watches one stream in Airflow's triggerer, without a process of its own."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSkippedEvent, TaskSuccessEvent, TriggerEvent

from tweet_dags.reconcile.actions import Status
from tweet_dags.reconcile.watch import Decision, StreamWatch, decide

_SECONDS_BETWEEN_PASSES = 3.0


class StreamTrigger(BaseTrigger):
    """Fires when a worker process has something to do for a stream, or ends the task when the run is over.

    Args:
        stream: The name of the stream.
        started: When the run started, as ISO 8601.
        settle: Whether to end as soon as the application is in line with the chart and its hold.
    """

    def __init__(self, stream: str, started: str, settle: bool = False) -> None:
        super().__init__()
        self.stream = stream
        self.started = started
        self.settle = settle

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what another triggerer needs to continue: all other state is on the cluster."""
        arguments = {"stream": self.stream, "started": self.started, "settle": self.settle}
        return f"{__name__}.{type(self).__name__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Observe the stream every few seconds, in a thread, so that a stream that hangs does not delay the others."""
        watch, started = StreamWatch(self.stream), datetime.fromisoformat(self.started)
        tries = self.task_instance.try_number if self.task_instance else 1
        while (decision := decide(await asyncio.to_thread(watch.observe), started, self.settle, tries)) is None:
            await asyncio.sleep(_SECONDS_BETWEEN_PASSES)
        await asyncio.to_thread(watch.save)
        yield _event(decision)


def _event(decision: Decision) -> TriggerEvent:
    if decision.wake:
        return TriggerEvent({"reason": decision.reason, "last": decision.last, "problem": decision.problem})
    end = TaskSkippedEvent if decision.status is Status.HELD else TaskSuccessEvent
    return end(xcoms={"return_value": decision.reason})
