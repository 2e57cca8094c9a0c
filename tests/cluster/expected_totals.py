"""The counts that the tables must reach, to the row, whatever happens to the streams meanwhile."""

import time

from tests.cluster.installation import CHART, Installation
from tests.waiting import until

# The counts that each tweet raises by one.
_OF_A_TWEET = ("tweets", "gold", "rows", "trends")


class ExpectedTotals:
    """The counts at the start, plus all that was landed since."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._seed = int(time.time())
        self.totals = installation.totals()

    @classmethod
    def without_demo(cls, installation: Installation, *values: str) -> "ExpectedTotals":
        """Install or upgrade the chart with `values`, which turn the demo off; wait until all tweets are in Gold."""
        installation.helm("upgrade", "--install", str(CHART), *values, "--wait", "--timeout", "10m")
        installation.wait_for_drivers()
        # A lake without tweets would look the same as a lake that cannot be read.
        installation.land(60, seed=1)
        before: dict[str, int] = {}

        def all_in_gold() -> bool:
            nonlocal before
            now = installation.totals()
            unchanged = now == before and now["gold"] == now["tweets"] == now["trends"] > 0
            before = now
            if not unchanged:
                time.sleep(5)
            return unchanged

        until(all_in_gold, 900, "all landed tweets in Gold")
        return cls(installation)

    def land(self, tweets: int = 60) -> None:
        """Land generated tweets, among them duplicates and malformed documents, and expect what they must become."""
        self._seed += 1
        generated = self._installation.land(tweets, self._seed)
        self.totals["duplicates"] += generated["duplicates"]
        self.add(generated["documents"], generated["tweets"], sum(generated["quarantine"].values()))

    def add(self, documents: int, tweets: int, quarantine: int = 0) -> None:
        """Expect documents that were landed by other means."""
        self.totals["documents"] += documents
        self.totals["quarantine"] += quarantine
        for name in _OF_A_TWEET:
            self.totals[name] += tweets

    def wait(self, seconds: float = 300, aggregates: bool = True) -> tuple[float, float]:
        """Wait until the tables hold exactly the expected counts; fail after `seconds`.

        Return the seconds until gold/sentiment held them, and until all tables did. The aggregates of Gold follow with
        a trigger of 30 seconds: without `aggregates` their count is left to the next call.
        """
        started = time.monotonic()
        labelled = 0.0
        while True:
            totals, elapsed = self._installation.totals(), time.monotonic() - started
            if not aggregates:
                totals["trends"] = self.totals["trends"]
            if not labelled and totals["rows"] == self.totals["rows"]:
                labelled = elapsed
            if totals == self.totals:
                return labelled, elapsed
            assert elapsed < seconds, f"after {elapsed:.0f} s the tables hold {totals} instead of {self.totals}"
            time.sleep(1)
