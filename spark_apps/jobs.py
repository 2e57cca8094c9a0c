"""Runs the jobs that rewrite tables while their stream is stopped: rescore, rebuild, replay and relayout."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from threading import Event
from typing import Any, TypeVar

from pyspark.sql import SparkSession

from spark_apps import spark_context
from spark_apps.lake.status import check_exists
from spark_apps.monitoring.log import event_line
from spark_apps.session import make_session
from spark_apps.settings import Settings
from spark_apps.signals import set_on_signal

Result = TypeVar("Result")


def run_job(
    settings: Settings,
    event: str,
    job: Callable[[SparkSession, Callable[[Any], None], Event], Result],
    on_part: Callable[[Any], None],
) -> Result:
    """Run a job in a new Spark session; SIGINT or SIGTERM stops it after the current part.

    Args:
        settings: settings of the command; `lake` is required.
        event: name of the event in the line of JSON.
        job: called with the session, a function that reports a finished part, and an event that is set when the job has
            to stop. A report is a dataclass.
        on_part: called with each report. On a cluster (`monitor_port` is set), each report is written to stdout as a
            line of JSON instead.

    Returns:
        The result of `job`.

    Raises:
        LakeError: the lake does not exist.
    """

    def report(part: Any) -> None:
        if settings.monitor_port is None:
            on_part(part)
        else:
            print(event_line(event, asdict(part)), flush=True)

    check_exists(*settings.require("lake"))  # report a mistyped lake before Spark starts
    stop = Event()
    with ExitStack() as stack:
        spark = make_session(settings)
        stack.callback(spark_context.stop, spark)
        # Install the handlers after Spark, which installs its own handler for Ctrl-C.
        stack.enter_context(set_on_signal(stop))
        return job(spark, report, stop)
