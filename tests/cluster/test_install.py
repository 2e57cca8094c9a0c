"""The chart with its default values labels tweets; known tweets arrive exactly once, also during an upgrade."""

import time

import pytest

from tests.cluster.expected_totals import ExpectedTotals
from tests.cluster.faults import CHANGED, Fault, recover
from tests.cluster.installation import CHART, TEST_VALUES, Installation
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


def test_an_installation_with_default_values_labels_tweets(installation: Installation) -> None:
    started = time.monotonic()
    installation.helm("install", str(CHART), "--wait", "--timeout", "10m")
    print(f"\ninstalled: {time.monotonic() - started:.0f} s", flush=True)
    installation.wait_for_drivers(900)
    until(lambda: installation.totals()["gold"] > 0, 900, "the first tweet in gold/sentiment", every=1)
    elapsed = time.monotonic() - started
    print(f"first tweet in gold/sentiment: {elapsed:.0f} s after the start of helm install", flush=True)
    health = installation.run_python(
        "import urllib.request as r; print(r.urlopen('http://localhost:8501/_stcore/health').read().decode())"
    )
    assert health.strip() == "ok"


def test_known_tweets_arrive_exactly_once(expected: ExpectedTotals) -> None:
    expected.land(500)
    labelled, complete = expected.wait()
    print(f"\n500 tweets in Gold: {labelled:.0f} s, with the aggregates {complete:.0f} s", flush=True)


def test_helm_test_lands_one_tweet(installation: Installation, expected: ExpectedTotals) -> None:
    """The tweet is counted with those of the next test."""
    started = time.monotonic()
    installation.helm("test", "--timeout", "5m")
    print(f"\nhelm test: {time.monotonic() - started:.0f} s", flush=True)
    expected.add(documents=1, tweets=1)


def test_an_upgrade_restarts_only_the_stream_that_changes(installation: Installation, expected: ExpectedTotals) -> None:
    """Other memory for Gold's driver, by `helm upgrade`, and the memory of before, by `helm rollback`."""

    def restart_gold(*command: str) -> None:
        before = installation.driver_uid("gold")
        installation.helm(*command, "--wait", "--timeout", "10m")
        until(lambda: installation.driver_uid("gold") not in {"", before}, 300, "a new driver of gold", every=1)

    others = installation.driver_uids()[:2]
    upgrade = ["upgrade", str(CHART), *TEST_VALUES, "--set", "streams.gold.driver.memoryOverhead=700m"]
    upgraded = Fault("gold changed by helm upgrade", lambda: restart_gold(*upgrade), CHANGED, "gold")
    rolled_back = Fault("gold changed by helm rollback", lambda: restart_gold("rollback"), CHANGED, "gold")
    recover(installation, expected, upgraded)
    recover(installation, expected, rolled_back)
    assert installation.driver_uids()[:2] == others
