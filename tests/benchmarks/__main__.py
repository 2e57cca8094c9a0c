"""`make bench`: the figures of the README, each with the ways that it is compared with, in one run on one machine.

    python -m tests.benchmarks [throughput] [latency] [growth] [naive] [scorer] [big]

Machines differ and are noisy: read the ratios. The table is printed, all figures go to artifacts/bench.json, and the
picture of the scorer's ways to artifacts/bench.png.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.naive import naive
from tests.benchmarks.picture import draw
from tests.benchmarks.result import Result
from tests.benchmarks.streams import growth, latency, throughput
from tests.benchmarks.ways import big, scorer

JSON, PICTURE = Path("artifacts/bench.json"), Path("artifacts/bench.png")
KNOWN: Mapping[str, Callable[[], Result]] = {
    "throughput": throughput, "latency": latency, "growth": growth, "naive": naive, "scorer": scorer, "big": big,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *KNOWN], help="those to run; all by default")
    console = Console()
    table = Table("what", "figure", "beside", title="two cores of this machine", title_justify="left")
    JSON.parent.mkdir(exist_ok=True)
    known: dict[str, Any] = json.loads(JSON.read_text(encoding="utf-8")) if JSON.is_file() else {}
    for name in parser.parse_args().names or KNOWN:
        console.print(f"{name}: {KNOWN[name].__doc__}")
        result = KNOWN[name]()
        for line in result.lines:
            table.add_row(line.what, line.figure, line.beside)
        table.add_section()
        # Kept as they come: a run of all takes most of an hour.
        known[name] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **result.figures}
        JSON.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    console.print(table)
    draw({of: known[name]["ways"] for name, of in (("scorer", "30 M"), ("big", "124 M")) if name in known}, PICTURE)
    console.print(f"all figures: {JSON}; picture: {PICTURE}")


if __name__ == "__main__":
    main()
