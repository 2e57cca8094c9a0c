"""The SparkApplications of the chart: when a change restarts a stream, settings of the layers, the jobs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spark_apps.cli.main import app
from spark_apps.silver.user_formats import load_formats
from tests.chart.rendering import (
    JOB_LAYERS,
    LAYERS,
    S3,
    STREAMS_NAMESPACE,
    applications,
    objects,
    render,
)

pytestmark = pytest.mark.chart

SPEC_HASH = "tweet-sentiment/spec-hash"
ARGUMENTS = {
    "rescore": ["rescore"],
    "rebuild-silver": ["rebuild", "silver"],
    "rebuild-gold": ["rebuild", "gold"],
    "replay": ["quarantine", "replay"],
}
SILVER_JOBS, GOLD_JOBS = ([job for job in JOB_LAYERS if JOB_LAYERS[job] == layer] for layer in ("silver", "gold"))


def test_a_change_restarts_only_the_affected_streams() -> None:
    def hashes(*settings: str) -> dict[str, str]:
        streams = applications(render(*settings))
        for application in streams.values():
            spec_hash = application["metadata"]["annotations"][SPEC_HASH]
            assert application["spec"]["driver"]["labels"][SPEC_HASH] == spec_hash
        return {name: stream["metadata"]["annotations"][SPEC_HASH] for name, stream in streams.items()}

    def changed(*settings: str) -> set[str]:
        return {name for name, spec_hash in hashes(*settings).items() if spec_hash != hashes()[name]}

    assert changed() == set()
    assert changed("demo.enabled=false", "airflow.parallelism=9", "dashboard.port=80") == set()
    # The limits of keep_streams_running. The drivers read stuckSeconds from a volume.
    assert changed("streams.stuckSeconds=900", "streams.failuresPerHour=9", "streams.retryMinutes=9") == set()
    # A job runs with the settings of its layer.
    assert changed("streams.gold.executor.memory=2g") == {"gold", *GOLD_JOBS}
    assert changed("streams.silver.executor.memory=2g") == {"silver", *SILVER_JOBS}
    assert changed("streams.trigger=1 minute") == {*LAYERS, *JOB_LAYERS}


def test_settings_of_a_layer_apply_to_that_layer_only() -> None:
    streams = applications(
        render(
            "streams.sparkConf.spark\\.dynamicAllocation\\.enabled=true",
            "streams.silver.sparkConf.spark\\.x=1",
            "streams.gold.nodeSelector.pool=gpu",
            "streams.gold.tolerations[0].key=gpu",
            "streams.gold.gpus=2",
            "streams.bronze.priorityClassName=high",
            "streams.bronze.queueUrl=https://sqs/landing",
            "streams.bronze.retentionDays=30",
            "streams.silver.quarantineDays=90",
            "streams.gold.shadowShare=1",
        )
    )
    specs = {name: application["spec"] for name, application in streams.items()}
    assert all(spec["sparkConf"]["spark.dynamicAllocation.enabled"] == "true" for spec in specs.values())
    assert [name for name, spec in specs.items() if "spark.x" in spec["sparkConf"]] == ["silver", *SILVER_JOBS]
    assert specs["gold"]["executor"]["gpu"] == {"name": "nvidia.com/gpu", "quantity": 2}

    def given(setting: str) -> dict[str, str]:
        variables = {name: spec["driver"]["env"] for name, spec in specs.items()}
        return {name: env["value"] for name, envs in variables.items() for env in envs if env["name"] == setting}

    assert given("TWEETS_LANDING_QUEUE") == {"bronze": "https://sqs/landing"}
    assert given("TWEETS_BRONZE_DAYS") == {"bronze": "30"}
    assert given("TWEETS_QUARANTINE_DAYS") == dict.fromkeys(["silver", *SILVER_JOBS], "90")
    assert given("TWEETS_SHADOW_SHARE")["gold"] == "1"
    assert "gpu" not in specs["gold"]["driver"] and "gpu" not in specs["silver"]["executor"]
    for role in ("driver", "executor"):
        assert specs["gold"][role]["nodeSelector"] == {"pool": "gpu"}
        assert specs["gold"][role]["tolerations"] == [{"key": "gpu"}]
        assert specs["bronze"][role]["priorityClassName"] == "high"
        assert "nodeSelector" not in specs["bronze"][role]


FORMAT = "streams.silver.formats.mastodon"
DECLARED = [f"{FORMAT}.{field}={{{field}}}" for field in ("marks", "id", "text", "time")]


@pytest.mark.parametrize("application", ["silver", *SILVER_JOBS])
def test_declared_formats_reach_the_drivers_of_silver(application: str, tmp_path: Path) -> None:
    documents = render(*DECLARED)
    config_map = objects(documents, "ConfigMap")["tweets.tweet-sentiment-formats"]
    assert config_map["metadata"]["namespace"] == STREAMS_NAMESPACE
    ((name, text),) = config_map["data"].items()
    (tmp_path / name).write_text(text)
    assert [format_.name for format_ in load_formats(tmp_path / name)] == ["mastodon"]

    specs = {name: application["spec"] for name, application in applications(documents).items()}
    (volume,) = [volume for volume in specs[application]["volumes"] if volume["name"] == "formats"]
    assert volume["configMap"] == {"name": config_map["metadata"]["name"]}
    driver = specs[application]["driver"]
    (mount,) = [mount for mount in driver["volumeMounts"] if mount["name"] == volume["name"]]
    assert {"name": "TWEETS_FORMATS", "value": f"{mount['mountPath']}/{name}"} in driver["env"]
    # Executors get the formats from the driver.
    assert volume["name"] not in {mount["name"] for mount in specs[application]["executor"]["volumeMounts"]}
    with_formats = {name for name, spec in specs.items() if "formats" in json.dumps(spec)}
    assert with_formats == {"silver", *SILVER_JOBS}
    assert "formats" not in json.dumps(applications(render()))


def test_the_drivers_read_the_limit_of_the_values_from_a_volume() -> None:
    documents = render("streams.stuckSeconds=900", "startupSeconds=700")
    (data,) = [objects(documents, "ConfigMap")["stream-limits"]["data"]]
    for name, application in applications(documents).items():
        spec = application["spec"]
        (volume,) = [volume for volume in spec["volumes"] if volume.get("configMap", {}).get("name") == "stream-limits"]
        (mount,) = [mount for mount in spec["driver"]["volumeMounts"] if mount["name"] == volume["name"]]
        env = {entry["name"]: entry.get("value") for entry in spec["driver"]["env"]}
        folder, _, key = str(env["TWEETS_STUCK_SECONDS_FILE"]).rpartition("/")
        assert (folder, data[key]) == (mount["mountPath"], "900"), name
        assert "subPath" not in mount  # the kubelet does not update such a mount
        assert env["TWEETS_STARTUP_SECONDS"] == "700"
        assert volume["name"] not in {mount["name"] for mount in spec["executor"]["volumeMounts"]}


def test_a_changed_format_restarts_silver() -> None:
    def hashes(*settings: str) -> dict[str, str]:
        streams = applications(render(*settings))
        return {name: stream["metadata"]["annotations"][SPEC_HASH] for name, stream in streams.items()}

    before = hashes(*DECLARED)
    after = hashes(*DECLARED, f"{FORMAT}.lang={{language}}")
    assert {name for name in before if before[name] != after[name]} == {"silver", *SILVER_JOBS}


@pytest.mark.parametrize(("name", "layer"), JOB_LAYERS.items())
def test_a_job_has_the_settings_of_its_layer(name: str, layer: str) -> None:
    """The job runs once, is not restarted like a stream, and stays after its end so that its result can be read."""
    documents = render(*S3)
    stream, job = (applications(documents)[application]["spec"] for application in (layer, name))
    assert (job["arguments"], job["restartPolicy"]) == (ARGUMENTS[name], {"type": "Never"})
    assert "template" not in job["driver"] and "timeToLiveSeconds" not in job
    differences = {"arguments", "restartPolicy", "sparkConf", "driver", "executor"}
    assert {key for key in stream if stream[key] != job[key]} == differences and stream.keys() == job.keys()
    for role in ("driver", "executor"):
        assert job[role]["serviceAccount"] == layer
        assert job[role]["labels"]["app.kubernetes.io/name"] == name
        # The executors of the job keep away from each other, not from those of the stream.
        own = {"labels", "affinity"} if role == "executor" else {"labels"}
        assert {key for key in job[role] if job[role][key] != stream[role][key]} == own


@pytest.mark.parametrize("name", JOB_LAYERS)
def test_a_job_has_a_network_policy_and_is_not_kept_running(name: str) -> None:
    documents = render(*S3)
    policy = objects(documents, "NetworkPolicy")[f"tweets.tweet-sentiment-{name}"]
    assert policy["spec"]["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": name}}
    assert objects(documents, "ConfigMap")["airflow"]["data"]["TWEETS_STREAMS"] == "bronze,silver,gold"


def test_each_application_runs_a_command_that_exists() -> None:
    commands = {name: application["spec"]["arguments"] for name, application in applications(render()).items()}
    assert commands.keys() == {*LAYERS, *JOB_LAYERS}
    for name, arguments in commands.items():
        result = CliRunner().invoke(app, [*arguments, "--help"])
        assert result.exit_code == 0, f"{name}: {result.output}"
