"""The guarantees of the jobs: two drivers never write one table, and no hold of another owner is touched."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.dags.fake_api import CORE, FakeApi, set_state
from tests.dags.job_run import JobRun
from tests.dags.observations import driver
from tweet_dags.table_jobs.definitions import JOBS, TableJob

pytestmark = pytest.mark.airflow

# A job, and another job on the same tables.
PAIRS = [(job, other) for job in JOBS for other in JOBS if job != other and job.stream == other.stream]
pairs = pytest.mark.parametrize(("job", "other"), PAIRS, ids=lambda job: job.application)


def assert_refused(run: JobRun, message: str) -> None:
    """Assert that each step up to the job is refused and that nothing is applied."""
    from airflow.sdk.exceptions import AirflowFailException

    for step in (run.suspend, run.stopped, run.finished):
        with pytest.raises(AirflowFailException, match=message):
            step()
    assert run.application not in run.api.objects


def test_a_hold_of_a_person_stops_the_job(run: JobRun) -> None:
    from tweet_dags import operate

    operate.operate(run.job.stream, "stop", "disk is full", "ann")
    assert_refused(run, r"held by operate-stream.*disk is full")
    assert run.hold["owner"] == "operate-stream"


@pairs
def test_a_second_job_of_a_stream_is_refused_with_the_owner(api: FakeApi, job: TableJob, other: TableJob) -> None:
    first, second = JobRun(api, job), JobRun(api, other)
    first.run_stream()
    first.start_job()
    assert_refused(second, f"held by {job.owner}.*one version for all.*trigger {other.dag} again")
    assert first.hold["owner"] == job.owner and first.write_verbs() == ["PATCH"]
    # The last step of the refused run releases no hold of the other.
    assert second.resumed() is True and first.hold["owner"] == job.owner
    assert api.objects[first.stream]["spec"]["suspend"] is True


@pairs
@pytest.mark.parametrize("application", [True, False], ids=["application", "pod"])
def test_no_job_is_applied_while_objects_of_another_job_remain(
    api: FakeApi, job: TableJob, other: TableJob, application: bool
) -> None:
    """Someone has removed the hold of the first job and left its objects."""
    from airflow.sdk.exceptions import AirflowFailException

    first, second = JobRun(api, job), JobRun(api, other)
    first.run_stream()
    first.start_job()
    annotations = api.objects[first.stream]["metadata"]["annotations"]
    del annotations["tweet-sentiment/hold"]
    api.objects["/api/v1/namespaces/tweets/configmaps/stream-applications"]["metadata"]["annotations"].clear()
    if not application:
        del api.objects[first.application]
    second.suspend()
    assert second.stopped() is True
    with pytest.raises(AirflowFailException, match=f"delete the SparkApplication {job.application}"):
        second.finished()
    assert second.application not in api.objects and second.hold["owner"] == other.owner
    api.objects.pop(first.application, None)
    del api.objects[first.pod]
    assert second.finished() is False and second.application in api.objects


@pytest.mark.parametrize("state", ["PENDING_RERUN", "FAILING", "SUBMITTED", "SUSPENDING"])
def test_a_suspended_stream_is_not_stopped_while_the_operator_may_submit(api: FakeApi, run: JobRun, state: str) -> None:
    run.stop_stream()
    set_state(api, state, run.stream)
    assert run.stopped() is False
    assert run.finished() is False and run.application not in api.objects


def test_a_stream_is_suspended_after_a_submission_without_keep_streams_running(api: FakeApi, run: JobRun) -> None:
    set_state(api, "PENDING_RERUN", run.stream)
    assert "suspending it after the submission" in run.suspend()
    assert run.stopped() is False and "suspend" not in api.objects[run.stream]["spec"]
    set_state(api, "RUNNING", run.stream)
    assert run.stopped() is False and api.objects[run.stream]["spec"]["suspend"] is True


def test_a_stream_without_an_application_is_stopped_once_its_pods_are_gone(api: FakeApi, run: JobRun) -> None:
    run.suspend()
    del api.objects[run.stream]
    assert run.stopped() is False
    del api.objects[run.stream_pod]
    assert run.stopped() is True


@pytest.mark.parametrize("role", ["driver", "executor"])
def test_no_job_is_applied_while_a_pod_of_the_stream_remains(api: FakeApi, run: JobRun, role: str) -> None:
    run.stop_stream()
    made = driver(name=run.job.stream)
    made["metadata"]["labels"]["spark-role"] = role
    api.put(f"{CORE}/pods/{run.job.stream}-{role}", made)
    assert run.finished() is False and run.application not in api.objects


def test_a_lost_node_is_reported_and_nothing_is_ended_by_force(api: FakeApi, run: JobRun) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    run.suspend()
    api.objects[run.stream_pod]["status"] = {"reason": "NodeLost"}
    with pytest.raises(AirflowFailException, match="may still write"):
        run.stopped()
    del api.objects[run.stream_pod]
    set_state(api, "SUSPENDED", run.stream)
    run.finished()
    run.put_driver(reason="NodeLost")
    for state in ("RUNNING", "UNKNOWN"):
        set_state(api, state, run.application)
        with pytest.raises(AirflowFailException, match="may still write"):
            run.finished()
    assert run.write_verbs() == ["PATCH"] and run.write_verbs(f"{run.job.application}-driver") == []
    assert run.hold


def test_a_person_may_give_up_a_job_once_none_of_its_objects_remain(api: FakeApi, run: JobRun) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import operate

    run.start_job()
    del api.objects[run.stream]["metadata"]["annotations"]["tweet-sentiment/hold"]
    name, stream = run.job.application, run.job.stream

    def assert_refused(action: str, message: str) -> None:
        with pytest.raises(AirflowFailException, match=f"{run.job.owner}.*{message}"):
            operate.operate(stream, action, "impatient", "bob")

    assert_refused("stop", "")
    assert_refused("restart", "")
    assert_refused("start", rf"SparkApplication {name} still exists \(RUNNING\): trigger {run.job.dag} to continue")
    del api.objects[run.application]
    assert_refused("start", f"1 of the pods of {name} are still terminating")
    del api.objects[run.pod]
    assert "resuming it" in operate.operate(stream, "start", "it takes too long", "bob")
    assert run.hold is None and "suspend" not in api.objects[run.stream]["spec"]


@pairs
def test_a_stream_is_not_started_while_objects_of_another_job_remain(
    api: FakeApi, job: TableJob, other: TableJob
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import operate

    held, left = JobRun(api, job), JobRun(api, other)
    held.run_stream()
    held.stop_stream()
    left.put_driver()
    with pytest.raises(AirflowFailException, match=f"1 of the pods of {other.application} are still terminating"):
        operate.operate(job.stream, "start", "impatient", None)
    assert held.hold["owner"] == job.owner


def test_a_stream_is_not_resumed_while_a_pod_of_the_job_is_on_a_lost_node(api: FakeApi, run: JobRun) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    run.start_job()
    set_state(api, "COMPLETED", run.application)
    assert run.resumed() is False
    overdue = datetime.now(UTC) - timedelta(minutes=5)
    api.objects[run.pod]["metadata"]["deletionTimestamp"] = overdue.isoformat()
    with pytest.raises(AirflowFailException, match="may still write"):
        run.resumed()
    assert run.hold


def test_a_write_that_conflicts_with_the_operator_is_retried_at_the_next_poll(api: FakeApi, run: JobRun) -> None:
    """The operator updates the status of an application between the read and the write."""

    def set_state_before(verb: str, path: str, state: str) -> None:
        api.before[verb] = lambda: set_state(api, state, path)

    set_state(api, "PENDING_RERUN", run.stream)
    run.suspend()
    set_state(api, "RUNNING", run.stream)
    set_state_before("PATCH", run.stream, "FAILING")
    assert run.stopped() is False and "suspend" not in api.objects[run.stream]["spec"]
    assert run.stopped() is False and api.objects[run.stream]["spec"]["suspend"] is True
    set_state(api, "SUSPENDED", run.stream)
    del api.objects[run.stream_pod]
    run.finished()
    set_state_before("DELETE", run.application, "RUNNING")
    assert run.resumed() is False and run.application in api.objects
    assert run.resumed() is False and run.application not in api.objects
