"""The tasks of rescore_gold against an API server, with the operator played by the test."""

import copy
import importlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.dags.api import APP, CORE, GROUP, MAP, POD, Api
from tests.dags.facts import APP_NAME, driver, executor

pytestmark = pytest.mark.airflow

JOB, JOB_POD = f"{GROUP}/sparkapplications/rescore", f"{CORE}/pods/rescore-driver"
HOLD = "tweet-sentiment/hold-gold"
LINE = '{"event": "rescored", "part": 1, "parts": 3}'


def state(api: Api, path: str, name: str, **status: Any) -> None:
    api.objects[path].setdefault("status", {})
    api.objects[path]["status"] |= {"applicationState": {"state": name}, **status}
    api.touch(path)


def hold(api: Api) -> Any:
    return json.loads(api.objects[MAP]["metadata"].get("annotations", {}).get(HOLD, "null"))


def pod(api: Api, path: str, **status: Any) -> None:
    """Let the operator have submitted an application: its driver is there."""
    made = driver(uid=f"pod-{api.version}", **status)
    name = path.rsplit("/", 1)[-1]
    made["metadata"] |= {"name": name, "labels": made["metadata"]["labels"] | {APP_NAME: name.removesuffix("-driver")}}
    api.put(path, made)


def writes(api: Api, name: str) -> list[str]:
    return [verb for verb, of, _, _ in api.writes if of == name]


def stopped(api: Api) -> None:
    """Bring a rescore so far that nothing of Gold is left."""
    from tweet_dags import rescore

    rescore.held("one version for all", "ann")
    state(api, APP, "SUSPENDED")
    del api.objects[POD]
    assert rescore.quiet() is True


def running(api: Api, run: str = "run-1") -> None:
    """Bring it so far that the driver of the job is at work."""
    from tweet_dags import rescore

    stopped(api)
    assert rescore.rescored(None, run) is False
    pod(api, JOB_POD)
    state(api, JOB, "RUNNING")
    api.logs[JOB_POD] = f"starting\n{LINE}"


def test_from_beginning_to_end(api: Api) -> None:
    from tweet_dags import keep, rescore

    assert "suspended" in rescore.held("one version for all", "ann")
    assert (hold(api)["owner"], hold(api)["reason"]) == ("rescore-gold", "one version for all (ann)")
    assert api.objects[APP]["spec"]["suspend"] is True
    # The state comes before the end of the pods. An executor that a killed driver has left is no such pod.
    state(api, APP, "SUSPENDED")
    api.put(f"{CORE}/pods/gold-exec-1", executor("Succeeded", owner="killed"))
    assert rescore.quiet() is False
    del api.objects[POD]
    assert rescore.quiet() is True

    assert rescore.rescored("2026-01-31", "run-1") is False
    job = api.objects[JOB]
    assert job["spec"]["arguments"] == ["rescore", "--since", "2026-01-31"]
    assert job["metadata"]["ownerReferences"][0]["uid"] == api.objects[MAP]["metadata"]["uid"]
    pod(api, JOB_POD)
    for name in ("SUBMITTED", "RUNNING", "SUCCEEDING"):
        state(api, JOB, name)
        assert rescore.rescored("2026-01-31", "run-1") is False
    assert "held by rescore-gold" in keep.applied("gold") and api.objects[APP]["spec"]["suspend"] is True
    state(api, JOB, "COMPLETED")
    assert rescore.rescored("2026-01-31", "run-1") is True
    assert writes(api, "rescore") == ["PATCH"]

    assert rescore.resumed() is False
    assert JOB not in api.objects
    # Its driver has ended, and goes with it.
    assert rescore.resumed() is False and hold(api)
    del api.objects[JOB_POD]
    assert rescore.resumed() is True
    assert hold(api) is None and "suspend" not in api.objects[APP]["spec"]
    assert rescore.resumed() is True


def test_the_log_has_the_last_line_of_the_driver(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    from tweet_dags import rescore

    running(api)
    with caplog.at_level("INFO"):
        rescore.rescored(None, "run-1")
    assert LINE in caplog.text and "starting" not in caplog.text


def test_what_somebody_else_holds_is_left_to_them(api: Api) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import operate, rescore

    operate.operate("gold", "stop", "disk is full", "ann")
    for step in (lambda: rescore.held("history", None), rescore.quiet, lambda: rescore.rescored(None, "run-1")):
        with pytest.raises(AirflowFailException, match=r"held by operate-stream.*disk is full"):
            step()
    assert hold(api)["owner"] == "operate-stream" and JOB not in api.objects


@pytest.mark.parametrize("name", ["PENDING_RERUN", "FAILING", "SUBMITTED", "SUSPENDING"])
def test_suspended_is_not_yet_quiet_while_the_operator_may_submit(api: Api, name: str) -> None:
    from tweet_dags import rescore

    stopped(api)
    state(api, APP, name)
    assert rescore.quiet() is False
    assert rescore.rescored(None, "run-1") is False and JOB not in api.objects


def test_a_hold_during_a_submission_is_carried_out_after_it_without_the_keeper(api: Api) -> None:
    from tweet_dags import rescore

    state(api, APP, "PENDING_RERUN")
    assert "once its submission is over" in rescore.held("history", None)
    assert rescore.quiet() is False and "suspend" not in api.objects[APP]["spec"]
    state(api, APP, "RUNNING")
    assert rescore.quiet() is False and api.objects[APP]["spec"]["suspend"] is True


def test_without_an_application_gold_is_quiet_once_its_pods_are_gone(api: Api) -> None:
    from tweet_dags import rescore

    rescore.held("history", None)
    del api.objects[APP]
    assert rescore.quiet() is False
    del api.objects[POD]
    assert rescore.quiet() is True


@pytest.mark.parametrize("executor", [False, True])
def test_no_job_is_applied_while_a_pod_of_gold_is_there(api: Api, executor: bool) -> None:
    from tweet_dags import rescore

    stopped(api)
    path = f"{CORE}/pods/gold-exec-1" if executor else POD
    made = driver()
    made["metadata"] |= {"name": path.rsplit("/", 1)[-1]}
    made["metadata"]["labels"]["spark-role"] = "executor" if executor else "driver"
    api.put(path, made)
    assert rescore.rescored(None, "run-1") is False and JOB not in api.objects


def test_a_lost_node_is_told_and_nothing_is_forced(api: Api) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import rescore

    rescore.held("history", None)
    api.objects[POD]["status"] = {"reason": "NodeLost"}
    with pytest.raises(AirflowFailException, match="may still write"):
        rescore.quiet()
    del api.objects[POD]
    state(api, APP, "SUSPENDED")
    rescore.rescored(None, "run-1")
    pod(api, JOB_POD, reason="NodeLost")
    for name in ("RUNNING", "UNKNOWN"):
        state(api, JOB, name)
        with pytest.raises(AirflowFailException, match="may still write"):
            rescore.rescored(None, "run-1")
    assert writes(api, "rescore") == ["PATCH"] and writes(api, "rescore-driver") == []
    assert hold(api)


def test_a_job_that_has_failed_is_told_and_made_anew(api: Api) -> None:
    from airflow.sdk.exceptions import AirflowException

    from tweet_dags import rescore

    running(api)
    api.logs[JOB_POD] = "".join(f"line {number}\n" for number in range(40)) + "error: written by another process"
    state(api, JOB, "FAILED")
    api.objects[JOB]["status"]["applicationState"]["errorMessage"] = "driver container failed with exit code 2"
    with pytest.raises(AirflowException, match=r"(?s)exit code 2.*line 39\nerror: written by another") as told:
        rescore.rescored(None, "run-1")
    assert "line 20\n" not in str(told.value)
    assert JOB not in api.objects and hold(api)["owner"] == "rescore-gold"
    assert rescore.rescored(None, "run-1") is False and JOB not in api.objects
    del api.objects[JOB_POD]
    assert rescore.rescored(None, "run-1") is False and JOB in api.objects


def test_another_run_goes_on_with_the_job_and_does_not_take_its_word(api: Api) -> None:
    """The model in production may be another one since: what an earlier run has finished is done once more."""
    from tweet_dags import rescore

    running(api, "run-1")
    assert "held by rescore-gold" in rescore.held("once more", "bob") and hold(api)["reason"].endswith("(ann)")
    assert rescore.quiet() is True
    assert rescore.rescored(None, "run-2") is False and writes(api, "rescore") == ["PATCH"]
    state(api, JOB, "COMPLETED")
    assert rescore.rescored(None, "run-2") is False and JOB not in api.objects
    del api.objects[JOB_POD]
    rescore.rescored(None, "run-2")
    state(api, JOB, "COMPLETED")
    assert rescore.rescored(None, "run-2") is True


def test_a_job_without_the_hold_is_ended(api: Api) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import rescore

    running(api)
    del api.objects[MAP]["metadata"]["annotations"][HOLD]
    del api.objects[APP]["metadata"]["annotations"]["tweet-sentiment/hold"]
    with pytest.raises(AirflowFailException, match="held by nobody"):
        rescore.rescored(None, "run-1")
    assert JOB not in api.objects


def test_a_day_that_is_none_applies_nothing(api: Api) -> None:
    from tweet_dags import rescore

    stopped(api)
    with pytest.raises(ValueError, match="Invalid isoformat"):
        rescore.rescored("2026-01-01; rm", "run-1")
    assert JOB not in api.objects


def test_a_person_may_give_a_rescore_up_once_nothing_of_it_is_left(api: Api) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import operate

    running(api)
    del api.objects[APP]["metadata"]["annotations"]["tweet-sentiment/hold"]

    def refused(action: str, says: str) -> None:
        with pytest.raises(AirflowFailException, match=f"rescore-gold.*{says}"):
            operate.operate("gold", action, "impatient", "bob")

    refused("stop", "")
    refused("restart", "")
    refused("start", r"SparkApplication rescore is there \(RUNNING\)")
    del api.objects[JOB]
    refused("start", "1 of the pods of rescore are still going")
    del api.objects[JOB_POD]
    assert "resumed" in operate.operate("gold", "start", "it takes too long", "bob")
    assert hold(api) is None and "suspend" not in api.objects[APP]["spec"]


def test_gold_is_not_resumed_while_a_pod_of_the_job_is_lost(api: Api) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import rescore

    running(api)
    state(api, JOB, "COMPLETED")
    assert rescore.resumed() is False
    late = datetime.now(UTC) - timedelta(minutes=5)
    api.objects[JOB_POD]["metadata"]["deletionTimestamp"] = late.isoformat()
    with pytest.raises(AirflowFailException, match="may still write"):
        rescore.resumed()
    assert hold(api)


def test_writes_that_come_too_late_are_tried_again(api: Api) -> None:
    """The operator writes the state of an application between a look and a write."""
    from tweet_dags import rescore

    def faster(verb: str, path: str, name: str) -> None:
        api.before[verb] = lambda: state(api, path, name)

    state(api, APP, "PENDING_RERUN")
    rescore.held("history", None)
    state(api, APP, "RUNNING")
    faster("PATCH", APP, "FAILING")
    assert rescore.quiet() is False and "suspend" not in api.objects[APP]["spec"]
    assert rescore.quiet() is False and api.objects[APP]["spec"]["suspend"] is True
    state(api, APP, "SUSPENDED")
    del api.objects[POD]
    rescore.rescored(None, "run-1")
    faster("DELETE", JOB, "RUNNING")
    assert rescore.resumed() is False and JOB in api.objects
    assert rescore.resumed() is False and JOB not in api.objects


@pytest.mark.parametrize("given", [{}, {"reason": "history", "since": "soon"}, {"reason": "x", "since": "2026-01-31"}])
def test_the_form_refuses(given: dict[str, str]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        filled(given)


def test_the_form_takes_a_day_or_none() -> None:
    assert filled({"reason": "history"})["since"] is None
    assert filled({"reason": "history", "since": "2026-01-31"})["since"] == "2026-01-31"


def filled(given: dict[str, str]) -> Any:
    """Return what the tasks are given of a form that was filled in so."""
    params = copy.deepcopy(importlib.import_module("rescore_gold").dag.params)
    params.update(given)
    return params.validate()
