"""What must stand in the tables, and how long the product takes until it does."""

import time
from collections.abc import Callable

from tests.cluster.product import Product

# What a stream may take to be back, measured from the blow, and a driver or executor that was killed.
KILLED, CHANGED = 90, 150
# The stream of the demo is off but for the first test: known tweets have exact totals.
QUIET = ["--set", "demo.enabled=false"]
# A model that the tests train in seconds knows the demo's tweets, and little else.
GATES = ["--set-json", 'modelJobs.gates={"smoke": 0.3}']
SETTINGS = [*QUIET, *GATES]


class Known:
    """What must stand in the tables: what stood there before, and what was landed since."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._seed = int(time.time())
        self.totals = product.totals()

    def land(self, tweets: int = 60) -> None:
        self._seed += 1
        expected = self._product.land(tweets, self._seed)
        self.totals["documents"] += expected["documents"]
        self.totals["duplicates"] += expected["duplicates"]
        self.totals["quarantine"] += sum(expected["quarantine"].values())
        for name in ("tweets", "gold", "rows", "trends"):
            self.totals[name] += expected["tweets"]

    def settle(self, seconds: float = 300) -> tuple[float, float]:
        """Wait until the tables hold exactly what they must.

        Return the seconds until gold/sentiment did, and until all did: the aggregates have a slower trigger.
        """
        began = time.monotonic()
        labelled = 0.0
        while True:
            totals, took = self._product.totals(), time.monotonic() - began
            if not labelled and totals["rows"] == self.totals["rows"]:
                labelled = took
            if totals == self.totals:
                return labelled, took
            assert took < seconds, f"{totals} instead of {self.totals}"
            time.sleep(1)


def healed(known: Known, blow: Callable[[], object], seconds: float, what: str) -> None:
    """Land tweets, strike, land more: they all arrive, once; the time runs from the blow until they are labelled."""
    known.land()
    began = time.monotonic()
    blow()
    known.land()
    struck = time.monotonic() - began
    labelled, took = known.settle(600)
    times = f"{struck + labelled:.0f} s, with the aggregates {struck + took:.0f} s"
    print(f"\nhealed: {what}: {times} (goal {seconds:.0f} s)", flush=True)
