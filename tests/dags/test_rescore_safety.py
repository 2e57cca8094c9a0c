"""The guarantees of `rescore_gold`: two drivers never write one table, and no hold of another owner is touched."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.dags.fake_api import APP, CORE, POD, FakeApi, set_state, stored
from tests.dags.observations import driver
from tests.dags.rescore_steps import JOB, JOB_POD, put_driver, run_job, stop_gold, write_verbs

pytestmark = pytest.mark.airflow


def test_a_hold_of_another_owner_stops_the_rescore(api: FakeApi) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import operate, rescore

    operate.operate("gold", "stop", "disk is full", "ann")
    for task in (
        lambda: rescore.suspend_gold("history", None),
        rescore.gold_stopped,
        lambda: rescore.rescore_finished(None, "run-1"),
    ):
        with pytest.raises(AirflowFailException, match=r"held by operate-stream.*disk is full"):
            task()
    assert stored(api, "hold")["owner"] == "operate-stream" and JOB not in api.objects


@pytest.mark.parametrize("state", ["PENDING_RERUN", "FAILING", "SUBMITTED", "SUSPENDING"])
def test_a_suspended_gold_is_not_stopped_while_the_operator_may_submit(api: FakeApi, state: str) -> None:
    from tweet_dags import rescore

    stop_gold(api)
    set_state(api, state)
    assert rescore.gold_stopped() is False
    assert rescore.rescore_finished(None, "run-1") is False and JOB not in api.objects


def test_gold_is_suspended_after_a_submission_without_keep_streams_running(api: FakeApi) -> None:
    from tweet_dags import rescore

    set_state(api, "PENDING_RERUN")
    assert "suspending it after the submission" in rescore.suspend_gold("history", None)
    assert rescore.gold_stopped() is False and "suspend" not in api.objects[APP]["spec"]
    set_state(api, "RUNNING")
    assert rescore.gold_stopped() is False and api.objects[APP]["spec"]["suspend"] is True


def test_gold_without_an_application_is_stopped_once_its_pods_are_gone(api: FakeApi) -> None:
    from tweet_dags import rescore

    rescore.suspend_gold("history", None)
    del api.objects[APP]
    assert rescore.gold_stopped() is False
    del api.objects[POD]
    assert rescore.gold_stopped() is True


@pytest.mark.parametrize("executor", [False, True])
def test_no_job_is_applied_while_a_pod_of_gold_remains(api: FakeApi, executor: bool) -> None:
    from tweet_dags import rescore

    stop_gold(api)
    path = f"{CORE}/pods/gold-exec-1" if executor else POD
    made = driver()
    made["metadata"] |= {"name": path.rsplit("/", 1)[-1]}
    made["metadata"]["labels"]["spark-role"] = "executor" if executor else "driver"
    api.put(path, made)
    assert rescore.rescore_finished(None, "run-1") is False and JOB not in api.objects


def test_a_lost_node_is_reported_and_nothing_is_ended_by_force(api: FakeApi) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import rescore

    rescore.suspend_gold("history", None)
    api.objects[POD]["status"] = {"reason": "NodeLost"}
    with pytest.raises(AirflowFailException, match="may still write"):
        rescore.gold_stopped()
    del api.objects[POD]
    set_state(api, "SUSPENDED")
    rescore.rescore_finished(None, "run-1")
    put_driver(api, JOB_POD, reason="NodeLost")
    for state in ("RUNNING", "UNKNOWN"):
        set_state(api, state, JOB)
        with pytest.raises(AirflowFailException, match="may still write"):
            rescore.rescore_finished(None, "run-1")
    assert write_verbs(api, "rescore") == ["PATCH"] and write_verbs(api, "rescore-driver") == []
    assert stored(api, "hold")


def test_a_person_may_give_up_a_rescore_once_none_of_its_objects_remain(api: FakeApi) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import operate

    run_job(api)
    del api.objects[APP]["metadata"]["annotations"]["tweet-sentiment/hold"]

    def assert_refused(action: str, message: str) -> None:
        with pytest.raises(AirflowFailException, match=f"rescore-gold.*{message}"):
            operate.operate("gold", action, "impatient", "bob")

    assert_refused("stop", "")
    assert_refused("restart", "")
    assert_refused("start", r"SparkApplication rescore still exists \(RUNNING\)")
    del api.objects[JOB]
    assert_refused("start", "1 of the pods of rescore are still terminating")
    del api.objects[JOB_POD]
    assert "resuming it" in operate.operate("gold", "start", "it takes too long", "bob")
    assert stored(api, "hold") is None and "suspend" not in api.objects[APP]["spec"]


def test_gold_is_not_resumed_while_a_pod_of_the_job_is_on_a_lost_node(api: FakeApi) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import rescore

    run_job(api)
    set_state(api, "COMPLETED", JOB)
    assert rescore.gold_resumed() is False
    overdue = datetime.now(UTC) - timedelta(minutes=5)
    api.objects[JOB_POD]["metadata"]["deletionTimestamp"] = overdue.isoformat()
    with pytest.raises(AirflowFailException, match="may still write"):
        rescore.gold_resumed()
    assert stored(api, "hold")


def test_a_write_that_conflicts_with_the_operator_is_retried_at_the_next_poll(api: FakeApi) -> None:
    """The operator updates the status of an application between the read and the write."""
    from tweet_dags import rescore

    def set_state_before(verb: str, path: str, state: str) -> None:
        api.before[verb] = lambda: set_state(api, state, path)

    set_state(api, "PENDING_RERUN")
    rescore.suspend_gold("history", None)
    set_state(api, "RUNNING")
    set_state_before("PATCH", APP, "FAILING")
    assert rescore.gold_stopped() is False and "suspend" not in api.objects[APP]["spec"]
    assert rescore.gold_stopped() is False and api.objects[APP]["spec"]["suspend"] is True
    set_state(api, "SUSPENDED")
    del api.objects[POD]
    rescore.rescore_finished(None, "run-1")
    set_state_before("DELETE", JOB, "RUNNING")
    assert rescore.gold_resumed() is False and JOB in api.objects
    assert rescore.gold_resumed() is False and JOB not in api.objects
