"""The streams of one, two or all three layers in one process: what `tweet-sentiment run` does."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from threading import Event
from typing import Any

from spark_apps import storage
from spark_apps.bronze import app as bronze
from spark_apps.gold import app as gold
from spark_apps.lake.status import read_status
from spark_apps.monitoring.log import batch_line
from spark_apps.monitoring.progress import Listener, Progress
from spark_apps.monitoring.server import serve
from spark_apps.session import make_session
from spark_apps.settings import LAYERS, Settings, SettingsError
from spark_apps.signals import set_on_signal
from spark_apps.silver import app as silver
from spark_apps.streaming.checkpoint import last_error
from spark_apps.streaming.runner import StreamRunner
from spark_apps.streaming.stream import BatchReport

_APPS = {"bronze": bronze.streams, "silver": silver.streams, "gold": gold.streams}


def run(
    layers: Sequence[str],
    settings: Settings,
    once: bool,
    on_batch: Callable[[BatchReport], None],
    stop: Event | None = None,
) -> dict[str, Any]:
    """Run the streams of `layers` until a signal (or `stop`) ends them, or with `once` until all input is done.

    `on_batch` hears of each batch, unless a cluster watches (`monitor_port`): then each is a line of JSON on stdout.
    Returns the counts of this run and, under "tables", of the tables as they stand.
    """
    began = time.monotonic()
    chosen = [layer for layer in LAYERS if layer in layers] or list(LAYERS)
    lake, *_ = settings.require(*(["lake", "landing"] if "bronze" in chosen else ["lake"]))
    if "bronze" in chosen and (problem := storage.why_not_readable(str(settings.landing))):
        raise SettingsError(problem)
    progress = Progress(chosen)

    def report(done: BatchReport) -> None:
        progress.on_batch(done)
        if settings.monitor_port is None:
            on_batch(done)
        else:
            print(batch_line(done), flush=True)

    with ExitStack() as stack:
        if settings.monitor_port is not None:
            # Before Spark, which takes a while: a pod that starts is alive.
            stack.enter_context(serve(progress, settings.monitor_port, settings.stuck_seconds))
        spark = make_session(settings)
        stack.callback(spark.stop)
        if settings.monitor_port is not None:
            spark.streams.addListener(Listener(progress))
            progress.ui = spark.sparkContext.uiWebUrl
        before = _totals(lake)
        runner = StreamRunner(spark, lake, report, stop, progress.on_wait, progress.touch)
        with set_on_signal(runner.stopping):
            streams = [stream for layer in chosen for stream in _APPS[layer](spark, settings)]
            if settings.monitor_port is not None:
                progress.error = last_error(spark, lake, [stream.name for stream in streams])
            runner.run(streams, None if once else settings.trigger)
        after = _totals(lake)
    return _report(before, after) | {"seconds": round(time.monotonic() - began, 1), "tables": _report({}, after)}


def _totals(lake: str) -> dict[str, Counter[str]]:
    return {name: Counter(table.totals) for name, table in read_status(lake).tables.items()}


def _report(before: dict[str, Counter[str]], after: dict[str, Counter[str]]) -> dict[str, Any]:
    def grown(table: str) -> Counter[str]:
        return after[table] - before.get(table, Counter())

    silver_counts = grown("silver/tweets")
    return {
        "documents": silver_counts["documents"],
        "bronze": grown("bronze/tweets")["rows"],
        "silver": silver_counts["rows"],
        "duplicates": silver_counts["duplicates"],
        "quarantine": dict(sorted(grown("silver/quarantine").items())),
        "gold": grown("gold/sentiment")["rows"],
    }
