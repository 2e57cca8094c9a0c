"""The tasks of the DAGs against an API server: what they write, what a write is bound to, and what is left of it."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.dags.api import APP, CORE, MAP, POD, Api, note
from tests.dags.facts import driver, executor

pytestmark = pytest.mark.airflow

HOLD = "tweet-sentiment/hold-gold"


def edit(api: Api) -> None:
    api.objects[APP]["spec"]["sparkConf"]["a"] = "2"
    api.touch(APP)


def state(api: Api, name: str, **status: Any) -> None:
    api.objects[APP]["status"] |= {"applicationState": {"state": name}, **status}
    api.touch(APP)


def to_the_stream(api: Api) -> list[tuple[str, str, bool]]:
    """Return what was written but the notes: the verb, the object, dry run or not."""
    return [(verb, name, dry) for verb, name, _, dry in api.writes if name != "stream-applications"]


def often(api: Api, ago: Sequence[int] = (900, 600, 300, 10)) -> None:
    at = [(datetime.now(UTC) - timedelta(seconds=seconds)).isoformat() for seconds in ago]
    memory = {"submission": "one", "asked": "app/1", "failures": at, "error": "no room on the disk"}
    api.objects[MAP]["metadata"]["annotations"] = {"tweet-sentiment/memory-gold": json.dumps(memory)}


def test_an_application_is_applied_owned_by_the_map(api: Api) -> None:
    from tweet_dags import keep

    del api.objects[APP], api.objects[POD]
    assert "applied" in keep.applied("gold")
    (owner,) = api.objects[APP]["metadata"]["ownerReferences"]
    assert owner["uid"] == api.objects[MAP]["metadata"]["uid"]
    assert keep.behind("gold") is False


def test_an_edit_is_taken_back_by_a_deletion_of_what_was_seen_after_a_rehearsal(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tweet_dags import keep

    monkeypatch.setattr(keep, "_PATIENCE", 0)
    edit(api)
    seen = api.objects[APP]["metadata"]
    assert "edited by hand" in keep.applied("gold")
    assert to_the_stream(api) == [("PATCH", "gold", True), ("DELETE", "gold", False)]
    assert api.writes[1][2]["preconditions"] == {"uid": seen["uid"], "resourceVersion": seen["resourceVersion"]}


def test_what_is_made_anew_is_applied_as_soon_as_its_pods_are_gone(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from tweet_dags import keep

    edit(api)
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            del api.objects[POD]

    monkeypatch.setattr(time, "sleep", pause)
    said = keep.applied("gold")
    assert "edited by hand" in said and said.endswith("there is no application: applied") and len(pauses) == 3
    assert to_the_stream(api)[-2:] == [("DELETE", "gold", False), ("PATCH", "gold", False)]
    assert api.objects[APP]["spec"]["sparkConf"]["a"] == "1"


def test_nothing_is_deleted_that_could_not_be_applied_again(api: Api) -> None:
    from tweet_dags import keep
    from tweet_dags.writing import RefusedError

    edit(api)
    api.refuses = 'Internal error occurred: failed calling webhook "mutate-sparkapplication"'
    with pytest.raises(RefusedError, match=r"left as it is: .*failed calling webhook"):
        keep.applied("gold")
    assert APP in api.objects and to_the_stream(api) == [("PATCH", "gold", True)]
    assert note(api, "memory") is None


def test_what_has_changed_since_it_was_seen_is_not_applied(api: Api) -> None:
    """The operator is faster: it submits the application between the look and the write."""
    from tweet_dags import keep
    from tweet_dags.writing import ChangedError

    api.objects[APP]["metadata"]["annotations"] = {}
    api.before["PATCH"] = lambda: state(api, "PENDING_RERUN")
    with pytest.raises(ChangedError):
        keep.applied("gold")
    assert api.objects[APP]["metadata"]["annotations"] == {}


def test_what_has_changed_since_it_was_seen_is_not_deleted(api: Api) -> None:
    from tweet_dags import keep
    from tweet_dags.writing import ChangedError

    edit(api)
    api.before["DELETE"] = lambda: state(api, "INVALIDATING")
    with pytest.raises(ChangedError):
        keep.applied("gold")
    assert APP in api.objects


def test_a_driver_that_has_come_since_is_not_ended(api: Api) -> None:
    from tweet_dags import operate
    from tweet_dags.writing import ChangedError

    api.before["DELETE"] = lambda: api.put(POD, driver(uid="next"))
    with pytest.raises(ChangedError):
        operate.operate("gold", "restart", "to see", None)
    assert POD in api.objects


def test_a_stream_that_fails_too_often_is_left_down_once_with_its_error(api: Api) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import keep

    often(api)
    state(api, "FAILING")
    assert "left down" in keep.applied("gold")
    assert to_the_stream(api) == []
    assert keep.behind("gold") is True
    with pytest.raises(AirflowFailException, match="no room on the disk"):
        keep.healed("gold")
    assert note(api, "hold")["owner"] == "keep-streams-running"
    assert api.objects[APP]["spec"]["suspend"] is True
    assert "held by keep-streams-running" in keep.applied("gold")
    assert keep.behind("gold") is False


def test_what_is_left_down_is_alerted_even_where_the_operator_was_faster(api: Api) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import keep
    from tweet_dags.cluster import Cluster

    often(api)
    state(api, "FAILING")
    hold = Cluster.hold

    def slow(cluster: Cluster, *given: Any) -> Any:
        held = hold(cluster, *given)
        state(api, "PENDING_RERUN")
        return held

    with pytest.MonkeyPatch.context() as patch, pytest.raises(AirflowFailException, match="left down"):
        patch.setattr(Cluster, "hold", slow)
        keep.healed("gold")
    assert "suspend" not in api.objects[APP]["spec"]
    assert "once its submission is over" in keep.applied("gold")
    state(api, "RUNNING")
    keep.applied("gold")
    assert api.objects[APP]["spec"]["suspend"] is True


def test_a_stop_outlives_the_application_until_a_start(api: Api) -> None:
    from tweet_dags import keep, operate

    assert "suspended" in operate.operate("gold", "stop", "disk is full", "ann")
    assert note(api, "hold")["reason"] == "disk is full (ann)"
    assert api.objects[APP]["spec"]["suspend"] is True
    del api.objects[APP], api.objects[POD]
    assert "disk is full" in keep.applied("gold") and APP not in api.objects
    # It says that it is applied, and it is, without waiting for the next look.
    assert "applied" in operate.operate("gold", "start", "disk is larger", "ann")
    assert HOLD not in api.objects[MAP]["metadata"]["annotations"]
    assert "suspend" not in api.objects[APP]["spec"]


def test_a_start_does_not_claim_what_it_leaves_to_the_next_look(api: Api) -> None:
    from tweet_dags import operate

    operate.operate("gold", "stop", "disk is full", None)
    state(api, "SUSPENDED")
    api.objects[MAP]["data"]["gold.yaml"] = api.objects[MAP]["data"]["gold.yaml"].replace("aaaa", "bbbb")
    assert "left to keep_streams_running" in operate.operate("gold", "start", "disk is larger", None)
    assert APP in api.objects


def test_a_stop_while_a_submission_is_under_way_is_carried_out_after_it(api: Api) -> None:
    from tweet_dags import keep, operate

    state(api, "PENDING_RERUN")
    assert "once its submission is over" in operate.operate("gold", "stop", "disk is full", None)
    assert to_the_stream(api) == []
    state(api, "RUNNING")
    keep.applied("gold")
    assert api.objects[APP]["spec"]["suspend"] is True
    copy = json.loads(api.objects[APP]["metadata"]["annotations"]["tweet-sentiment/hold"])
    assert copy["reason"] == "disk is full"
    operate.operate("gold", "start", "disk is larger", None)
    assert "suspend" not in api.objects[APP]["spec"]
    assert "tweet-sentiment/hold" not in api.objects[APP]["metadata"]["annotations"]


def test_what_another_holds_is_not_started(api: Api) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import operate

    held = json.dumps({"owner": "another-team", "reason": "history"})
    for where, name in ((MAP, HOLD), (APP, "tweet-sentiment/hold")):
        annotations = api.objects[where]["metadata"].setdefault("annotations", {})
        annotations[name] = held
        for action in ("start", "stop", "restart"):
            with pytest.raises(AirflowFailException, match="another-team"):
                operate.operate("gold", action, "impatient", None)
        del annotations[name]
    assert api.writes == []


def test_a_hold_is_not_written_over_one_that_was_faster(api: Api) -> None:
    from tweet_dags import operate
    from tweet_dags.writing import ChangedError

    def rescore() -> None:
        held = json.dumps({"owner": "rescore-gold", "reason": "history"})
        api.objects[MAP]["metadata"].setdefault("annotations", {})[HOLD] = held
        api.touch(MAP)

    api.before["PATCH"] = rescore
    with pytest.raises(ChangedError):
        operate.operate("gold", "stop", "disk is full", None)
    assert note(api, "hold")["owner"] == "rescore-gold"


def test_a_restart_is_no_failure(api: Api) -> None:
    from tweet_dags import keep, operate

    keep.applied("gold")
    operate.operate("gold", "restart", "to see", "ann")
    assert POD not in api.objects
    # The look that was under way writes what it knew.
    keep.applied("gold")
    api.put(POD, driver(uid="next"))
    state(api, "RUNNING", submissionID="two")
    keep.applied("gold")
    assert note(api, "memory")["submission"] == "two" and note(api, "memory")["failures"] == []
    state(api, "RUNNING", submissionID="three")
    keep.applied("gold")
    assert len(note(api, "memory")["failures"]) == 1


def test_only_what_was_done_is_remembered(api: Api) -> None:
    from tweet_dags import keep

    del api.objects[POD]
    state(api, "PENDING_RERUN")
    keep.applied("gold")
    memory = note(api, "memory") | {"since": (datetime.now(UTC) - timedelta(seconds=61)).isoformat()}
    api.objects[MAP]["metadata"]["annotations"]["tweet-sentiment/memory-gold"] = json.dumps(memory)
    assert keep.behind("gold") is False
    assert note(api, "memory") == memory
    assert "woken" in keep.applied("gold")
    assert "tweet-sentiment/woken" in api.objects[APP]["metadata"]["annotations"]
    assert note(api, "memory")["condition"] == "woken app"


def test_a_lost_driver_is_not_restarted_by_a_person_either(api: Api) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tweet_dags import keep, operate

    api.objects[POD]["status"] = {"reason": "NodeLost"}
    with pytest.raises(AirflowFailException, match="may still write"):
        operate.operate("gold", "restart", "to see", None)
    with pytest.raises(AirflowFailException, match="may still write"):
        keep.applied("gold")
    assert to_the_stream(api) == []


def test_the_last_error_is_told_for_as_long_as_failures_count(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    from tweet_dags import keep

    often(api)
    keep.behind("gold")
    assert "gold: the last error of its driver: no room on the disk" in caplog.text
    often(api, ago=())
    caplog.clear()
    keep.behind("gold")
    assert caplog.messages and "no room on the disk" not in caplog.text


def test_the_executors_of_killed_drivers_are_taken_away(api: Api) -> None:
    from tweet_dags import keep

    left, kept = f"{CORE}/pods/gold-exec-1", f"{CORE}/pods/gold-exec-2"
    uid = api.objects[POD]["metadata"]["uid"]
    # The clock of the tests of facts stands in the past.
    api.put(left, executor("Succeeded", owner="killed", ended=0))
    api.put(kept, executor("Failed", owner=uid, ended=0))
    keep.applied("gold")
    assert left not in api.objects and kept in api.objects


def test_an_executor_that_may_not_be_taken_away_is_in_nobodys_way(api: Api) -> None:
    from tweet_dags import keep

    left = f"{CORE}/pods/gold-exec-1"
    api.put(left, executor("Succeeded", owner="killed", ended=0))
    api.before["DELETE"] = lambda: api.touch(left)
    keep.applied("gold")
    assert left in api.objects
