"""The demo as the terminal shows it: rates, lag and totals a layer, the model, the address of the dashboard."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from spark_apps.demo.malformed import Expected
from spark_apps.lake.commits import LakeError
from spark_apps.lake.status import LakeStatus, read_status
from spark_apps.streaming.stream import BatchReport
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT, GOLD_TRENDS, SILVER_TWEETS

_EVERY_SECONDS = 1.0
_RATE_SECONDS = 30
# Layer, the table whose rows it counts, the stream that writes it, and the name of its lag.
_LAYERS = (
    ("bronze", BRONZE_TWEETS, "bronze", ""),
    ("silver", SILVER_TWEETS, "silver", "silver"),
    ("gold", GOLD_SENTIMENT, "gold", "gold"),
    ("trends, mentions", GOLD_TRENDS, "gold-aggregates", "aggregates"),
)


class View:
    """What is known of the running demo; a rich renderable."""

    def __init__(self, lake: str, url: str, began: float, console: Console) -> None:
        """`began` is the `time.monotonic()` at which the demo was started."""
        self.dashboard_ready = False
        self._lake = lake
        self._url = url
        self._began = began
        self._console = console
        self._phase = "starting"
        self._landed = Expected()
        self._batches: dict[str, BatchReport] = {}
        self._status: LakeStatus | None = None
        self._labelled = False
        self._history: deque[tuple[float, dict[str, int]]] = deque(maxlen=int(_RATE_SECONDS / _EVERY_SECONDS))

    def says(self, phase: str) -> None:
        """Show what is being done now."""
        self._phase = phase
        if not self._console.is_terminal:
            self._console.print(phase)

    def on_landed(self, expected: Expected) -> None:
        self._landed += expected

    def on_batch(self, report: BatchReport) -> None:
        self._batches[report.stream] = report
        self._phase = "running"
        if not self._console.is_terminal:
            self._console.print(str(report))
        if report.stream == "gold" and report.counts["rows"] and not self._labelled:
            self._labelled = True
            self._console.print(f"the first tweets are labelled, {time.monotonic() - self._began:.0f} s from the start")

    def watch(self, stop: threading.Event) -> None:
        """Look at the lake every second until `stop`."""
        while not stop.wait(_EVERY_SECONDS):
            try:
                self._status = read_status(self._lake, missing_ok=True)
            except LakeError:
                continue  # a table that is just being made
            self._history.append((time.monotonic(), {table.name: self._rows(table.name) for _, table, *_ in _LAYERS}))

    @contextmanager
    def plain(self) -> Iterator[None]:
        """Stand in for the live view where there is no terminal: batches are printed line by line."""
        self._console.print(f"dashboard: {self._url}")
        yield

    def farewell(self) -> str:
        gold = self._rows(GOLD_SENTIMENT.name)
        return f"stopped: {gold:,} labelled tweets are in {self._lake}; the same command goes on from here"

    def _rows(self, table: str) -> int:
        return self._status.tables[table].totals.get("rows", 0) if self._status else 0

    def __rich__(self) -> RenderableType:
        layers = Table(box=None, padding=(0, 2), header_style="dim")
        for name in ("", "rows", "rows/s", "waiting", "last batch"):
            layers.add_column(name, justify="left" if name in {"", "last batch"} else "right")
        lag = self._status.lag if self._status else {}
        for name, table, stream, lag_name in _LAYERS:
            report = self._batches.get(stream)
            layers.add_row(
                Text(name, style="bold"),
                f"{self._rows(table.name):,}",
                f"{self._rate(table.name):.1f}",
                f"{max(0, lag.get(lag_name, 0)):,}" if lag_name else "",
                f"{report.counts['rows']:,} rows in {report.seconds:.1f} s" if report else Text("waiting", style="dim"),
            )
        return Group(Text(), self._head(), Text(), layers, Text(), self._foot(), Text())

    def _head(self) -> Text:
        where = (self._url, "bold underline") if self.dashboard_ready else (f"{self._url} (starting)", "dim")
        return Text.assemble("  dashboard  ", where, "   ", (self._phase, "dim"))

    def _foot(self) -> Text:
        found = self._status
        silver = found.tables[SILVER_TWEETS.name].totals if found else {}
        quarantined = sum(found.quarantine.values()) if found else 0
        return Text(
            f"  {self._landed.documents:,} documents landed since the start"
            f" · {silver.get('duplicates', 0):,} duplicates"
            f" · {quarantined:,} in quarantine\n  Ctrl-C finishes the batch in flight and stops",
            style="dim",
        )

    def _rate(self, table: str) -> float:
        if len(self._history) < 2:
            return 0.0
        (then, before), (now, after) = self._history[0], self._history[-1]
        return (after[table] - before[table]) / (now - then)
