"""`make bench`: measure the figures of docs/benchmarks.md, with their alternatives, in one run on one machine.

    python -m tests.benchmarks [throughput] [latency] [growth] [backup] [commits] [landing] [layout] [naive] [scorer]
                               [big]

Machines differ and are noisy: compare ratios. The program prints a table, writes all figures to artifacts/bench.json,
and draws the chart of the scorer and its alternatives in artifacts/bench.png.
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
from tests.benchmarks.layout import layout
from tests.benchmarks.naive import naive
from tests.benchmarks.picture import draw
from tests.benchmarks.result import Result
from tests.benchmarks.streams import latency, throughput

JSON, PICTURE = Path("artifacts/bench.json"), Path("artifacts/bench.png")
BENCHMARKS: Mapping[str, Callable[[], Result]] = {
    "throughput": throughput, "latency": latency, "growth": growth, "backup": backup, "commits": commits,
    "landing": landing, "layout": layout, "naive": naive, "scorer": scorer, "big": big,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], help="benchmarks to run; all by default")
    console = Console()
    table = Table("benchmark", "figure", "comparison", title="two cores of this machine", title_justify="left")
    JSON.parent.mkdir(exist_ok=True)
    figures: dict[str, Any] = json.loads(JSON.read_text(encoding="utf-8")) if JSON.is_file() else {}
    for name in parser.parse_args().names or BENCHMARKS:
        console.print(f"{name}: {BENCHMARKS[name].__doc__}")
        result = BENCHMARKS[name]()
        for line in result.lines:
            table.add_row(line.name, line.figure, line.comparison)
        table.add_section()
        # Save the figures after each benchmark: all benchmarks together take most of an hour.
        figures[name] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **result.figures}
        JSON.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    console.print(table)
    sizes = {"scorer": "30 M", "big": "124 M"}
    draw({size: figures[name]["rates"] for name, size in sizes.items() if "rates" in figures.get(name, {})}, PICTURE)
    console.print(f"all figures: {JSON}; chart: {PICTURE}")


if __name__ == "__main__":
    main()
