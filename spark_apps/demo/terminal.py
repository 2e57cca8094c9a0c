"""The demo in the terminal: the steps of the start, then totals, rates and lag of each layer."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from spark_apps.dashboard.startup import MODEL, STEPS, Startup
from spark_apps.demo.malformed import Expected
from spark_apps.lake.commits import LakeError
from spark_apps.lake.status import LakeStatus, read_status
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT, GOLD_TRENDS, SILVER_TWEETS

if TYPE_CHECKING:
    from spark_apps.streaming.stream import BatchReport

_WATCH_SECONDS = 1.0
_RATE_SECONDS = 30
# Name of the row, table with the total, stream that writes the table, and key in `LakeStatus.lag` ("": no lag).
_LAYERS = (
    ("bronze", BRONZE_TWEETS, "bronze", ""),
    ("silver", SILVER_TWEETS, "silver", "silver"),
    ("gold", GOLD_SENTIMENT, "gold", "gold"),
    ("trends, mentions", GOLD_TRENDS, "gold-aggregates", "aggregates"),
)


class TerminalView:
    """Shows the state of the demo: as a rich renderable, or line by line if the output is not a terminal.

    Attributes:
        url: address of the dashboard.
        dashboard_ready: whether the dashboard answers; set by the demo.
        on_labelled: called once the first tweets are labelled; set by the demo.
    """

    def __init__(self, lake: str, url: str, startup: Startup, console: Console) -> None:
        self.url = url
        self.dashboard_ready = False
        self.on_labelled: Callable[[], None] = lambda: None
        self._lake = lake
        self._startup = startup
        self._console = console
        self._landed = Expected()
        self._batches: dict[str, BatchReport] = {}
        self._status: LakeStatus | None = None
        self._is_stopping = False
        self._history: deque[tuple[float, dict[str, int]]] = deque(maxlen=int(_RATE_SECONDS / _WATCH_SECONDS))

    def note(self, text: str) -> None:
        """Print a line above the live view."""
        self._console.print(text, soft_wrap=True)

    def finish(self, key: str) -> None:
        """Record that a step of the start is done; later calls for the same step do nothing."""
        if not self._startup.finish(key) or self._console.is_terminal or self._startup.is_complete:
            return
        if key == MODEL.key:
            self._console.print(f"{self._elapsed():3.0f} s  the model is registered and in production")
        else:
            self._print_step()

    def on_landed(self, expected: Expected) -> None:
        self._landed += expected

    def on_batch(self, report: "BatchReport") -> None:
        self.finish("tables")
        self._batches[report.stream] = report
        is_first_label = report.stream == "gold" and not self._startup.is_complete
        if report.stream in {step.key for step in STEPS}:
            self.finish(report.stream)
        if is_first_label:
            self._console.print(f"the first tweets are labelled, {self._elapsed():.0f} s from the start")
            self.on_labelled()
        elif self._startup.is_complete and not self._console.is_terminal:
            self._console.print(str(report), soft_wrap=True)

    def watch(self, stop: threading.Event) -> None:
        """Read the status of the lake every second until `stop`, then show that the demo is stopping."""
        while not stop.wait(_WATCH_SECONDS):
            self._read_status()
            self._history.append((time.monotonic(), {table.name: self._rows(table.name) for _, table, *_ in _LAYERS}))
            tables_exist = self._status and all(table.exists for table in self._status.tables.values())
            if tables_exist and "spark" in self._startup.done:
                self.finish("tables")
        self._is_stopping = True

    @contextmanager
    def plain(self) -> Iterator[None]:
        """Print the first lines of an output that is not a terminal; `finish` and `on_batch` print the others."""
        self._console.print(f"dashboard: {self.url}")
        self._console.print(f"starting: first tweets in about {self._startup.remaining(time.time())} s")
        self._print_step()
        yield

    def farewell(self) -> str:
        """Return the last line of the demo."""
        self._read_status()  # the last batches may have ended since `watch` read it
        tweets = self._rows(GOLD_SENTIMENT.name)
        if not tweets:
            return "stopped before the first tweets were labelled; start again with the same command"
        return f"stopped: {tweets:,} labelled tweets are in {self._lake}; the same command continues from here"

    def _read_status(self) -> None:
        with suppress(LakeError):  # Spark may be creating a table
            self._status = read_status(self._lake, missing_ok=True)

    def _print_step(self) -> None:
        step = self._startup.current
        self._console.print(f"{self._elapsed():3.0f} s  {step.title} (usually {step.seconds} s)")

    def _elapsed(self) -> float:
        return time.time() - self._startup.began

    def _rows(self, table: str) -> int:
        """Return the rows written to a table since it was created."""
        return self._status.tables[table].totals.get("rows", 0) if self._status else 0

    def __rich__(self) -> RenderableType:
        body = self._layers() if self._startup.is_complete else self._steps()
        return Group(Text(), self._head(), Text(), body, Text(), self._foot(), Text())

    def _head(self) -> Text:
        address = (self.url, "bold underline") if self.dashboard_ready else (f"{self.url} (starting)", "dim")
        if self._is_stopping:
            state = "stopping"
        elif self._startup.is_complete:
            state = "running"
        else:
            state = f"first tweets in about {self._startup.remaining(time.time())} s"
        return Text.assemble("  dashboard  ", address, "   ", (state, "dim"))

    def _steps(self) -> RenderableType:
        rows = Table(box=None, padding=(0, 2), show_header=False)
        for step in (*STEPS, MODEL):
            done = step.key in self._startup.done
            is_current = step in (self._startup.current, MODEL) and not done
            style = "" if done or is_current else "dim"
            mark = "✓" if done else "…" if is_current else " "
            rows.add_row(mark, Text(step.title, style=style), Text(f"usually {step.seconds} s", style="dim"))
        return rows

    def _layers(self) -> RenderableType:
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
                # The tables are read one after another: a reader may seem to be ahead of its source.
                f"{max(0, lag.get(lag_name, 0)):,}" if lag_name else "",
                f"{report.counts['rows']:,} rows in {report.seconds:.1f} s" if report else Text("waiting", style="dim"),
            )
        return layers

    def _foot(self) -> Text:
        silver = self._status.tables[SILVER_TWEETS.name].totals if self._status else {}
        quarantined = sum(self._status.quarantine.values()) if self._status else 0
        return Text(
            f"  {self._landed.documents:,} documents landed since the start"
            f" · {silver.get('duplicates', 0):,} duplicates"
            f" · {quarantined:,} in quarantine\n  Ctrl-C finishes the running batch and stops",
            style="dim",
        )

    def _rate(self, table: str) -> float:
        """Return the rows per second over the last half minute."""
        if len(self._history) < 2:
            return 0.0
        (first_time, first_rows), (last_time, last_rows) = self._history[0], self._history[-1]
        return (last_rows[table] - first_rows[table]) / (last_time - first_time)
