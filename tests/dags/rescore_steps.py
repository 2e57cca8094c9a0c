"""Steps of a rescore against the fake API server; the tests play the operator."""

from typing import Any

from tests.dags.fake_api import CORE, GROUP, POD, FakeApi, set_state
from tests.dags.observations import APP_NAME, driver

JOB, JOB_POD = f"{GROUP}/sparkapplications/rescore", f"{CORE}/pods/rescore-driver"
PROGRESS_LINE = '{"event": "rescored", "part": 1, "parts": 3}'


def put_driver(api: FakeApi, path: str, **status: Any) -> None:
    """Create the driver of an application, as the operator does on a submission."""
    made = driver(uid=f"pod-{api.version}", **status)
    name = path.rsplit("/", 1)[-1]
    made["metadata"] |= {"name": name, "labels": made["metadata"]["labels"] | {APP_NAME: name.removesuffix("-driver")}}
    api.put(path, made)


def write_verbs(api: FakeApi, name: str) -> list[str]:
    """Return the verbs of the writes to an object."""
    return [verb for verb, written, _, _ in api.writes if written == name]


def stop_gold(api: FakeApi) -> None:
    """Run a rescore up to the point at which no pod of Gold remains."""
    from tweet_dags import rescore

    rescore.suspend_gold("one version for all", "ann")
    set_state(api, "SUSPENDED")
    del api.objects[POD]
    assert rescore.gold_stopped() is True


def run_job(api: FakeApi, run_id: str = "run-1") -> None:
    """Run a rescore up to the point at which the driver of the job is running."""
    from tweet_dags import rescore

    stop_gold(api)
    assert rescore.rescore_finished(None, run_id) is False
    put_driver(api, JOB_POD)
    set_state(api, "RUNNING", JOB)
    api.logs[JOB_POD] = f"starting\n{PROGRESS_LINE}"
