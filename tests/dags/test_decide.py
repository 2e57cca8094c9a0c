"""What is done about a stream: first comes what forbids all action, then what people want, then the chart."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dags.facts import (
    LIMITS,
    REFUSED,
    SILENCE,
    STATES,
    UNDER_WAY,
    UNREACHABLE,
    after,
    ago,
    alerts,
    answer,
    driver,
    failed,
    kind,
    live,
    manifest,
    refused_submission,
    says,
    seen,
)
from tweet_dags.actions import Action, Kind
from tweet_dags.decide import decide
from tweet_dags.drift import MANAGER
from tweet_dags.notes import Hold
from tweet_dags.seen import Answer, Heard, Seen

HELD = Hold("rescore-gold", "history", "2026-11-25T11:00:00+00:00")
OTHER = manifest("bbbb")
WRITES = set(Kind) - {Kind.NOTHING, Kind.END_DRIVER}


def suspended(state: str) -> dict[str, Any]:
    found = live(state)
    found["spec"]["suspend"] = True
    return found


def test_a_stream_that_advances_is_left_alone() -> None:
    action, memory = decide(seen(), LIMITS)
    assert action == Action(Kind.NOTHING, "advancing: gold at batch 7")
    assert memory == seen().memory


def test_a_missing_application_is_applied_once_its_pods_are_gone() -> None:
    assert kind(seen(live=None)) is Kind.NOTHING
    assert kind(seen(live=None, pods=())) is Kind.APPLY


@pytest.mark.parametrize("state", UNDER_WAY)
def test_nothing_is_written_while_a_submission_is_under_way(state: str) -> None:
    """Not for an edit, not for a new spec of the chart, not to leave it down, not even for who holds it."""
    edited = live(state)
    edited["spec"]["sparkConf"]["a"] = "2"
    often = failed(10, 20, 30, 40, 50)
    for found in (
        seen(live=edited),
        seen(live=live(state), rendered=OTHER),
        seen(live=live(state), memory=often),
        seen(live=live(state), memory=often, pods=(), answer=None),
        seen(live=live(state), held=HELD),
    ):
        assert kind(found) is Kind.NOTHING


def test_a_spec_of_the_chart_that_has_changed_is_applied() -> None:
    assert kind(seen(rendered=OTHER)) is Kind.APPLY
    assert kind(seen(rendered=OTHER, live=live("FAILING"))) is Kind.APPLY


def test_a_spec_that_has_changed_is_applied_to_a_refused_submission_before_it_is_tried_again() -> None:
    """The state stays as it is while the operator submits again: a write then would make it submit twice."""
    assert kind(seen(rendered=OTHER, live=refused_submission(30))) is Kind.APPLY
    assert kind(seen(rendered=OTHER, live=refused_submission(55))) is Kind.NOTHING
    assert kind(seen(rendered=OTHER, live=refused_submission(65))) is Kind.NOTHING


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("sparkConf", "a"), "2", "spec.sparkConf.a"),
        (("driver", "memory"), "9g", "spec.driver.memory"),
        (("driver", "env"), [], "spec.driver.env"),
        (("driver", "env"), [{"name": "X", "value": "2"}], "spec.driver.env[0].value"),
    ],
)
def test_a_spec_edited_by_hand_is_made_anew(path: tuple[str, str], value: Any, place: str) -> None:
    other = live()
    other["spec"][path[0]][path[1]] = value
    action, _ = decide(seen(live=other), LIMITS)
    assert action.kind is Kind.DELETE and place in action.says


def test_keys_that_somebody_else_has_added_are_found_by_their_owner() -> None:
    other = live()
    other["spec"]["sparkConf"]["extra"] = "1"
    other["metadata"]["managedFields"] = [
        {"manager": MANAGER, "fieldsV1": {"f:spec": {"f:sparkConf": {"f:a": {}}}}},
        {"manager": "operate-stream-hold", "fieldsV1": {"f:spec": {"f:suspend": {}}}},
        {"manager": "spark-operator", "subresource": "status", "fieldsV1": {"f:status": {}}},
    ]
    assert kind(seen(live=other)) is Kind.NOTHING
    foreign = {"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:sparkConf": {"f:extra": {}}}}}
    other["metadata"]["managedFields"].append(foreign)
    action, _ = decide(seen(live=other), LIMITS)
    assert action.kind is Kind.DELETE and "kubectl-edit owns sparkConf" in action.says


@pytest.mark.parametrize("state", [state for state in STATES if state not in {"UNKNOWN", "SOMETHING_NEW"}])
@pytest.mark.parametrize("pods", [(), (driver(),)])
def test_a_held_stream_that_is_suspended_is_left_alone_in_every_state(state: str, pods: tuple[Any, ...]) -> None:
    found = seen(live=suspended(state), pods=pods, rendered=OTHER, held=HELD, memory=failed(1, 2, 3, 4, 5))
    action, _ = decide(found, LIMITS)
    assert action.kind is Kind.NOTHING and "held by rescore-gold" in action.says and not action.alert


def test_a_hold_outlives_the_application() -> None:
    """Somebody has deleted it: it is not made anew, and one that somebody else has made is suspended."""
    assert kind(seen(live=None, pods=(), held=HELD)) is Kind.NOTHING
    assert "history" in says(seen(live=None, pods=(), held=HELD))
    assert kind(seen(live=live("RUNNING"), held=HELD)) is Kind.SUSPEND
    assert kind(seen(live=live(""), pods=(), held=HELD)) is Kind.NOTHING


def test_what_nobody_holds_is_resumed() -> None:
    """As when a start has died between the map and the application, or somebody has suspended it by hand."""
    for state in ("SUSPENDED", "RUNNING"):
        assert kind(seen(live=suspended(state), pods=(), answer=None)) is (
            Kind.RESUME if state == "SUSPENDED" else Kind.NOTHING
        )
        assert kind(seen(live=suspended(state))) is Kind.RESUME
    assert kind(seen(live=suspended("SUSPENDING"))) is Kind.NOTHING
    # It would only be started as it was, to be started again.
    assert kind(seen(live=suspended("SUSPENDED"), rendered=OTHER)) is Kind.DELETE


LOST = {
    "state unknown": seen(live=live("UNKNOWN")),
    "a state of a later operator": seen(live=live("SOMETHING_NEW")),
    "Ready unknown": seen(pods=(driver(conditions=[{"type": "Ready", "status": "Unknown"}]),)),
    "Ready false": seen(
        pods=(driver(conditions=[{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "True"}]),)
    ),
    "as of old": seen(pods=(driver(reason="NodeLost"),)),
    "overdue": seen(pods=(driver(deleted="2026-11-25T11:58:00Z"),)),
    "overdue, and the application gone": seen(live=None, pods=(driver(deleted="2026-11-25T11:58:00+00:00"),)),
}


@pytest.mark.parametrize("case", LOST)
def test_a_lost_node_is_alerted_and_nothing_is_ended(case: str) -> None:
    action, _ = decide(LOST[case], LIMITS)
    assert (action.kind, action.alert) == (Kind.NOTHING, True)


def test_a_lost_node_is_alerted_even_where_the_application_is_being_deleted() -> None:
    going = live()
    going["metadata"]["deletionTimestamp"] = "2026-11-25T11:59:50Z"
    assert not alerts(seen(live=going))
    assert alerts(seen(live=going, pods=(driver(reason="NodeLost"),)))
    assert alerts(seen(live=going, pods=(driver(deleted="2026-11-25T11:58:00Z"),)))
    going["metadata"] |= {"deletionTimestamp": "2026-11-25T11:50:00Z", "finalizers": ["somebody/waits"]}
    assert alerts(seen(live=going)) and "somebody/waits" in says(seen(live=going))


def applications(state: str, held: bool) -> dict[str, Any]:
    return suspended(state) if held else live(state)


FACTS = st.builds(
    seen,
    live=st.one_of(
        st.none(),
        st.builds(applications, st.sampled_from(STATES), st.booleans()),
        st.builds(refused_submission, st.floats(0, 500), st.integers(1, 12)),
        st.builds(live, st.just("FAILING"), executionAttempts=st.integers(1, 12)),
    ),
    rendered=st.sampled_from([manifest(), OTHER]),
    pods=st.sampled_from(
        [(), (driver(),), (driver("0000"),), (driver(deleted="2026-11-25T12:00:20Z"),)]
        + [found.pods for found in LOST.values()]
    ),
    answer=st.one_of(
        st.sampled_from([None, REFUSED, SILENCE, UNREACHABLE, Answer(Heard.ANSWER)]),
        st.builds(answer, st.floats(0, 1000), st.integers(-1, 9)),
    ),
    memory=st.lists(st.floats(0, 4000), max_size=8).map(lambda at: failed(*sorted(at, reverse=True))),
    held=st.sampled_from([None, None, HELD]),
)


def submits(found: Seen) -> bool:
    """Tell, by the operator's own rules, whether it submits now or within a few seconds."""
    if found.state == "SUSPENDED":
        return not found.suspended
    if found.state == "SUBMISSION_FAILED" and found.live:
        status = found.live["status"]
        waits = 20 * status.get("submissionAttempts", 0)
        last = status.get("lastSubmissionAttemptTime")
        return not last or ago(waits - 5).isoformat() >= last.replace("Z", "+00:00")
    return found.state in UNDER_WAY


@given(first=FACTS, waits=st.lists(st.floats(1, 400), max_size=4))
def test_never(first: Seen, waits: list[float]) -> None:
    """Whatever is seen, and for however long."""
    found = first
    for wait in [0, *waits]:
        found = after(wait, found) if wait else found
        action, _ = decide(found, LIMITS)
        assert action.says
        ends = action.kind in {Kind.DELETE, Kind.END_DRIVER, Kind.SUSPEND, Kind.LEAVE_DOWN}
        lost = found.pods in [case.pods for name, case in LOST.items() if "state" not in name]
        if lost or found.state in {"UNKNOWN", "SOMETHING_NEW"}:
            assert action.kind is Kind.NOTHING or (action.kind is Kind.APPLY and not found.pods)
        if found.live is not None and submits(found) and action.kind in WRITES:
            # The issue's own exception: no driver for a minute, so the operator is not at it.
            assert not found.pods and action.kind in {Kind.WAKE, Kind.DELETE} and len(waits) > 0
        if found.held:
            assert action.kind in {Kind.NOTHING, Kind.SUSPEND}
        if action.kind is Kind.SUSPEND:
            assert found.held and not found.suspended
        if action.kind is Kind.RESUME:
            assert not found.held and found.suspended
        if action.kind is Kind.LEAVE_DOWN:
            assert action.alert and len(found.memory.failures) > LIMITS.failures
        heard = found.answer
        if ends and action.kind is not Kind.SUSPEND and found.state == "RUNNING" and found.pods and heard:
            advances = heard.heard is Heard.ANSWER and heard.batches and max(heard.ages.values()) <= 300
            unknown = heard.heard is Heard.UNREACHABLE
            if advances or unknown:
                # Only for what the chart wants, never for how it runs.
                assert action.kind is Kind.DELETE
