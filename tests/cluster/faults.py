"""Inject faults into running streams, and measure how long the streams take to recover."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.cluster.expected_totals import ExpectedTotals
from tests.cluster.installation import Installation, run_command

# Goals in seconds, from a fault until tweets are labelled: for a killed pod, and for a changed or frozen stream.
KILLED, CHANGED = 90, 150


@dataclass(frozen=True)
class Fault:
    """A fault, the goal for its recovery in seconds, and the layer whose driver is replaced, if one is."""

    name: str
    inject: Callable[[], object]
    goal: float
    layer: str = ""


@dataclass
class FaultInjection:
    """Faults that are injected side by side; the tweets that land before and after them must all arrive, once."""

    installation: Installation
    expected: ExpectedTotals
    _injected: list[tuple[Fault, datetime]] = field(default_factory=list)

    def inject(self, *faults: Fault) -> None:
        """Land tweets, inject the faults one after the other without waiting, and land more tweets."""
        self.expected.land()
        for fault in faults:
            self._injected.append((fault, datetime.now(UTC)))
            fault.inject()
        self.expected.land()

    def wait(self, aggregates: bool = True, seconds: float = 600) -> None:
        """Wait until the tables hold the expected counts, and print the seconds from each fault to its recovery."""
        started = datetime.now(UTC)
        labelled, complete = self.expected.wait(seconds, aggregates)
        for fault, at in self._injected:
            ready = self.installation.driver_ready_since(fault.layer) if fault.layer else None
            driver = f": driver ready after {(ready - at).total_seconds():.0f} s" if ready and ready > at else ""
            print(f"\nrecovered: {fault.name}{driver} (goal {fault.goal:.0f} s)", end="", flush=True)
        last = (started - self._injected[-1][1]).total_seconds()
        suffix = f", aggregates after {last + complete:.0f} s" if aggregates else ""
        print(f"\nfrom the last of them: tweets labelled after {last + labelled:.0f} s{suffix}", flush=True)


def recover(installation: Installation, expected: ExpectedTotals, *faults: Fault, aggregates: bool = True) -> None:
    """Inject faults side by side, and wait until all tweets have arrived, once."""
    injection = FaultInjection(installation, expected)
    injection.inject(*faults)
    injection.wait(aggregates)


def kill_driver(installation: Installation, layer: str) -> Fault:
    return Fault(f"driver of {layer} killed", lambda: installation.kill_pods(f"{layer}-driver"), KILLED, layer)


def scale_operator(replicas: int) -> None:
    """Take the Spark operator away (0) or bring it back (1)."""
    operator = ["-n", "spark-operator", "deployment/spark-operator-controller"]
    run_command("kubectl", "scale", *operator, f"--replicas={replicas}")
