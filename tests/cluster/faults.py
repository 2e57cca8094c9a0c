"""Inject faults into running streams, and measure how long the streams take to recover."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from tests.cluster.expected_totals import ExpectedTotals
from tests.cluster.installation import Installation, run_command
from tests.waiting import until

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
class _Injected:
    fault: Fault
    at: datetime
    driver: str
    # When the first new driver was ready: the test may stop or restart the stream again before the round ends.
    ready: datetime | None = None


@dataclass
class FaultInjection:
    """Faults that are injected side by side; the tweets that land before and after them must all arrive, once."""

    installation: Installation
    expected: ExpectedTotals
    _injected: list[_Injected] = field(default_factory=list)

    def inject(self, *faults: Fault) -> None:
        """Land tweets, inject the faults one after the other without waiting, and land more tweets."""
        self.expected.land()
        for fault in faults:
            driver = self.installation.driver_uid(fault.layer) if fault.layer else ""
            self._injected.append(_Injected(fault, datetime.now(UTC), driver))
            fault.inject()
        self.expected.land()

    def wait(self, seconds: float = 600) -> None:
        """Wait until the drivers are replaced and all tweets are labelled once; print how long that took.

        The aggregates follow within a minute, and their counts only grow: the next `expected.wait()` checks them.
        """
        started = datetime.now(UTC)
        for injected in self._injected:
            self._wait_for_driver(injected, seconds)
        waited = (datetime.now(UTC) - started).total_seconds()
        labelled, _ = self.expected.wait(seconds, aggregates=False)
        for injected in self._injected:
            print(f"\nrecovered: {injected.fault.name}{_driver_time(injected)}", end="", flush=True)
        last = (started - self._injected[-1].at).total_seconds() + waited
        print(f"\nfrom the last of them: tweets labelled after {last + labelled:.0f} s", flush=True)

    def wait_for_driver(self, layer: str, seconds: float) -> None:
        """Wait until the driver of `layer` is replaced, before the test stops or restarts the stream itself."""
        for injected in self._injected:
            if injected.fault.layer == layer:
                self._wait_for_driver(injected, seconds)

    def _wait_for_driver(self, injected: _Injected, seconds: float) -> None:
        if injected.fault.layer and injected.ready is None:
            replaced = partial(self._is_replaced, injected)
            until(replaced, seconds, f"a new driver after: {injected.fault.name}", 1)

    def _is_replaced(self, injected: _Injected) -> bool:
        layer = injected.fault.layer
        if self.installation.driver_uid(layer) != injected.driver:
            injected.ready = self.installation.driver_ready_since(layer)
        return injected.ready is not None


def _driver_time(injected: _Injected) -> str:
    goal = f" (goal {injected.fault.goal:.0f} s)"
    if injected.ready is None:
        return goal
    return f": driver ready after {(injected.ready - injected.at).total_seconds():.0f} s{goal}"


def recover(installation: Installation, expected: ExpectedTotals, *faults: Fault) -> None:
    """Inject faults side by side, and wait until all tweets are labelled, once."""
    injection = FaultInjection(installation, expected)
    injection.inject(*faults)
    injection.wait()


def kill_driver(installation: Installation, layer: str) -> Fault:
    return Fault(f"driver of {layer} killed", lambda: installation.kill_pods(f"{layer}-driver"), KILLED, layer)


def scale_operator(replicas: int) -> None:
    """Take the Spark operator away (0) or bring it back (1)."""
    operator = ["-n", "spark-operator", "deployment/spark-operator-controller"]
    run_command("kubectl", "scale", *operator, f"--replicas={replicas}")
