"""`model evaluate` on a labelled split, with a model folder or a registry version, and on the labels of the stream."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from spark_apps.cli.main import app
from spark_apps.labels import LABELS
from spark_apps.model.dataset import LabelledTweets
from spark_apps.model.evaluation.groups import FIGURES
from spark_apps.model.evaluation.metrics import Quality, macro_f1, macro_recall
from spark_apps.registry.client import BUNDLED, Registry
from spark_apps.registry.production import ensure_production
from spark_apps.scoring.description import Description
from spark_apps.scoring.scorer import Scorer
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS
from tests.lakes import gold_rows, put
from tests.model.folders import write_data

PNG = b"\x89PNG\r\n\x1a\n"


def evaluate(*arguments: str | Path, **env: str) -> Result:
    return CliRunner().invoke(app, ["model", "evaluate", *map(str, arguments)], env={"COLUMNS": "80", **env})


def figures(*arguments: str | Path, **env: str) -> dict[str, Any]:
    done = evaluate(*arguments, "--json", **env)
    assert done.exit_code == 0, done.output
    metrics: dict[str, Any] = json.loads(done.stdout)
    return metrics


def refusal(*arguments: str | Path, **env: str) -> str:
    done = evaluate(*arguments, **env)
    assert done.exit_code == 2, done.output
    return " ".join(done.stderr.split())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("tweets"), val=120, test=30)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URI of a registry with the bundled model in production, as version 1."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('registry') / 'registry.db'}"
    ensure_production(Registry(uri, 60), BUNDLED)
    return uri


def newest_run(registry: str, name: str) -> tuple[Any, Any]:
    """Return a client of the registry, and the newest run with this name."""
    from mlflow import MlflowClient

    client = MlflowClient(registry, registry)
    experiment = client.get_experiment_by_name("tweet-sentiment")
    assert experiment is not None
    return client, client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'")[0]


def test_metrics_and_predictions_of_a_split_agree_with_the_scorer(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "made" / "predictions.txt"
    metrics = figures("--data", data, "--split", "val", "--predictions", file)
    texts = (data / "val_text.txt").read_text(encoding="utf-8").splitlines()
    truth = np.loadtxt(data / "val_labels.txt", int)
    probabilities = Scorer(BUNDLED, 1).score(texts)
    expected = Quality.of(truth, probabilities)
    assert {name: metrics[name] for name in expected.scalars() if name in metrics} == pytest.approx(
        {name: value for name, value in expected.scalars().items() if name in metrics}, abs=1e-4
    )
    assert metrics["confusion"] == expected.confusion and metrics["accuracy"] > 0.8
    assert [int(line) for line in file.read_text().split("\n")[:-1]] == probabilities.argmax(axis=1).tolist()
    assert 0 < metrics["latency_ms"]["p50"] <= metrics["latency_ms"]["p95"] <= metrics["latency_ms"]["p99"]
    assert metrics["tweets_per_second"] > 1
    assert metrics["data"] == {
        "name": data.name,
        "split": "val",
        "rows": 120,
        "sha256": LabelledTweets((data,)).version("val").sha256,
    }
    assert metrics["model"]["sha256"] == Description.read(BUNDLED).sha256


def test_the_table_of_metrics_fits_80_columns(data: Path) -> None:
    done = evaluate("--data", data, "--split", "test")
    assert done.exit_code == 0, done.output
    for word in ("macro recall", "F1 PN", "15 equal bins", *LABELS, "one tweet at a time", "tweets/s"):
        assert word in done.stdout
    assert "…" not in done.stdout and max(map(len, done.stdout.splitlines())) <= 80


def test_figures_are_given_by_language_and_source(data: Path, registry: str, tmp_path: Path) -> None:
    several = write_data(tmp_path / "several", ("es", "en"), val=80)
    # Every second tweet is in Spanish: with the next label as its truth, the model is wrong in this language only.
    labels = [int(label) for label in (several / "val_labels.txt").read_text(encoding="utf-8").split()]
    wrong = [(label + 1) % 3 if row % 2 == 0 else label for row, label in enumerate(labels)]
    (several / "val_labels.txt").write_text("".join(f"{label}\n" for label in wrong), encoding="utf-8")
    arguments: list[str | Path] = ["--data", data, "--data", several, "--language", "en"]
    metrics = figures(*arguments, "--predictions", tmp_path / "predictions.txt", "--registry", registry)
    assert metrics["data"]["name"] == f"{data.name}+several" and metrics["tweets"] == 200
    tweets = LabelledTweets((data, several), "en").read("val")
    predicted = np.loadtxt(tmp_path / "predictions.txt", int)
    assert list(metrics["languages"]) == ["en", "es"]
    assert list(metrics["sources"]) == [data.name, "2015-es", "2016-en"]
    for kind, names in (("languages", tweets.languages), ("sources", tweets.sources)):
        for name, group in metrics[kind].items():
            rows = np.array(names) == name
            truth = np.array(tweets.labels)[rows]
            assert group["tweets"] == rows.sum()
            assert group["accuracy"]["value"] == pytest.approx((truth == predicted[rows]).mean())
            assert group["macro_recall"]["value"] == pytest.approx(macro_recall(truth, predicted[rows]))
            assert group["macro_f1"]["value"] == pytest.approx(macro_f1(truth, predicted[rows]))
            assert all(group[figure]["low"] <= group[figure]["value"] <= group[figure]["high"] for figure in FIGURES)
    recalls = [group["macro_recall"]["value"] for group in metrics["languages"].values()]
    assert recalls[0] > 0.8 > 0.2 > recalls[1]
    assert metrics["over_languages"]["macro_recall"] == {
        "mean": pytest.approx(sum(recalls) / 2),
        "worst": recalls[1],
        "worst_group": "es",
    }
    _, run = newest_run(registry, "evaluate")
    assert run.data.metrics["language_es/macro_recall"] == pytest.approx(recalls[1])

    shown = evaluate(*arguments).stdout
    assert re.search(rf"es +40 +{recalls[1]:.3f} ± 0\.\d+", shown) and re.search(rf"worst +{recalls[1]:.3f}", shown)
    assert "2015-es" in shown and "…" not in shown and max(map(len, shown.splitlines())) <= 80
    assert "language" not in evaluate("--data", data, "--split", "test").stdout


def test_predictions_need_no_labels(data: Path, tmp_path: Path) -> None:
    (tmp_path / "test_text.txt").write_bytes((data / "test_text.txt").read_bytes())
    metrics = figures("--data", tmp_path, "--split", "test", "--predictions", tmp_path / "predictions.txt")
    assert metrics["tweets"] == 30 and "macro_recall" not in metrics and metrics["tweets_per_second"] > 1
    assert re.fullmatch("([012]\n){30}", (tmp_path / "predictions.txt").read_text())
    assert "test_labels.txt is missing" in refusal("--data", tmp_path, "--split", "test")


def test_an_evaluation_of_a_registry_version_is_recorded_in_a_run(data: Path, registry: str) -> None:
    import mlflow

    for model in ("models:/tweet-sentiment@production", "models:/tweet-sentiment/1"):
        metrics = figures("--data", data, "--split", "test", "--model", model, "--registry", registry)
    assert mlflow.active_run() is None
    client, run = newest_run(registry, "evaluate")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["macro_recall"] == pytest.approx(metrics["macro_recall"])
    assert run.data.metrics["recall_negative"] == pytest.approx(metrics["classes"]["negative"]["recall"])
    assert run.data.metrics["latency_ms_p99"] == metrics["latency_ms"]["p99"]
    assert run.data.params["model"] == "models:/tweet-sentiment/1"
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.name == f"{data.name}/test" and metrics["data"]["sha256"].startswith(used.dataset.digest)
    assert json.loads(used.dataset.profile) == {"num_rows": 30, "sha256": metrics["data"]["sha256"]}
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"confusion_matrix.png", "reliability.png", "figures.json"}
    picture = Path(client.download_artifacts(run.info.run_id, "reliability.png"))
    assert picture.read_bytes().startswith(PNG)


def test_a_failed_evaluation_is_recorded_as_failed(registry: str, tmp_path: Path) -> None:
    refusal("--data", tmp_path, "--registry", registry)
    assert newest_run(registry, "evaluate")[1].info.status == "FAILED"


@pytest.mark.parametrize(
    ("model", "with_registry", "error"),
    [
        ("models:/tweet-sentiment@production", False, "name the registry with --registry (or TWEETS_REGISTRY)"),
        ("models:/tweet-sentiment@canary", True, "tweet-sentiment has no version 'canary' in the registry"),
        ("models:/tweet-sentiment/9", True, "tweet-sentiment has no version '9' in the registry"),
        ("models:/another/1", True, "write models:/tweet-sentiment@production or models:/tweet-sentiment/<version>"),
        ("nowhere", False, "nowhere/description.json is not a valid model description"),
    ],
)
def test_a_missing_model_is_named(data: Path, registry: str, model: str, with_registry: bool, error: str) -> None:
    options = ["--registry", registry] if with_registry else []
    assert error in refusal("--data", data, "--split", "test", "--model", model, *options)


def test_data_and_lake_are_alternatives(data: Path, tmp_path: Path) -> None:
    error = "pass either --data (a labelled split) or --lake"
    assert error in refusal()
    assert error in refusal("--data", data, "--lake", tmp_path)
    assert "need --data" in refusal("--lake", tmp_path, "--split", "val")
    # An option takes precedence over a lake in the environment.
    assert figures("--data", data, "--split", "test", TWEETS_LAKE=str(tmp_path))["tweets"] == 30
    assert f"{tmp_path}/silver/tweets does not exist yet" in refusal(TWEETS_LAKE=str(tmp_path))


def test_an_unreachable_registry_is_reported_before_the_evaluation(data: Path) -> None:
    error = refusal("--data", data, "--registry", "http://127.0.0.1:9", TWEETS_REGISTRY_TIMEOUT="1")
    assert "MLflow at http://127.0.0.1:9 does not accept a run" in error


@pytest.fixture
def stream(tmp_path: Path) -> tuple[Path, pd.DataFrame]:
    """Return a lake with 400 tweets that two versions scored, and the 300 rows with a label; 20 more tweets wait."""
    frame = gold_rows(420, timedelta(minutes=30))
    random = np.random.default_rng(3)
    weights = random.random((420, 3)) + 0.05
    frame[list(LABELS)] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    frame["label"] = np.array(LABELS)[frame[list(LABELS)].to_numpy().argmax(axis=1)]
    frame["score"] = frame[list(LABELS)].max(axis=1)
    frame["truth"] = np.where(random.random(420) < 0.6, frame["label"], np.array(LABELS)[random.integers(0, 3, 420)])
    frame.loc[:99, "truth"] = None
    frame["model_version"] = np.where(np.arange(420) < 250, "9", "10")
    frame["scored_at"] = frame["landed_at"] + pd.to_timedelta(np.arange(420) % 10, unit="s")
    put(tmp_path / "lake", SILVER_TWEETS, frame.sample(frac=1, random_state=1))
    put(tmp_path / "lake", GOLD_SENTIMENT, frame[:400])
    return tmp_path / "lake", frame[100:400]


def test_metrics_of_a_stream_are_given_for_all_tweets_and_each_version(
    stream: tuple[Path, pd.DataFrame], registry: str
) -> None:
    lake, labelled = stream
    metrics = figures("--lake", lake, "--registry", registry)
    assert (metrics["tweets"], metrics["waiting"]) == (300, 20)
    assert metrics["tables"] == {"silver/tweets": 0, "gold/sentiment": 0}
    assert list(metrics["versions"]) == ["9", "10"]
    rows = {"all": labelled} | dict(iter(labelled.groupby("model_version")))
    for version, part in rows.items():
        truth = part["truth"].map(LABELS.index).to_numpy()
        expected = Quality.of(truth, part[list(LABELS)].to_numpy())
        shown = metrics if version == "all" else metrics["versions"][version]
        assert shown["confusion"] == expected.confusion
        assert shown["calibration_error"] == pytest.approx(expected.calibration_error, abs=1e-6)
        assert shown["macro_recall"] == pytest.approx(expected.macro_recall)
        assert shown["latency_seconds"]["p50"] == pytest.approx(4.5, abs=1)
    client, run = newest_run(registry, "evaluate stream")
    assert run.data.params["silver/tweets_version"] == "0" and run.data.params["lake"] == str(lake)
    assert run.data.metrics["version_10/f1_pn"] == pytest.approx(metrics["versions"]["10"]["f1_pn"])
    assert {file.path for file in client.list_artifacts(run.info.run_id, "version_9")} == {
        "version_9/confusion_matrix.png",
        "version_9/reliability.png",
    }
    readable = evaluate("--lake", lake)
    assert "all versions: 300 labelled tweets" in readable.stdout and "model version 10" in readable.stdout


def test_a_stream_without_labels_is_an_error(tmp_path: Path) -> None:
    frame = gold_rows(10, timedelta(minutes=1))
    put(tmp_path, SILVER_TWEETS, frame)
    assert f"{tmp_path}/gold/sentiment does not exist yet" in refusal("--lake", tmp_path)
    put(tmp_path, GOLD_SENTIMENT, frame)
    assert "none of the 10 tweets" in refusal("--lake", tmp_path)
    put(tmp_path, SILVER_TWEETS, frame.assign(id="other", truth="neutral"))
    assert "none of the 10 labelled tweets" in refusal("--lake", tmp_path)
