"""The task of `operate_stream` against an API server: stop, start and restart."""

import json

import pytest

from tests.dags.fake_api import APP, CONFIG_MAP, HOLD, POD, FakeApi, set_state, stored, stream_writes
from tests.dags.observations import driver
from tweet_dags.reconcile.actions import Status

pytestmark = pytest.mark.airflow


def test_a_driver_that_was_replaced_since_it_was_read_is_not_ended(api: FakeApi) -> None:
    from tweet_dags import operate
    from tweet_dags.kubernetes.writes import ConflictError

    api.before["DELETE"] = lambda: api.put(POD, driver(uid="next"))
    with pytest.raises(ConflictError):
        operate.operate("gold", "restart", "to see", None)
    assert POD in api.objects


def test_a_stop_survives_the_deletion_of_the_application_until_a_start(api: FakeApi) -> None:
    from tweet_dags import operate
    from tweet_dags.reconcile import tasks

    assert "suspending it" in operate.operate("gold", "stop", "disk is full", "ann")
    assert stored(api, "hold")["reason"] == "disk is full (ann)"
    assert api.objects[APP]["spec"]["suspend"] is True
    del api.objects[APP], api.objects[POD]
    assert "disk is full" in tasks.reconcile("gold").reason and APP not in api.objects
    # The start applies the application itself, without waiting for the next run of `keep_streams_running`.
    assert "applying it" in operate.operate("gold", "start", "disk is larger", "ann")
    assert HOLD not in api.objects[CONFIG_MAP]["metadata"]["annotations"]
    assert "suspend" not in api.objects[APP]["spec"]


def test_a_start_reports_the_actions_that_it_leaves_to_keep_streams_running(api: FakeApi) -> None:
    from tweet_dags import operate

    operate.operate("gold", "stop", "disk is full", None)
    set_state(api, "SUSPENDED")
    manifests = api.objects[CONFIG_MAP]["data"]
    manifests["gold.yaml"] = manifests["gold.yaml"].replace("aaaa", "bbbb")
    assert "left to keep_streams_running" in operate.operate("gold", "start", "disk is larger", None)
    assert APP in api.objects


def test_a_stop_during_a_submission_is_carried_out_afterwards(api: FakeApi) -> None:
    from tweet_dags import operate
    from tweet_dags.reconcile import tasks

    set_state(api, "PENDING_RERUN")
    assert "suspending it after the submission" in operate.operate("gold", "stop", "disk is full", None)
    assert stream_writes(api) == []
    set_state(api, "RUNNING")
    tasks.reconcile("gold")
    assert api.objects[APP]["spec"]["suspend"] is True
    copy = json.loads(api.objects[APP]["metadata"]["annotations"]["tweet-sentiment/hold"])
    assert copy["reason"] == "disk is full"
    operate.operate("gold", "start", "disk is larger", None)
    assert "suspend" not in api.objects[APP]["spec"]
    assert "tweet-sentiment/hold" not in api.objects[APP]["metadata"]["annotations"]


def test_a_stream_held_by_another_owner_is_refused(api: FakeApi) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import operate

    hold = json.dumps({"owner": "another-team", "reason": "history"})
    for path, key in ((CONFIG_MAP, HOLD), (APP, "tweet-sentiment/hold")):
        annotations = api.objects[path]["metadata"].setdefault("annotations", {})
        annotations[key] = hold
        for action in ("start", "stop", "restart"):
            with pytest.raises(AirflowFailException, match="another-team"):
                operate.operate("gold", action, "impatient", None)
        del annotations[key]
    assert api.writes == []


def test_a_stop_does_not_overwrite_a_concurrent_hold(api: FakeApi) -> None:
    from tweet_dags import operate
    from tweet_dags.kubernetes.writes import ConflictError

    def hold_for_rescore() -> None:
        hold = json.dumps({"owner": "rescore-gold", "reason": "history"})
        api.objects[CONFIG_MAP]["metadata"].setdefault("annotations", {})[HOLD] = hold
        api.touch(CONFIG_MAP)

    api.before["PATCH"] = hold_for_rescore
    with pytest.raises(ConflictError):
        operate.operate("gold", "stop", "disk is full", None)
    assert stored(api, "hold")["owner"] == "rescore-gold"


def test_a_driver_on_a_lost_node_is_restarted_neither_by_a_person_nor_by_the_dag(api: FakeApi) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import operate
    from tweet_dags.reconcile import tasks

    api.objects[POD]["status"] = {"reason": "NodeLost"}
    with pytest.raises(AirflowFailException, match="may still be writing"):
        operate.operate("gold", "restart", "to see", None)
    outcome = tasks.reconcile("gold")
    assert outcome.status is Status.ALERT and "may still be writing" in outcome.reason
    assert stream_writes(api) == []
