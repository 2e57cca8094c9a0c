"""The tasks of `rescore_gold` against an API server, and the life of its job."""

import pytest

from tests.dags.fake_api import APP, CONFIG_MAP, CORE, HOLD, POD, FakeApi, set_state, stored
from tests.dags.observations import executor
from tests.dags.rescore_steps import JOB, JOB_POD, PROGRESS_LINE, put_driver, run_job, stop_gold, write_verbs

pytestmark = pytest.mark.airflow


def test_a_rescore_from_suspend_to_resume(api: FakeApi) -> None:
    from tweet_dags import rescore
    from tweet_dags.reconcile import tasks

    assert "suspending it" in rescore.suspend_gold("one version for all", "ann")
    hold = stored(api, "hold")
    assert (hold["owner"], hold["reason"]) == ("rescore-gold", "one version for all (ann)")
    assert api.objects[APP]["spec"]["suspend"] is True
    # The operator reports SUSPENDED before the pods end. A finished executor of a killed driver does not count.
    set_state(api, "SUSPENDED")
    api.put(f"{CORE}/pods/gold-exec-1", executor("Succeeded", owner="killed"))
    assert rescore.gold_stopped() is False
    del api.objects[POD]
    assert rescore.gold_stopped() is True

    assert rescore.rescore_finished("2026-01-31", "run-1") is False
    job = api.objects[JOB]
    assert job["spec"]["arguments"] == ["rescore", "--since", "2026-01-31"]
    assert job["metadata"]["ownerReferences"][0]["uid"] == api.objects[CONFIG_MAP]["metadata"]["uid"]
    put_driver(api, JOB_POD)
    for state in ("SUBMITTED", "RUNNING", "SUCCEEDING"):
        set_state(api, state, JOB)
        assert rescore.rescore_finished("2026-01-31", "run-1") is False
    assert "held by rescore-gold" in tasks.apply("gold") and api.objects[APP]["spec"]["suspend"] is True
    set_state(api, "COMPLETED", JOB)
    assert rescore.rescore_finished("2026-01-31", "run-1") is True
    assert write_verbs(api, "rescore") == ["PATCH"]

    assert rescore.gold_resumed() is False
    assert JOB not in api.objects
    # The pod of the job's driver is deleted with the job, a moment later.
    assert rescore.gold_resumed() is False and stored(api, "hold")
    del api.objects[JOB_POD]
    assert rescore.gold_resumed() is True
    assert stored(api, "hold") is None and "suspend" not in api.objects[APP]["spec"]
    assert rescore.gold_resumed() is True


def test_each_poll_logs_the_last_line_of_the_driver(api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    from tweet_dags import rescore

    run_job(api)
    with caplog.at_level("INFO"):
        rescore.rescore_finished(None, "run-1")
    assert PROGRESS_LINE in caplog.text and "starting" not in caplog.text


def test_a_failed_job_is_reported_and_started_again(api: FakeApi) -> None:
    from airflow.sdk.exceptions import AirflowException

    from tweet_dags import rescore

    run_job(api)
    api.logs[JOB_POD] = "".join(f"line {number}\n" for number in range(40)) + "error: written by another process"
    set_state(api, "FAILED", JOB)
    api.objects[JOB]["status"]["applicationState"]["errorMessage"] = "driver container failed with exit code 2"
    with pytest.raises(AirflowException, match=r"(?s)exit code 2.*line 39\nerror: written by another") as failure:
        rescore.rescore_finished(None, "run-1")
    assert "line 20\n" not in str(failure.value)
    assert JOB not in api.objects and stored(api, "hold")["owner"] == "rescore-gold"
    assert rescore.rescore_finished(None, "run-1") is False and JOB not in api.objects
    del api.objects[JOB_POD]
    assert rescore.rescore_finished(None, "run-1") is False and JOB in api.objects


def test_a_new_run_follows_the_job_of_an_earlier_run_and_then_scores_again(api: FakeApi) -> None:
    """Another model may be in production since the earlier run started its job."""
    from tweet_dags import rescore

    run_job(api, "run-1")
    assert "held by rescore-gold" in rescore.suspend_gold("once more", "bob")
    assert stored(api, "hold")["reason"].endswith("(ann)")
    assert rescore.gold_stopped() is True
    assert rescore.rescore_finished(None, "run-2") is False and write_verbs(api, "rescore") == ["PATCH"]
    set_state(api, "COMPLETED", JOB)
    assert rescore.rescore_finished(None, "run-2") is False and JOB not in api.objects
    del api.objects[JOB_POD]
    rescore.rescore_finished(None, "run-2")
    set_state(api, "COMPLETED", JOB)
    assert rescore.rescore_finished(None, "run-2") is True


def test_a_job_is_deleted_once_the_rescore_no_longer_holds_gold(api: FakeApi) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import rescore

    run_job(api)
    del api.objects[CONFIG_MAP]["metadata"]["annotations"][HOLD]
    del api.objects[APP]["metadata"]["annotations"]["tweet-sentiment/hold"]
    with pytest.raises(AirflowFailException, match="gold is not held"):
        rescore.rescore_finished(None, "run-1")
    assert JOB not in api.objects


def test_an_invalid_first_day_applies_nothing(api: FakeApi) -> None:
    from tweet_dags import rescore

    stop_gold(api)
    with pytest.raises(ValueError, match="Invalid isoformat"):
        rescore.rescore_finished("2026-01-01; rm", "run-1")
    assert JOB not in api.objects
