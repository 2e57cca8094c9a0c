"""What a person reads about a stream: in the log of its task, and in the report that other pods mount."""

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from spark_apps.monitoring.stream_reports import ReportedState, StreamReport
from tests.dags.fake_api import (
    APP,
    CONFIG_MAP,
    CORE,
    HOLD,
    POD,
    STATUS,
    FakeApi,
    edit_application,
    reported,
    set_state,
    store_failures,
    stored,
    stream_writes,
)
from tests.dags.observations import LIMITS, application, driver, failures, later, observed, progress, unschedulable
from tweet_dags.reconcile.actions import Remedy
from tweet_dags.reconcile.annotations import Hold
from tweet_dags.reconcile.failures import NO_ERROR, last_error
from tweet_dags.reconcile.observed import ObservedState
from tweet_dags.reconcile.plan import plan
from tweet_dags.reconcile.report import Report

pytestmark = pytest.mark.airflow

RUNBOOK = Path(__file__).parents[2] / "docs" / "operations.md"
PENDING = "gold-exec-2 is pending: 0/1 nodes are available: 1 Insufficient cpu."


def suspend(api: FakeApi, hold: Hold) -> None:
    """Let the application of gold be suspended for `hold`."""
    api.objects[APP]["spec"]["suspend"] = True
    api.objects[APP]["metadata"]["annotations"]["tweet-sentiment/hold"] = hold.to_json()
    set_state(api, "SUSPENDED")


def parsed(state: ObservedState) -> StreamReport:
    """Return the report on a stream, as the programs read it: they share no code with the DAGs."""
    report = StreamReport.from_json(Report.of(state, *plan(state, LIMITS), "docs/operations.md").to_json())
    assert report
    return report


def test_a_stream_that_advances_needs_nothing() -> None:
    report = parsed(observed())
    assert (report.layer, report.state, report.hold) == ("gold", ReportedState.RUNNING, None)
    assert (report.at, report.last_error, report.actions) == (observed().now, "", ())
    assert (report.remedy, report.link) == ("", "")


def test_a_hold_is_reported_with_its_owner_reason_and_section() -> None:
    suspended = application("SUSPENDED")
    suspended["spec"]["suspend"] = True
    cases = {
        "operate-stream": (ReportedState.HELD, Remedy.HELD),
        "rescore-gold": (ReportedState.HELD, Remedy.HELD_BY_OTHER),
        "keep-streams-running": (ReportedState.GIVEN_UP, Remedy.GIVEN_UP),
    }
    for owner, (state, remedy) in cases.items():
        hold = Hold(owner, "the disk is full", "2026-11-25T11:58:00+00:00", "ann knows")
        report = parsed(observed(application=suspended, pods=(), response=None, hold=hold))
        assert report.state is state and report.hold
        assert (report.hold.owner, report.hold.reason, report.hold.acknowledged) == (owner, hold.reason, "ann knows")
        assert report.hold.since == datetime.fromisoformat(hold.since)
        assert (report.remedy, report.link) == (remedy.advice, f"docs/operations.md#{remedy.anchor}")


def test_a_pending_pod_is_reported_with_the_reason_of_the_scheduler_before_anybody_is_alerted() -> None:
    running = observed(pods=(*observed().pods, unschedulable(10)))
    assert PENDING in parsed(running).reason and parsed(running).state is ReportedState.RUNNING
    assert parsed(running).link.endswith("#pod-pending")
    assert parsed(observed(pods=(*observed().pods, unschedulable(301)))).state is ReportedState.NEEDS_ACTION
    waiting = observed(application=application("SUBMITTED"), pods=(unschedulable(9, "gold-driver", "driver"),))
    assert parsed(waiting).reason == "the driver is pending: 0/1 nodes are available: 1 Insufficient cpu."
    assert parsed(waiting).link.endswith("#pod-pending")


def test_what_was_tried_is_reported() -> None:
    state = observed(response=progress(400), reconcile_state=failures(submission="one"))
    for _ in range(7):
        state = later(30, state)
    actions = parsed(state).actions
    assert len(actions) == 5 and all("restart driver: not advancing: gold for 400 s" in action for action in actions)
    assert len({action.partition(" ")[0] for action in actions}) == 5


def test_how_a_driver_ended_is_known_after_its_pod_is_gone() -> None:
    """A driver that ends before it answers a request, such as after an OOM kill."""
    terminated = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-25T11:59:58Z"}
    ended = driver(containerStatuses=[{"name": "spark", "state": {"terminated": terminated}}])
    first = observed(application=application("FAILING"), pods=(ended,), response=None)
    gone = later(10, first, pods=())
    state = replace(gone, reconcile_state=plan(gone, LIMITS)[1])
    assert last_error(observed()) == NO_ERROR
    assert "2026-11-25T11:59:58Z the container spark exited with code 137: OOMKilled" in last_error(state)
    given_up = replace(gone, reconcile_state=replace(state.reconcile_state, failures=failures(40, 30, 20, 10).failures))
    report = parsed(given_up)
    assert report.state is ReportedState.GIVEN_UP and "OOMKilled" in report.reason and "OOMKilled" in report.last_error


def test_each_link_leads_to_a_section() -> None:
    text = RUNBOOK.read_text()
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    anchors |= set(re.findall(r'<a id="([^"]+)">', text))
    for remedy in Remedy:
        assert remedy is Remedy.NONE or (remedy.anchor in anchors and remedy.advice), remedy
    assert "tweetsunwatched" in anchors


def test_the_log_of_a_task_says_what_is_wrong_and_what_to_do(api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    from tweet_dags.reconcile import tasks

    store_failures(api)
    set_state(api, "FAILING")
    tasks.reconcile("gold")
    assert "gold: GIVEN UP" in caplog.text and "last error: the driver's last error: no room on the disk" in caplog.text
    assert "give up: failed 4 times within an hour" in caplog.text
    assert "to do: fix the cause of the last error" in caplog.text and "#stream-given-up" in caplog.text
    caplog.clear()
    tasks.reconcile("gold")
    assert "observed: held by keep-streams-running since" in caplog.text
    assert reported(api)["state"] == "given up" and reported(api)["hold"]["owner"] == "keep-streams-running"


def test_a_pending_executor_is_in_the_log_the_outcome_and_the_report(
    api: FakeApi, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tweet_dags.reconcile import tasks
    from tweet_dags.reconcile.watch import StreamWatch

    monkeypatch.setattr("tweet_dags.reconcile.observed.query_driver", lambda _: progress())
    api.put(f"{CORE}/pods/gold-exec-2", unschedulable(1))
    seen = StreamWatch("gold").observe()
    assert seen.action and PENDING in seen.action.reason
    assert caplog.text.count(f"observed: advancing: gold at batch 7; {PENDING}") == 1
    assert PENDING in tasks.reconcile("gold").reason and PENDING in reported(api)["reason"]


def test_a_watch_reports_at_its_start_and_when_something_changes(
    api: FakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    from tweet_dags.reconcile.watch import StreamWatch

    def reports() -> int:
        return sum(name == "stream-status" for _, name, _, _ in api.writes)

    watch = StreamWatch("gold")
    for _ in range(3):
        watch.observe()
    assert reports() == 1 and reported(api)["state"] == "running"
    hold = Hold("operate-stream", "disk is full (ann)", "2026-11-25T11:00:00+00:00")
    api.objects[CONFIG_MAP]["metadata"]["annotations"][HOLD] = hold.to_json()
    suspend(api, hold)
    for _ in range(3):
        watch.observe()
    assert reports() == 2 and reported(api)["state"] == "held"
    assert "gold: HELD" in caplog.text and f"observed: {hold}" in caplog.text
    # An action is reported by the worker that has executed it.
    del api.objects[CONFIG_MAP]["metadata"]["annotations"][HOLD]
    edit_application(api)
    watch.observe()
    assert reports() == 2


@pytest.mark.parametrize("broken", [True, False], ids=["missing", "unknown content"])
def test_a_report_that_cannot_be_written_disturbs_nothing(api: FakeApi, broken: bool) -> None:
    from tweet_dags.reconcile import tasks

    if broken:
        del api.objects[STATUS]
    else:
        api.objects[STATUS]["data"] = {"gold.json": "no JSON"}
    del api.objects[APP], api.objects[POD]
    assert "applying it" in tasks.reconcile("gold").reason and APP in api.objects
    assert (STATUS in api.objects) is not broken


def test_an_acknowledged_hold_stays_and_ends_with_the_hold(api: FakeApi) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import operate
    from tweet_dags.reconcile import tasks

    with pytest.raises(AirflowFailException, match="nothing to acknowledge"):
        operate.operate("gold", "acknowledge", "I know", "ann")
    for owner in ("rescore-gold", "operate-stream"):
        hold = Hold(owner, "history", "2026-11-25T11:00:00+00:00")
        api.objects[CONFIG_MAP]["metadata"]["annotations"] = {HOLD: hold.to_json()}
        operate.operate("gold", "acknowledge", "I know", "ann")
        assert stored(api, "hold") == vars(hold) | {"acknowledged": "I know (ann)"}
        tasks.reconcile("gold")
        assert reported(api)["hold"]["acknowledged"] == "I know (ann)"
    operate.operate("gold", "stop", "a new hold", "ann")
    assert not stored(api, "hold")["acknowledged"]
    assert ("PATCH", "gold", False) in stream_writes(api)
