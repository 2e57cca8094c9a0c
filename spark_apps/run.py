"""Implements `tweet-sentiment run`: the streams of one or more layers in one process."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from threading import Event
from typing import Any

from pyspark.sql import SparkSession

from spark_apps import spark_context
from spark_apps.bronze import app as bronze
from spark_apps.errors import first_line
from spark_apps.gold import app as gold
from spark_apps.lake.failures import newest_failure
from spark_apps.lake.status import read_status
from spark_apps.landing.access import check_readable
from spark_apps.monitoring.log import batch_line
from spark_apps.monitoring.progress import Listener, Progress
from spark_apps.monitoring.server import serve
from spark_apps.monitoring.stream_reports import read_reports
from spark_apps.session import make_session
from spark_apps.settings import LAYERS, STREAMS, Settings
from spark_apps.signals import set_on_signal
from spark_apps.silver import app as silver
from spark_apps.silver.user_formats import load_formats
from spark_apps.streaming.outage import find_outage, outlast
from spark_apps.streaming.runner import StreamRunner
from spark_apps.streaming.stream import BatchReport

_APPS = {"bronze": bronze.streams, "silver": silver.streams, "gold": gold.streams}


def run(
    layers: Sequence[str],
    settings: Settings,
    once: bool,
    on_batch: Callable[[BatchReport], None],
    stop: Event | None = None,
    on_session: Callable[[SparkSession], None] = lambda _: None,
) -> dict[str, Any]:
    """Run the streams of some layers until SIGINT, SIGTERM or `stop`.

    If `monitor_port` is set, as on a cluster, an HTTP server serves health and metrics, and each batch is logged to
    stdout as one line of JSON.

    Args:
        layers: names of the layers; all layers if empty.
        settings: settings of the command.
        once: whether to return once all available input is processed.
        on_batch: called after each batch with input rows, unless `monitor_port` is set.
        stop: event that ends the run; a new event by default.
        on_session: called once Spark has started, before the tables are created.

    Returns:
        The counts of this run, its duration (`seconds`), and under `tables` the counts since the tables were created.

    Raises:
        SettingsError: a setting is missing, or a declared format is invalid.
        LandingError: the landing is not readable.
        StreamError: a streaming query has failed.
        LakeError: a table is not readable, or was written by a newer version.
        JavaError: Java is missing, or Spark does not support its version.
    """
    began = time.monotonic()
    chosen = [layer for layer in LAYERS if layer in layers] or list(LAYERS)
    lake = _check_settings(chosen, settings)
    stop = stop or Event()
    progress = Progress(chosen, partial(read_reports, settings.stream_status))
    with ExitStack() as stack:
        if settings.monitor_port is not None:
            # The server starts before Spark, because a pod must answer its probes while Spark starts.
            limits = (settings.startup_seconds, settings.current_stuck_seconds)
            stack.enter_context(serve(progress, settings.monitor_port, *limits))
        before = _reach_storage(settings, chosen, progress, stop)
        spark = make_session(settings)
        stack.callback(spark_context.stop, spark)
        on_session(spark)
        _run_streams(spark, chosen, settings, once, on_batch, progress, stop)
        after = _totals(lake)
    return _growth(before, after) | {"seconds": round(time.monotonic() - began, 1), "tables": _growth({}, after)}


def _run_streams(
    spark: SparkSession,
    layers: Sequence[str],
    settings: Settings,
    once: bool,
    on_batch: Callable[[BatchReport], None],
    progress: Progress,
    stop: Event,
) -> None:
    """Run the streams of `layers`; report batches as `run` does, and progress to the monitoring server if it runs."""
    lake, is_monitored = str(settings.lake), settings.monitor_port is not None
    if is_monitored:
        spark.streams.addListener(Listener(progress))
        progress.spark_ui = spark.sparkContext.uiWebUrl
    report = _reporter(progress, None if is_monitored else on_batch)
    runner = StreamRunner(spark, lake, settings.retention_seconds, report, stop, progress.on_wait, progress.record)
    with set_on_signal(runner.stopping):
        streams = [stream for layer in layers for stream in _APPS[layer](spark, settings)]
        runner.run(streams, None if once else settings.trigger)


def _check_settings(layers: Sequence[str], settings: Settings) -> str:
    """Report wrong settings before Spark starts, which takes seconds; return the lake."""
    lake, *_ = settings.require(*(["lake", "landing"] if "bronze" in layers else ["lake"]))
    if "silver" in layers:
        load_formats(settings.formats)
    return lake


def _reporter(progress: Progress, on_batch: Callable[[BatchReport], None] | None) -> Callable[[BatchReport], None]:
    """Return a function that records a batch and calls `on_batch`; without `on_batch`, it prints a line of JSON."""

    def report(batch: BatchReport) -> None:
        progress.on_batch(batch)
        if on_batch is None:
            print(batch_line(batch), flush=True)
        else:
            on_batch(batch)

    return report


def _reach_storage(
    settings: Settings, layers: Sequence[str], progress: Progress, stop: Event
) -> dict[str, Counter[str]]:
    """Check that the landing and the lake are readable; return the counts of the tables, as `_totals` does.

    On a cluster, wait for the end of an outage, and report the error of the driver before this one, which nobody may
    have asked. In a terminal, raise the error of an outage at once: the endpoint may be wrong.
    """
    lake = str(settings.lake)

    def reach() -> dict[str, Counter[str]]:
        if settings.monitor_port is not None:
            progress.error = _last_error(lake, layers)
        if "bronze" in layers:
            check_readable(str(settings.landing))
        return _totals(lake)

    def on_outage(outage: str) -> None:
        for layer in layers:
            progress.on_wait(layer, outage)

    return reach() if settings.monitor_port is None else outlast(reach, on_outage, stop) or {}


def _last_error(lake: str, layers: Sequence[str]) -> str | None:
    try:
        failure = newest_failure(lake, [stream for layer in layers for stream in STREAMS[layer]])
    except Exception as error:
        if find_outage(error):
            raise
        return f"the last error is not readable: {first_line(error)}"
    return str(failure) if failure else None


def _totals(lake: str) -> dict[str, Counter[str]]:
    """Return the counts of each table since it was created."""
    return {name: Counter(table.totals) for name, table in read_status(lake, missing_ok=True).tables.items()}


def _growth(before: dict[str, Counter[str]], after: dict[str, Counter[str]]) -> dict[str, Any]:
    """Return how much the counts grew between two results of `_totals`."""

    def added(table: str) -> Counter[str]:
        return after[table] - before.get(table, Counter())

    silver_counts = added("silver/tweets")
    return {
        "documents": silver_counts["documents"],
        "bronze": added("bronze/tweets")["rows"],
        "silver": silver_counts["rows"],
        "duplicates": silver_counts["duplicates"],
        "erasures": silver_counts["erasures"],
        "erased": silver_counts["erased"],
        "quarantine": dict(sorted(added("silver/quarantine").items())),
        "gold": added("gold/sentiment")["rows"],
    }
