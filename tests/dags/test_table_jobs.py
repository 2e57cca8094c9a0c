"""The steps of the jobs on the tables of a stopped stream against an API server."""

import pytest

from tests.dags.fake_api import CONFIG_MAP, CORE, FakeApi, hold_key, set_state
from tests.dags.job_run import PROGRESS_LINE, JobRun
from tests.dags.observations import executor
from tweet_dags.table_jobs.definitions import reason_arguments, since_arguments

pytestmark = pytest.mark.airflow

OWNERS = {
    "rescore": "rescore-gold",
    "rebuild-silver": "rebuild-table",
    "rebuild-gold": "rebuild-table",
    "replay": "replay-quarantine",
}


def test_a_job_from_suspend_to_resume(api: FakeApi, run: JobRun) -> None:
    from tweet_dags.reconcile import tasks

    assert "suspending it" in run.suspend("one version for all", "ann")
    owner = OWNERS[run.job.application]
    assert (run.hold["owner"], run.hold["reason"]) == (owner, "one version for all (ann)")
    assert api.objects[run.stream]["spec"]["suspend"] is True
    # The operator reports SUSPENDED before the pods end. A finished executor of a killed driver does not count.
    set_state(api, "SUSPENDED", run.stream)
    api.put(f"{CORE}/pods/{run.job.stream}-exec-1", executor("Succeeded", owner="killed", name=run.job.stream))
    assert run.stopped() is False
    del api.objects[run.stream_pod]
    assert run.stopped() is True

    since = ["--since", "2026-01-31"]
    assert run.finished(arguments=since) is False
    job = api.objects[run.application]
    assert job["spec"]["arguments"] == [run.job.application, *since]
    assert job["metadata"]["ownerReferences"][0]["uid"] == api.objects[CONFIG_MAP]["metadata"]["uid"]
    run.put_driver()
    for state in ("SUBMITTED", "RUNNING", "SUCCEEDING"):
        set_state(api, state, run.application)
        assert run.finished() is False
    assert f"held by {owner}" in tasks.reconcile(run.job.stream).reason
    assert api.objects[run.stream]["spec"]["suspend"] is True
    set_state(api, "COMPLETED", run.application)
    assert run.finished() is True
    assert run.write_verbs() == ["PATCH"]

    assert run.resumed() is False
    assert run.application not in api.objects
    # The pod of the job's driver is deleted with the job, a moment later.
    assert run.resumed() is False and run.hold
    del api.objects[run.pod]
    assert run.resumed() is True
    assert run.hold is None and "suspend" not in api.objects[run.stream]["spec"]
    assert run.resumed() is True


def test_each_poll_logs_the_last_line_of_the_driver(run: JobRun, caplog: pytest.LogCaptureFixture) -> None:
    run.start_job()
    with caplog.at_level("INFO"):
        run.finished()
    assert PROGRESS_LINE in caplog.text and "starting" not in caplog.text


def test_a_failed_job_is_reported_and_started_again(api: FakeApi, run: JobRun) -> None:
    from airflow.sdk.exceptions import AirflowException

    run.start_job()
    api.logs[run.pod] = "".join(f"line {number}\n" for number in range(40)) + "error: written by another process"
    set_state(api, "FAILED", run.application)
    api.objects[run.application]["status"]["applicationState"]["errorMessage"] = "container failed with exit code 2"
    with pytest.raises(AirflowException, match=r"(?s)exit code 2.*line 39\nerror: written by another") as failure:
        run.finished()
    assert "line 20\n" not in str(failure.value)
    assert run.application not in api.objects and run.hold["owner"] == run.job.owner
    assert run.finished() is False and run.application not in api.objects
    del api.objects[run.pod]
    assert run.finished() is False and run.application in api.objects


def test_a_new_run_follows_the_job_of_an_earlier_run_and_then_starts_its_own(api: FakeApi, run: JobRun) -> None:
    """Another model may be in production since the earlier run started its job, and its parameters may differ."""
    run.start_job("run-1")
    assert f"held by {run.job.owner}" in run.suspend("once more", "bob")
    assert run.hold["reason"].endswith("(ann)")
    assert run.stopped() is True
    since = ["--since", "2026-01-31"]
    assert run.finished("run-2", since) is False and run.write_verbs() == ["PATCH"]
    set_state(api, "COMPLETED", run.application)
    assert run.finished("run-2", since) is False and run.application not in api.objects
    del api.objects[run.pod]
    run.finished("run-2", since)
    assert api.objects[run.application]["spec"]["arguments"][1:] == since
    set_state(api, "COMPLETED", run.application)
    assert run.finished("run-2", since) is True


def test_a_job_is_deleted_once_its_dag_no_longer_holds_the_stream(api: FakeApi, run: JobRun) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    run.start_job()
    del api.objects[CONFIG_MAP]["metadata"]["annotations"][hold_key(run.job.stream)]
    del api.objects[run.stream]["metadata"]["annotations"]["tweet-sentiment/hold"]
    with pytest.raises(AirflowFailException, match=f"{run.job.stream} is not held"):
        run.finished()
    assert run.application not in api.objects


def test_arguments_of_a_person_are_separate_arguments() -> None:
    assert since_arguments("2026-01-31") == ["--since", "2026-01-31"]
    assert since_arguments(None) == since_arguments("") == []
    assert reason_arguments(["not_json", "cut_off"]) == ["--reason", "not_json", "--reason", "cut_off"]


@pytest.mark.parametrize("since", ["soon", "2026-01-01; rm", "--lake=/tmp", "2026-13-01"])
def test_a_first_day_that_is_not_a_date_is_refused(since: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|month"):
        since_arguments(since)


@pytest.mark.parametrize("reason", ["", "not json", "Not_json", "not_json\n", "--lake", "$(id)", "not_json;id", "nöt"])
def test_an_invalid_quarantine_reason_is_refused(reason: str) -> None:
    with pytest.raises(ValueError, match="is not a quarantine reason"):
        reason_arguments(["cut_off", reason])


def test_a_replay_without_a_quarantine_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="no quarantine reason is given"):
        reason_arguments([])
