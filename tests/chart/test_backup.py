"""The CronJobs of backups and restore drills, and the commands of docs/backup.md that change their Jobs."""

import json
import re
from typing import Any

import pytest
from typer.testing import CliRunner

from spark_apps.cli.main import app
from tests.chart.rendering import CASES, NAMESPACE, ROOT, S3, STREAMS_NAMESPACE, Object, render

pytestmark = pytest.mark.chart

PAGE = (ROOT / "docs" / "backup.md").read_text()


def cron_jobs(*settings: str) -> dict[tuple[str, str], Object]:
    """Return the CronJobs of backups by namespace and name."""
    documents = [document for document in render(*settings) if document["kind"] == "CronJob"]
    metadata = ((document, document["metadata"]) for document in documents)
    return {(m["namespace"], m["name"]): document for document, m in metadata if m["name"] != "airflow-clean"}


def pod(cron_job: Object) -> dict[str, Any]:
    spec: dict[str, Any] = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return spec


def containers(cron_job: Object) -> dict[str, Any]:
    spec = pod(cron_job)
    return {container["name"]: container for container in [*spec.get("initContainers", []), *spec["containers"]]}


def command(container: Object) -> str:
    return " ".join(container.get("command", []) + container.get("args", []))


def test_without_the_setting_there_are_no_backups() -> None:
    assert cron_jobs() == {}
    assert "backup" not in {document["metadata"]["name"] for document in render()}


def test_each_namespace_backs_up_what_it_may_read() -> None:
    jobs = cron_jobs(*CASES["backup"])
    namespaces = (STREAMS_NAMESPACE, NAMESPACE)
    assert jobs.keys() == {(namespace, name) for namespace in namespaces for name in ("backup", "restore-drill")}
    lake, registry = (containers(jobs[namespace, "backup"]) for namespace in namespaces)
    assert command(lake["backup"]) == "tweet-sentiment backup --lake /lake/tables --to /backup/lake --keep 7"
    assert command(registry["backup"]) == (
        "tweet-sentiment backup-files dumps=/dumps artifacts=/artifacts --to=/backup/registry --keep=7"
    )
    assert registry["dump"]["env"][0] == {"name": "DATABASES", "value": "mlflow airflow"}
    assert "secretKeyRef" not in json.dumps(jobs[STREAMS_NAMESPACE, "backup"])


def test_pods_of_backups_have_no_permissions_in_the_cluster_and_only_read_what_they_copy() -> None:
    jobs = cron_jobs(*CASES["backup"])
    writable = {
        (STREAMS_NAMESPACE, "backup"): {"backup": {"tmp", "backup"}},
        (STREAMS_NAMESPACE, "restore-drill"): {"restore": {"tmp", "scratch"}},
        (NAMESPACE, "backup"): {"dump": {"tmp", "dumps"}, "backup": {"tmp", "backup", "dumps"}},
        (NAMESPACE, "restore-drill"): {"restore": {"tmp", "scratch"}, "databases": {"tmp", "scratch"}},
    }
    for key, job in jobs.items():
        assert pod(job)["serviceAccountName"] == "backup" and pod(job)["automountServiceAccountToken"] is False
        mounts = {
            name: {mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
            for name, container in containers(job).items()
        }
        assert mounts == writable[key], key
    bindings = [document for document in render(*CASES["backup"]) if document["kind"] == "RoleBinding"]
    assert bindings and not [b for b in bindings if "backup" in {subject["name"] for subject in b["subjects"]}]


def test_backups_do_not_overlap_and_drills_never_start_by_themselves() -> None:
    for (_, name), job in cron_jobs(*CASES["backup"], "backup.schedule=1 * * * *").items():
        spec = job["spec"]
        assert spec["concurrencyPolicy"] == "Forbid" and spec["timeZone"] == "Etc/UTC"
        assert spec.get("suspend", False) is (name == "restore-drill")
        assert name == "restore-drill" or spec["schedule"] == "1 * * * *"


def test_backups_on_s3_need_no_volumes() -> None:
    settings = [*S3, "storage.s3.existingSecret=keys", "mlflow.artifacts=s3://tweets-lake/mlflow"]
    for (namespace, _), job in cron_jobs(*settings).items():
        claims = {v["name"] for v in pod(job)["volumes"] if "persistentVolumeClaim" in v}
        assert not claims and "s3a://tweets-backup/tweets" in json.dumps(job), namespace
        assert '"AWS_ACCESS_KEY_ID"' in json.dumps(job)
    registry = containers(cron_jobs(*settings)[NAMESPACE, "backup"])
    # An external database is not dumped: its server has backups of its own.
    assert registry.keys() == {"backup"}
    assert "backup-files artifacts=s3a://tweets-lake/mlflow --to" in command(registry["backup"])


def test_a_lake_on_a_volume_is_backed_up_to_s3_with_the_region_and_the_keys_of_the_values() -> None:
    s3 = ["backup.destination=s3a://tweets-backup", "storage.s3.region=eu-west-1", "storage.s3.existingSecret=keys"]
    for job in cron_jobs(*CASES["backup"], *s3).values():
        for name, container in containers(job).items():
            names = {entry["name"] for entry in container["env"]}
            assert ("AWS_REGION" in names) == ("AWS_SECRET_ACCESS_KEY" in names) == (name in {"backup", "restore"})


def test_existing_claims_replace_the_volumes() -> None:
    settings = [*CASES["backup"], "backup.volume.existingClaim=nfs"]
    assert not [d for d in render(*settings) if d["kind"] == "PersistentVolumeClaim" and "backup" in json.dumps(d)]
    assert '"claimName": "nfs"' in json.dumps(cron_jobs(*settings)[NAMESPACE, "restore-drill"])


def test_without_databases_and_model_files_only_the_lake_is_backed_up() -> None:
    off = [*CASES["backup"], "postgres.enabled=false", "mlflow.enabled=false", "airflow.enabled=false"]
    assert {namespace for namespace, _ in cron_jobs(*off)} == {STREAMS_NAMESPACE}


def test_the_commands_of_the_pods_exist() -> None:
    for job in cron_jobs(*CASES["backup"]).values():
        for container in containers(job).values():
            for name in re.findall(r"tweet-sentiment ([a-z-]+)", command(container)):
                help_ = CliRunner().invoke(app, [name, "--help"])
                options = set(re.findall(r"--[a-z]+", command(container).split(name, 1)[1].split("\n")[0]))
                assert help_.exit_code == 0 and not [option for option in options if option not in help_.output]


def _patch(value: Any, operations: list[dict[str, Any]]) -> None:
    """Apply a JSON patch; fail if a path does not exist."""
    for operation in operations:
        *parents, last = operation["path"].removeprefix("/").split("/")
        target = value
        for key in parents:
            target = target[int(key) if isinstance(target, list) else key]
        if isinstance(target, list) and last == "-":
            target.append(operation["value"])
        else:
            key = int(last) if isinstance(target, list) else last
            assert operation["op"] == "add" or target[key] is not None
            target[key] = operation["value"]


def documented_patches(job: str) -> dict[str, Any]:
    """Return the JSON patches of the drill that make a Job of docs/backup.md, by namespace."""
    command = rf"-n (\S+) create job {job} --from=cronjob/restore-drill.*?--type=json -p '(.*?)'"
    return {namespace: json.loads(patch) for namespace, patch in re.findall(command, PAGE, re.S)}


def test_the_documented_command_moves_the_lost_lake_to_where_the_restore_expects_nothing() -> None:
    job = cron_jobs(*CASES["backup"])[STREAMS_NAMESPACE, "restore-drill"]["spec"]["jobTemplate"]
    patches = {name: documented_patches(name)["tweet-sentiment-streams"] for name in ("move-lake", "restore")}
    target = patches["restore"][0]["value"]
    _patch(job, patches["move-lake"])
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["mv", target, "/lake/lost"]
    assert patches["move-lake"][1:] == patches["restore"][1:]


def test_the_documented_commands_turn_a_drill_into_a_restore() -> None:
    patches = documented_patches("restore")
    assert patches.keys() == {"tweet-sentiment", "tweet-sentiment-streams"}
    namespaces = {"tweet-sentiment": NAMESPACE, "tweet-sentiment-streams": STREAMS_NAMESPACE}
    environments = {}
    for documented, namespace in namespaces.items():
        job = cron_jobs(*CASES["backup"])[namespace, "restore-drill"]["spec"]["jobTemplate"]
        _patch(job, patches[documented])
        (container,) = job["spec"]["template"]["spec"]["containers"]
        environments[namespace] = {entry["name"]: entry.get("value") for entry in container["env"]}
        volumes = {volume["name"] for volume in job["spec"]["template"]["spec"]["volumes"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts.keys() <= volumes and {"/lake", "/artifacts"} & set(mounts.values())
    assert environments[STREAMS_NAMESPACE]["TARGET"] == "/lake/tables"
    assert environments[NAMESPACE]["PREFIX"] == ""
