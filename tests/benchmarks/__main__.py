"""`make bench`: measure the figures of docs/benchmarks.md, with their alternatives, in one run on one machine.

    python -m tests.benchmarks [throughput] [latency] [scale] [growth] [backup] [commits] [landing] [layout] [naive]
                               [scorer] [big]

Machines differ and are noisy: compare ratios. The program prints a table, writes all figures to artifacts/bench.json,
and draws the chart of the scorer and its alternatives in artifacts/bench.png. With the price of this machine, it ends
with the cost of a million tweets:

    python -m tests.benchmarks latency --price 0.115
"""

import argparse
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.alternatives import big, scorer
from tests.benchmarks.backup import backup
from tests.benchmarks.commits import commits
from tests.benchmarks.growth import growth
from tests.benchmarks.landing import landing
from tests.benchmarks.latency import AT_LOAD, LOAD, PEAK, latency
from tests.benchmarks.layout import layout
from tests.benchmarks.naive import naive
from tests.benchmarks.picture import draw
from tests.benchmarks.processor import processor
from tests.benchmarks.result import Result
from tests.benchmarks.scale import scale
from tests.benchmarks.streams import throughput

JSON, PICTURE = Path("artifacts/bench.json"), Path("artifacts/bench.png")
BENCHMARKS: Mapping[str, Callable[[], Result]] = {
    "throughput": throughput, "latency": latency, "scale": scale, "growth": growth, "backup": backup,
    "commits": commits, "landing": landing, "layout": layout, "naive": naive, "scorer": scorer, "big": big,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], help="benchmarks to run; all by default")
    parser.add_argument("--price", type=float, help="price of this machine in dollars an hour")
    arguments = parser.parse_args()
    console = Console()
    table = Table("benchmark", "figure", "comparison", title=f"two cores of {processor()}", title_justify="left")
    JSON.parent.mkdir(exist_ok=True)
    figures: dict[str, Any] = json.loads(JSON.read_text(encoding="utf-8")) if JSON.is_file() else {}
    for name in arguments.names or BENCHMARKS:
        console.print(f"{name}: {BENCHMARKS[name].__doc__}")
        result = BENCHMARKS[name]()
        for line in result.lines:
            table.add_row(line.name, line.figure, line.comparison)
        table.add_section()
        # Save the figures after each benchmark: all benchmarks together take most of an hour.
        at = datetime.now(UTC).isoformat(timespec="seconds")
        figures[name] = {"at": at, "processor": processor(), **result.figures}
        JSON.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    console.print(table)
    sizes = {"scorer": "39 M", "big": "124 M"}
    draw({size: figures[name]["rates"] for name, size in sizes.items() if "rates" in figures.get(name, {})}, PICTURE)
    console.print(f"all figures: {JSON}; chart: {PICTURE}")
    if "latency" in figures:
        console.print(summary(figures["latency"], arguments.price))


def summary(figures: Mapping[str, Any], price: float | None) -> str:
    """Return the peak, the latency and, with a price in dollars an hour, the cost of a million tweets."""
    peak, p95 = figures[PEAK.format("a folder")], figures[AT_LOAD.format("a folder")]["p95"]
    text = f"{peak:,.0f} tweets/s at the peak; 95 % in Gold within {p95:.1f} s at {LOAD:.0%} of it"
    return text if price is None else f"{text}; ${price / 3600 / peak * 1e6:.3f} per million tweets at the peak"


if __name__ == "__main__":
    main()
