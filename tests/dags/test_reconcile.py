"""A reconciliation by a worker process: what it writes to an API server, and which preconditions its writes carry."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.dags.fake_api import (
    APP,
    CONFIG_MAP,
    CORE,
    POD,
    FakeApi,
    edit_application,
    set_state,
    store_failures,
    stored,
    stream_writes,
)
from tests.dags.observations import driver, executor

pytestmark = pytest.mark.airflow


def test_a_missing_application_is_applied_with_the_config_map_as_its_owner(api: FakeApi) -> None:
    from tweet_dags.reconcile import tasks

    del api.objects[APP], api.objects[POD]
    assert "applying it" in tasks.reconcile("gold").reason
    (owner,) = api.objects[APP]["metadata"]["ownerReferences"]
    assert owner["uid"] == api.objects[CONFIG_MAP]["metadata"]["uid"]


def test_an_edited_application_is_deleted_after_a_dry_run_with_preconditions(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tweet_dags.reconcile import tasks

    monkeypatch.setattr(tasks, "_RECREATE_SECONDS", 0)
    edit_application(api)
    metadata = api.objects[APP]["metadata"]
    assert "edited by hand" in tasks.reconcile("gold").reason
    assert stream_writes(api) == [("PATCH", "gold", True), ("DELETE", "gold", False)]
    assert api.writes[1][2]["preconditions"] == {
        "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
    }


def test_a_recreated_application_is_applied_as_soon_as_its_pods_are_gone(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tweet_dags.reconcile import tasks

    edit_application(api)
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            del api.objects[POD]

    monkeypatch.setattr(time, "sleep", pause)
    result = tasks.reconcile("gold").reason
    assert "edited by hand" in result and result.endswith("the SparkApplication does not exist; applying it")
    assert len(pauses) == 3
    assert stream_writes(api)[-2:] == [("DELETE", "gold", False), ("PATCH", "gold", False)]
    assert api.objects[APP]["spec"]["sparkConf"]["a"] == "1"


def test_an_application_that_would_be_rejected_is_not_deleted(api: FakeApi) -> None:
    from tweet_dags.kubernetes.writes import RejectedError
    from tweet_dags.reconcile import tasks

    edit_application(api)
    api.rejection = 'Internal error occurred: failed calling webhook "mutate-sparkapplication"'
    with pytest.raises(RejectedError, match=r"stays unchanged: .*failed calling webhook"):
        tasks.reconcile("gold")
    assert APP in api.objects and stream_writes(api) == [("PATCH", "gold", True)]
    assert stored(api, "memory") is None


def test_an_application_that_changed_since_it_was_read_is_not_applied(api: FakeApi) -> None:
    """The operator submits the application between the read and the write."""
    from tweet_dags.reconcile import tasks

    api.objects[APP]["metadata"]["annotations"] = {}
    api.before["PATCH"] = lambda: set_state(api, "PENDING_RERUN")
    outcome = tasks.reconcile("gold")
    assert api.objects[APP]["metadata"]["annotations"] == {}
    assert outcome.reason == "PENDING_RERUN: the operator is working on it", "the outcome is the new plan"


def test_an_application_that_changed_since_it_was_read_is_not_deleted(api: FakeApi) -> None:
    from tweet_dags.reconcile import tasks

    edit_application(api)
    api.before["DELETE"] = lambda: set_state(api, "INVALIDATING")
    tasks.reconcile("gold")
    assert APP in api.objects


def test_the_reconcile_state_is_saved_by_the_task_that_executed_the_action(api: FakeApi) -> None:
    from tweet_dags.reconcile import tasks

    del api.objects[POD]
    set_state(api, "PENDING_RERUN")
    tasks.reconcile("gold")
    state = stored(api, "memory") | {"since": (datetime.now(UTC) - timedelta(seconds=301)).isoformat()}
    api.objects[CONFIG_MAP]["metadata"]["annotations"]["tweet-sentiment/memory-gold"] = json.dumps(state)
    assert "requeueing" in tasks.reconcile("gold").reason
    assert "tweet-sentiment/woken" in api.objects[APP]["metadata"]["annotations"]
    assert stored(api, "memory")["condition"] == "woken app"


def test_a_restart_by_a_person_is_no_failure(api: FakeApi) -> None:
    from tweet_dags import operate
    from tweet_dags.reconcile import tasks

    tasks.reconcile("gold")
    operate.operate("gold", "restart", "to see", "ann")
    assert POD not in api.objects
    # A run that was under way saves the state that it had read.
    tasks.reconcile("gold")
    api.put(POD, driver(uid="next"))
    set_state(api, "RUNNING", submissionID="two")
    tasks.reconcile("gold")
    assert stored(api, "memory")["submission"] == "two" and stored(api, "memory")["failures"] == []
    set_state(api, "RUNNING", submissionID="three")
    tasks.reconcile("gold")
    assert len(stored(api, "memory")["failures"]) == 1


def test_the_last_error_is_logged_while_failures_count(api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    from tweet_dags.reconcile import tasks

    store_failures(api)
    tasks.reconcile("gold")
    assert "the driver's last error: no room on the disk" in caplog.text
    store_failures(api, seconds_ago=())
    caplog.clear()
    tasks.reconcile("gold")
    assert caplog.messages and "no room on the disk" not in caplog.text


def test_the_executors_of_killed_drivers_are_deleted(api: FakeApi) -> None:
    from tweet_dags.reconcile import tasks

    orphaned, owned = f"{CORE}/pods/gold-exec-1", f"{CORE}/pods/gold-exec-2"
    uid = api.objects[POD]["metadata"]["uid"]
    # `executor` uses a clock in the past, so both have finished long ago.
    api.put(orphaned, executor("Succeeded", owner="killed", finished=0))
    api.put(owned, executor("Failed", owner=uid, finished=0))
    tasks.reconcile("gold")
    assert orphaned not in api.objects and owned in api.objects


def test_a_conflict_on_an_orphaned_executor_does_not_fail_the_task(api: FakeApi) -> None:
    from tweet_dags.reconcile import tasks

    orphaned = f"{CORE}/pods/gold-exec-1"
    api.put(orphaned, executor("Succeeded", owner="killed", finished=0))
    api.before["DELETE"] = lambda: api.touch(orphaned)
    tasks.reconcile("gold")
    assert orphaned in api.objects
