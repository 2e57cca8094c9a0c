"""The tasks `needs_healing` and `heal` against an API server: when a stream is given up, and how it stays down."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.dags.fake_api import APP, CONFIG_MAP, HOLD, FakeApi, set_state, store_failures, stored, stream_writes

pytestmark = pytest.mark.airflow


def test_a_stream_that_fails_too_often_is_given_up_once_with_its_error(api: FakeApi) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags.reconcile import tasks

    store_failures(api)
    set_state(api, "FAILING")
    assert "given up" in tasks.apply("gold")
    assert stream_writes(api) == []
    assert tasks.needs_healing("gold") is True
    with pytest.raises(AirflowFailException, match="no room on the disk"):
        tasks.heal("gold")
    assert stored(api, "hold")["owner"] == "keep-streams-running"
    assert api.objects[APP]["spec"]["suspend"] is True
    assert "held by keep-streams-running" in tasks.apply("gold")
    assert tasks.needs_healing("gold") is False
    # Half an hour later, the stream is tried again: its failures no longer count.
    hold = stored(api, "hold") | {"since": (datetime.now(UTC) - timedelta(minutes=31)).isoformat()}
    api.objects[CONFIG_MAP]["metadata"]["annotations"][HOLD] = json.dumps(hold)
    set_state(api, "SUSPENDED")
    assert "trying again" in tasks.apply("gold")
    assert "resuming it" in tasks.apply("gold")
    assert "suspend" not in api.objects[APP]["spec"]
    set_state(api, "FAILING")
    assert tasks.needs_healing("gold") is False


def test_giving_up_alerts_even_if_the_operator_submits_at_that_moment(api: FakeApi) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags.reconcile import config_map, tasks

    store_failures(api)
    set_state(api, "FAILING")

    def hold_during_submission(*arguments: Any) -> Any:
        hold = config_map.hold_stream(*arguments)
        set_state(api, "PENDING_RERUN")
        return hold

    with pytest.MonkeyPatch.context() as patch, pytest.raises(AirflowFailException, match="given up"):
        patch.setattr("tweet_dags.reconcile.execute.hold_stream", hold_during_submission)
        tasks.heal("gold")
    assert "suspend" not in api.objects[APP]["spec"]
    assert "suspending it after the submission" in tasks.apply("gold")
    set_state(api, "RUNNING")
    tasks.apply("gold")
    assert api.objects[APP]["spec"]["suspend"] is True
