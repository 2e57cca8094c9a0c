"""Outages of the operator, the registry, the database, the node and the release; a stream that keeps failing."""

import json
import time

import pytest

from tests.cluster.airflow import Airflow
from tests.cluster.expected_totals import ExpectedTotals
from tests.cluster.faults import CHANGED, KILLED, Fault, recover, scale_operator
from tests.cluster.installation import CHART, TEST_VALUES, Installation, run_command
from tests.cluster.models import TrainedModel
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

# The second failure within an hour is one too many: for the last test of this module.
_ONE_FAILURE_PER_HOUR = ["--set", "streams.failuresPerHour=1"]


def test_streams_run_without_operator_registry_and_database(
    installation: Installation, expected: ExpectedTotals, airflow: Airflow
) -> None:
    """The operator is away; MLflow and Postgres restart; documents are as large as allowed, and files mean harm.

    The same pods label all of it, Gold with the version that it has loaded. An edit of Silver's application, which the
    operator never sees, is reverted once the operator is back.
    """
    pods = installation.pods("Running")
    scale_operator(0)
    try:
        restart = ["delete", "pod", "-l", "app.kubernetes.io/name in (postgres,mlflow)", "--wait=false"]
        fault = Fault("MLflow and Postgres restarted", lambda: installation.kubectl(*restart, platform=True), KILLED)
        recover(installation, expected, fault)
        land_largest_documents(installation, expected)
        land_harmful_files(installation, expected)
        labelled, complete = expected.wait(600)
        print(f"\na timeline of 40,000 tweets: {labelled:.0f} s, with the aggregates {complete:.0f} s", flush=True)
        assert installation.pods("Running") == pods
        for workload in ("deployment/mlflow", "statefulset/postgres", "statefulset/airflow"):
            installation.kubectl("rollout", "status", workload, "--timeout=300s", platform=True)
        until(airflow.is_healthy, 120, "a healthy Airflow", every=2)
        patch = json.dumps({"spec": {"sparkConf": {"spark.foreign": "1"}}})
        installation.kubectl("patch", "sparkapplication", "silver", "--type=merge", "-p", patch)
        airflow.wait_for_log("silver: edited by hand", 150)
    finally:
        scale_operator(1)
    recover(installation, expected, Fault("operator back, with an edit meanwhile", lambda: None, KILLED, "silver"))
    application = ("sparkapplication", "silver")
    until(lambda: "spark.foreign" not in installation.get(*application)["spec"]["sparkConf"], 120, "the edit reverted")


def land_largest_documents(installation: Installation, expected: ExpectedTotals) -> None:
    """Land a timeline of 40,000 tweets, a text of 8 MB, a document over the limit of size, and a small tweet."""
    first_id = int(time.time() * 1e6)
    installation.run_python(
        "import json, os; from spark_apps.storage import put\n"
        "def land(name, document):\n"
        f"    put(os.environ['TWEETS_LANDING'], f'{first_id}-{{name}}.json', document.encode())\n"
        "def tweet(id_, text):\n"
        "    return {'id': id_, 'full_text': text, 'timestamp': '2026-01-01T00:00:00Z'}\n"
        f"timeline = [tweet({first_id} + n, f'text {{n % 100:0>119}}') for n in range(40_000)]\n"
        "land('timeline', json.dumps(timeline))\n"
        f"land('text', json.dumps(tweet({first_id} + 50_000, 'so ' * 2_700_000)))\n"
        "land('huge', json.dumps({'x': 'y' * (100 << 20)}))\n"
        f"land('small', json.dumps(tweet({first_id} + 60_000, 'small')))"
    )
    expected.add(documents=4, tweets=40_001, quarantine=2)


def land_harmful_files(installation: Installation, expected: ExpectedTotals) -> None:
    """Land deep nesting, a document of 2,700,000 values, a compression bomb, and a file without read permission."""
    name = f"harm-{int(time.time() * 1e6)}"
    installation.run_python(
        "import gzip, os; from spark_apps.storage import put\n"
        "landing = os.environ['TWEETS_LANDING']\n"
        "def land(name, data):\n"
        f"    put(landing, f'{name}-{{name}}', data)\n"
        "land('deep.json', b'{\"data\":' * 500 + b'1' + b'}' * 500)\n"
        "land('values.json', b'{\"data\": [' + b'{},' * 2_700_000 + b'{}]}')\n"
        "land('bomb.json.gz', gzip.compress(b' ' * (100 << 20)))\n"
        f"hidden = f'{{landing}}/.{name}'\n"
        "open(hidden, 'w').write('{}'); os.chmod(hidden, 0)\n"
        f"os.rename(hidden, f'{{landing}}/{name}-forbidden.json')"
    )
    expected.add(documents=4, tweets=0, quarantine=4)


def test_a_drained_node_recovers(installation: Installation, expected: ExpectedTotals) -> None:
    """With one node this is a cold start of everything, including the operator and the cluster's own DNS."""
    driver = installation.driver("gold")
    assert driver
    node = driver["spec"]["nodeName"]
    expected.land()
    drain = ["--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=240s"]
    try:
        run_command("kubectl", "drain", node, *drain)
        assert installation.driver_uid("gold") != driver["metadata"]["uid"]
    finally:
        run_command("kubectl", "uncordon", node)
    started = time.monotonic()
    installation.kubectl("rollout", "status", "deployment/dashboard", "--timeout=300s")
    expected.land()
    installation.wait_for_drivers(900)
    expected.wait(900)
    print(f"\nrecovered: node drained and back: {time.monotonic() - started:.0f} s", flush=True)


def test_a_new_installation_continues_with_the_data(installation: Installation, expected: ExpectedTotals) -> None:
    """`helm uninstall` ends the streams and keeps the lake, the databases and their Secrets, and nothing else."""
    before = installation.object_names()
    installation.helm("uninstall", "--wait")
    assert installation.object_names() == {
        installation.platform: [
            "PersistentVolumeClaim data-postgres-0", "PersistentVolumeClaim logs-airflow-0",
            "PersistentVolumeClaim mlflow", "Secret airflow", "Secret mlflow", "Secret postgres",
        ],
        installation.streams: ["PersistentVolumeClaim lake", "Secret mlflow"],
    }  # fmt: skip
    until(lambda: not installation.get("sparkapplications")["items"], 60, "no application of the streams")
    until(lambda: not installation.get("pods", "-l", "spark-role")["items"], 120, "no pods of the streams")
    started = time.monotonic()
    installation.helm("install", str(CHART), *TEST_VALUES, *_ONE_FAILURE_PER_HOUR, "--wait", "--timeout", "10m")
    assert installation.object_names() == before
    expected.land()
    installation.wait_for_drivers(900)
    expected.wait(900)
    print(f"\ninstalled again, tweets in Gold: {time.monotonic() - started:.0f} s", flush=True)


def test_a_stream_that_keeps_failing_is_given_up(
    installation: Installation, expected: ExpectedTotals, airflow: Airflow, trained_model: TrainedModel
) -> None:
    """Silver stays down until a person has repaired the cause and starts it.

    A release that a gate refuses, and which needs no stream, runs meanwhile: production stays as it is.
    """
    uploads = trained_model.uploads()
    data = {"data": uploads.wrong_labels, "precision": "fp32"}
    release = airflow.trigger("release_model", model=uploads.model, why="labels are wrong", **data)

    identity = "/lake/tables/checkpoints/silver/identity.json"
    installation.run_in_driver("bronze", "mv", identity, f"{identity}.away")
    installation.kill_pods("silver-driver")
    airflow.wait_for_log("silver: failed [0-9]+ times within an hour: given up", 600)
    until(lambda: installation.driver("silver") is None, 120, "the end of silver's driver", every=1)
    expected.land()

    assert airflow.wait_for_run("release_model", release, 900) == "failed"
    assert airflow.task_states("release_model", release)["release"] == "failed"
    assert airflow.try_number("release_model", release, "release") == 1
    assert "refused by the gate macro recall" in airflow.task_log("release_model", release, "release")

    installation.run_in_driver("bronze", "mv", f"{identity}.away", identity)
    start = Fault("silver, given up, started", lambda: airflow.operate_stream("silver", "start", "repaired"), CHANGED)
    recover(installation, expected, start)
    expected.wait()
    assert installation.rows_by_model_version() == {"2": expected.totals["rows"]}
