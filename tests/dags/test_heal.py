"""A reconciliation against an API server: when a stream is given up, and how it stays down."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.dags.fake_api import APP, CONFIG_MAP, HOLD, FakeApi, set_state, store_failures, stored, stream_writes
from tweet_dags.reconcile.actions import Status

pytestmark = pytest.mark.airflow


def test_a_stream_that_fails_too_often_is_given_up_once_with_its_error(api: FakeApi) -> None:
    from tweet_dags.reconcile import tasks

    store_failures(api)
    set_state(api, "FAILING")
    outcome = tasks.reconcile("gold")
    assert outcome.status is Status.ALERT and "given up" in outcome.reason and "no room on the disk" in outcome.reason
    assert stream_writes(api) == [("PATCH", "gold", False)]
    assert stored(api, "hold")["owner"] == "keep-streams-running"
    assert api.objects[APP]["spec"]["suspend"] is True
    outcome = tasks.reconcile("gold")
    assert outcome.status is Status.ALERT and "held by keep-streams-running" in outcome.reason
    # Half an hour later, the stream is tried again: its failures no longer count.
    hold = stored(api, "hold") | {"since": (datetime.now(UTC) - timedelta(minutes=31)).isoformat()}
    api.objects[CONFIG_MAP]["metadata"]["annotations"][HOLD] = json.dumps(hold)
    set_state(api, "SUSPENDED")
    assert "trying again" in tasks.reconcile("gold").reason
    assert "resuming it" in tasks.reconcile("gold").reason
    assert "suspend" not in api.objects[APP]["spec"]
    set_state(api, "FAILING")
    assert tasks.reconcile("gold").status is Status.RUNNING and stored(api, "hold") is None


def test_giving_up_alerts_even_if_the_operator_submits_at_that_moment(api: FakeApi) -> None:
    from tweet_dags.reconcile import config_map, tasks

    store_failures(api)
    set_state(api, "FAILING")

    def hold_during_submission(*arguments: Any) -> Any:
        hold = config_map.hold_stream(*arguments)
        set_state(api, "PENDING_RERUN")
        return hold

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tweet_dags.reconcile.execute.hold_stream", hold_during_submission)
        assert tasks.reconcile("gold").status is Status.ALERT
    assert "suspend" not in api.objects[APP]["spec"]
    assert "suspending it after the submission" in tasks.reconcile("gold").reason
    set_state(api, "RUNNING")
    tasks.reconcile("gold")
    assert api.objects[APP]["spec"]["suspend"] is True
