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

    def arrived(self) -> bool:
        return self._product.totals() == self.totals

    def settle(self, seconds: float = 300) -> float:
        """Wait until the tables hold exactly what they must."""
        began = time.monotonic()
        while not self.arrived():
            assert time.monotonic() - began < seconds, f"{self._product.totals()} instead of {self.totals}"
            time.sleep(1)
        return time.monotonic() - began


def healed(known: Known, blow: Callable[[], object], seconds: float, what: str) -> None:
    """Land tweets, strike, land more: they all arrive, once; the time runs from the blow."""
    known.land()
    began = time.monotonic()
    blow()
    known.land()
    known.settle(600)
    took = time.monotonic() - began
    print(f"\nhealed: {what}: {took:.0f} s (goal {seconds:.0f} s)", flush=True)
