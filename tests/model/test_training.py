"""Training and export of small RoBERTas; `make test-train` installs torch and runs these tests."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from spark_apps.cli.main import app
from spark_apps.labels import LABELS
from spark_apps.model.dataset import LabelledTweets
from spark_apps.scoring.description import MODEL_FILE, TOKENIZER_FILE, Description
from spark_apps.scoring.scorer import Scorer
from tests import process
from tests.model.folders import TRAINING, write_base, write_data, write_multilingual_base
from tests.waiting import until

pytestmark = [pytest.mark.train, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), train=1_600, val=200)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def multilingual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_multilingual_base(tmp_path_factory.mktemp("multilingual"))


@pytest.fixture(scope="module")
def multilingual_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("languages"), ("es", "de"), train=600, val=120)


def model(*arguments: str | Path, **env: str) -> Any:
    return CliRunner().invoke(app, ["model", *map(str, arguments)], env={"COLUMNS": "200", **env})


def train(*arguments: str | Path, **env: str) -> Any:
    return model("train", *arguments, **env)


def refusal(*arguments: str | Path, **env: str) -> str:
    done = train(*arguments, **env)
    assert done.exit_code == 2, done.output
    return " ".join(done.stderr.split())


def test_a_trained_model_is_exported_and_evaluated(data: Path, base: Path, tmp_path: Path) -> None:
    trained = tmp_path / "trained"
    files: list[str | Path] = ["--data", data, "--base", base, "--out", trained]
    arguments = [*files, *TRAINING]
    done = train(*arguments, "--json")
    assert done.exit_code == 0, done.output
    trained_figures = json.loads(done.stdout)
    assert trained_figures["macro_recall"] > 0.9 and trained_figures["steps"] == 300
    assert "is not logged" in done.stderr and "an encoder with a new head" in done.stderr
    # A repetition with the same settings does nothing.
    again = train(*arguments, "--json")
    assert json.loads(again.stdout) == trained_figures and "nothing to do" in again.stderr

    for precision in ("fp32", "fp16"):
        out = tmp_path / precision
        exported = ["model", "export", "--model", trained, "--data", data, "--out", out, "--precision", precision]
        done = CliRunner().invoke(app, list(map(str, exported)))
        assert done.exit_code == 0, done.output
        description = Description.read(out)
        assert description.metrics["agreement_with_torch"] >= 0.999 and description.precision == precision
    assert (tmp_path / "fp16" / MODEL_FILE).stat().st_size < 0.6 * (tmp_path / "fp32" / MODEL_FILE).stat().st_size

    shown = CliRunner().invoke(
        app, ["model", "evaluate", "--model", str(tmp_path / "fp16"), "--data", str(data), "--split", "val", "--json"]
    )
    figures = json.loads(shown.stdout)
    assert (
        figures["macro_recall"] == pytest.approx(trained_figures["macro_recall"], abs=0.01) and figures["tweets"] == 200
    )
    scored = Scorer(tmp_path / "fp16", 1).score(["I love the flight at @northwindair, best start of the day"])
    assert LABELS[scored[0].argmax()] == "positive"

    refused = CliRunner().invoke(
        app, ["model", "export", "--model", str(data), "--data", str(data), "--out", str(tmp_path / "none")]
    )
    assert refused.exit_code == 2 and "is not the folder of a trained model" in " ".join(refused.stderr.split())
    assert not (tmp_path / "none").exists()


def test_a_multilingual_model_is_trained_exported_evaluated_and_released(
    data: Path, multilingual: Path, multilingual_data: Path, tmp_path: Path
) -> None:
    """An XLM-RoBERTa learns two sets of tweets: the language of the first is an option, the second names languages."""
    registry, trained, exported = f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "trained", tmp_path / "exported"
    tweets: list[str | Path] = ["--data", data, "--data", multilingual_data, "--language", "en"]
    done = train(
        *tweets, "--base", multilingual, "--out", trained, "--epochs", "4", "--learning-rate", "1e-3", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["macro_recall"] > 0.9 and figures["steps"] == 4 * 2_200 / 32 + 1
    assert {name: group["tweets"] for name, group in figures["languages"].items()} == {"en": 200, "es": 60, "de": 60}
    assert list(figures["sources"]) == [data.name, "2015-es", "2016-de"]
    assert "train: 2,200 tweets (en 1,600, es 300, de 300;" in " ".join(done.stderr.split())

    for precision in ("fp16", "int8"):
        done = model("export", "--model", trained, *tweets, "--out", exported, "--precision", precision)
        assert done.exit_code == 0, done.output
    description = Description.read(exported)
    assert description.precision == "int8" and description.provenance["languages"] == {
        "en": 1_600,
        "es": 300,
        "de": 300,
    }
    assert min(description.metrics["agreement_by_language"][language] for language in ("en", "es", "de")) > 0.9
    assert description.metrics["validation es"]["tweets"] == 60
    for text, label in (
        ("me encanta @x, muchas gracias 😍 3", "positive"),
        ("nie wieder @x, das war furchtbar 4", "negative"),
    ):
        assert LABELS[Scorer(exported, 1).score([text])[0].argmax()] == label

    limits = {"TWEETS_GATE_SMOKE": "0", "TWEETS_GATE_LANGUAGE_TWEETS": "60", "TWEETS_REGISTRY_TIMEOUT": "60"}
    for version in ("1", "2"):
        done = model("release", "--model", exported, *tweets, "--registry", registry, "--json", **limits)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["production"] == version
    gates = [gate["name"] for gate in json.loads(done.stdout)["gates"]]
    assert gates[-5:] == ["comparison", "comparison en", "comparison de", "comparison es", "quality"]


def test_frozen_word_embeddings_keep_the_weights_of_the_base(data: Path, multilingual: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    arguments: list[str | Path] = ["--data", data, "--base", multilingual, "--epochs", "0.1"]
    words = "embeddings.word_embeddings.weight"
    before = load_file(multilingual / "model.safetensors")[words]
    for options, frozen in ((["--freeze-embeddings"], True), ([], False)):
        out = tmp_path / f"frozen-{frozen}"
        assert train(*arguments, *options, "--out", out).exit_code == 0
        after = load_file(out / "model.safetensors")
        assert torch.equal(before, after[f"roberta.{words}"]) is frozen
        layer = "encoder.layer.0.output.dense.weight"
        assert not torch.equal(load_file(multilingual / "model.safetensors")[layer], after[f"roberta.{layer}"])


def test_leave_out_validation_evaluates_on_what_training_has_not_seen(
    data: Path, multilingual: Path, multilingual_data: Path, tmp_path: Path
) -> None:
    arguments: list[str | Path] = [
        "validate", "--data", data, "--data", multilingual_data, "--base", multilingual, "--out", tmp_path / "runs",
        "--epochs", "2", "--learning-rate", "1e-3", "--language", "en", "--seed", "1", "--seed", "2",
    ]  # fmt: skip
    leave_out = ["--leave-out", "year=2016", "--leave-out", "language=es"]
    done = model(*arguments, *leave_out, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    runs = {(run["leave_out"], run["seed"]): run for run in report["runs"]}
    assert list(runs) == [(condition, seed) for condition in ("year=2016", "language=es") for seed in (1, 2)]
    # The tweets in German are from 2016, and the model has learned no word of it.
    assert all(run["tweets"] == 300 for run in runs.values())
    assert list(runs["year=2016", 1]["languages"]) == ["de"]
    values = [run["macro_recall"]["value"] for run in runs.values()]
    assert report["over_runs"]["macro_recall"]["mean"] == pytest.approx(sum(values) / 4)
    assert report["over_runs"]["macro_recall"]["worst"] == min(values) and len(set(values)) > 1
    assert all(run["macro_f1"]["low"] <= run["macro_f1"]["value"] <= run["macro_f1"]["high"] for run in runs.values())
    states = [json.loads(file.read_text()) for file in (tmp_path / "runs").glob("*/*/training.json")]
    assert sorted(state["settings"]["train_rows"] for state in states) == [1_900] * 4
    assert not list((tmp_path / "runs").rglob("checkpoint*"))

    # A repetition trains nothing, and prints a table.
    again = model(*arguments, *leave_out)
    assert again.stderr.count("nothing to do") == 4
    for words in ("left out", "year=2016, seed 1", "mean", "worst", f"{min(values):.3f}"):
        assert words in again.stdout, again.stdout
    for condition, error in (
        ("source=none", "--leave-out source=none matches no tweet of the train split: it has"),
        ("day=1", "--leave-out day=1: write source=NAME, year=YYYY or language=CODE"),
    ):
        refused = model(*arguments, *leave_out, "--leave-out", condition)
        assert refused.exit_code == 2 and error in " ".join(refused.stderr.split())


@pytest.mark.parametrize("kind", ["roberta", "xlm-roberta"])
def test_a_killed_training_resumes_to_identical_weights(
    kind: str, data: Path, base: Path, multilingual: Path, tmp_path: Path
) -> None:
    import torch
    from mlflow import MlflowClient
    from safetensors.torch import load_file

    registry = f"sqlite:///{tmp_path / 'registry.db'}"
    files: list[str | Path] = ["--data", data, "--base", base if kind == "roberta" else multilingual]
    frozen = [] if kind == "roberta" else ["--freeze-embeddings"]
    settings = ["model", "train", *files, *frozen, "--epochs", "2", "--learning-rate", "2e-3"]
    whole = process.run(*settings, "--out", tmp_path / "whole", "--json")
    assert whole.returncode == 0, whole.stderr

    killed: list[str | Path] = [*settings, "--out", tmp_path / "killed", "--registry", registry, "--json"]
    running = process.Running(tmp_path / "log", *killed)
    # Kill the training in its second epoch of 50 steps, at a checkpoint or shortly after it.
    average = tmp_path / "killed" / "checkpoints" / "checkpoint-64" / "average.pt"
    until(average.exists, 200, "a checkpoint in the second epoch", every=0.02)
    running.kill()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    # The training must not resume from this incomplete checkpoint.
    (tmp_path / "killed" / "checkpoints" / "checkpoint-99").mkdir()
    resumed = process.run(*killed)
    assert resumed.returncode == 0, resumed.stderr
    assert "continuing after step" in resumed.stderr

    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    figures, others = json.loads(whole.stdout), json.loads(resumed.stdout)
    assert {**figures, "seconds": 0} == {**others, "seconds": 0}

    client = MlflowClient(registry, registry)
    experiment = client.get_experiment_by_name("tweet-sentiment")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    _check_run(client, run, data, figures)


def _check_run(client: Any, run: Any, data: Path, figures: dict[str, Any]) -> None:
    """Assert that one run has both parts: settings, data, metrics from the first to the last step, and the charts."""
    assert run.info.status == "FINISHED"
    assert run.data.params["learning_rate"] == "0.002" and run.data.params["train_rows"] == "1600"
    assert run.data.metrics["macro_recall"] == pytest.approx(figures["macro_recall"])
    for curve in ("loss", "learning_rate", "validation_macro_recall"):
        steps = {point.step for point in client.get_metric_history(run.info.run_id, curve)}
        assert {25, 50, 75, 100} <= steps
    used = {entry.dataset.name: entry.dataset for entry in run.inputs.dataset_inputs}
    assert json.loads(used[f"{data.name}/train"].profile) == {
        "num_rows": 1600,
        "sha256": LabelledTweets((data,)).version("train").sha256,
    }
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"confusion_matrix.png", "reliability.png"}


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        (("LABEL_0", "LABEL_1", "LABEL_2"), (0, 1, 2)),
        (("negative", "neutral", "positive"), (0, 1, 2)),
        (("Positive", "Negative", "Neutral"), (1, 2, 0)),
        (("contradiction", "neutral", "entailment"), None),
        (("no", "yes"), None),
    ],
)
def test_the_head_of_a_classifier_is_kept_if_its_labels_match(
    labels: tuple[str, ...], kept: tuple[int, ...] | None, tmp_path: Path
) -> None:
    """The outputs are put into the order of LABELS; a classifier with other labels gets a new head."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from spark_apps.model.training.base import load_base

    folder = write_base(tmp_path / "base", labels, plain_vocabulary=True)
    original = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    loaded = load_base(str(folder))
    tokens = loaded.tokenizer(["I love the flight at @user"], return_tensors="pt")
    before, after = original(**tokens).logits, loaded.model.eval()(**tokens).logits
    assert after.shape == (1, 3)
    assert loaded.model.config.id2label == dict(enumerate(LABELS))
    if kept is None:
        assert "which gets a new head" in loaded.head and labels[0] in loaded.head
        assert not torch.allclose(before[:, :1], after[:, :1])
    else:
        assert "which keeps its head" in loaded.head
        assert torch.allclose(before[:, list(kept)], after, atol=1e-6)


def test_vocab_and_merges_become_one_tokenizer_file(data: Path, tmp_path: Path) -> None:
    from tokenizers import ByteLevelBPETokenizer, Tokenizer

    folder = write_base(tmp_path / "base", ("positive", "neutral", "negative"), plain_vocabulary=True)
    assert not (folder / TOKENIZER_FILE).exists()
    done = train("--data", data, "--base", folder, "--out", tmp_path / "out", "--epochs", "0.05")
    assert done.exit_code == 0, done.output
    text = "I hate what @user did to the café 😡 http"
    trained = Tokenizer.from_file(str(tmp_path / "out" / TOKENIZER_FILE))
    parts = ByteLevelBPETokenizer.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    start, end = (parts.token_to_id(token) for token in ("<s>", "</s>"))
    assert trained.encode(text).ids == [start, *parts.encode(text).ids, end]
    assert json.loads((tmp_path / "out" / "config.json").read_text())["id2label"]["0"] == "negative"


def test_wrong_data_bases_and_settings_are_refused(data: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    good: list[str | Path] = ["--data", data, "--base", base, "--out", out, "--epochs", "0.02"]
    assert "train_text.txt is missing" in refusal("--data", tmp_path, "--base", base, "--out", out)
    two = write_data(tmp_path / "two", train=40, val=9)
    (two / "train_labels.txt").write_text("0\n1\n" * 20)
    assert "no tweet of the train split has the label 2" in refusal("--data", two, "--base", base, "--out", out)
    (two / "train_labels.txt").write_text("0\n1\n3\n2\n" * 10)
    assert "train_labels.txt, line 3: '3' is not a label" in refusal("--data", two, "--base", base, "--out", out)
    assert "the folder does not exist" in refusal("--data", data, "--base", "./none", "--out", out)
    assert "cannot train from" in refusal("--data", data, "--base", data, "--out", out)
    assert "MLflow at http://127.0.0.1:9 does not accept a run" in refusal(*good, "--registry", "http://127.0.0.1:9")
    assert train(*good).exit_code == 0
    assert "training run with other settings (seed 7, not 8)" in refusal(*good, "--seed", "8")
    assert "contains files that are not of a training run" in refusal("--data", data, "--base", base, "--out", base)


def test_an_unreachable_hub_is_named(data: Path, tmp_path: Path) -> None:
    id_ = "cardiffnlp/twitter-roberta-base-sentiment-latest"
    hidden = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "cache")}
    done = process.run("model", "train", "--data", data, "--base", id_, "--out", tmp_path / "out", env=hidden)
    assert done.returncode == 2
    error = " ".join(done.stderr.split())
    assert f"error: --base {id_}: not a folder, and the Hugging Face Hub does not answer: connect to" in error
    assert "Retrying" not in error and not (tmp_path / "out").exists()
