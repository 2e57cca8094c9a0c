"""Training and export on a small RoBERTa of the tests' own: `make test-train`, which installs torch."""

import json
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from spark_apps.cli import app
from spark_apps.demo import texts
from spark_apps.model.data import LABELS
from spark_apps.model.metrics import macro_f1, macro_recall, recalls
from spark_apps.model.registry import BUNDLED
from spark_apps.scoring.scorer import MODEL_FILE, TOKENIZER_FILE, Description, Scorer


def test_figures_by_hand() -> None:
    import numpy as np

    truth, predicted = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 2, 0])
    assert recalls(truth, predicted) == [0.5, 1.0, 0.5]
    assert macro_recall(truth, predicted) == pytest.approx(2 / 3)
    assert macro_f1(truth, predicted) == pytest.approx((0.5 + 0.8 + 2 / 3) / 3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tweets whose mood is beyond doubt, in the layout of TweetEval."""
    folder = tmp_path_factory.mktemp("data")
    random = Random(1)
    for split, count in (("train", 1_600), ("val", 200)):
        labels = [random.randrange(3) for _ in range(count)]
        lines = [texts.write(random, LABELS[label], "en", random.choice(list(texts.TOPICS))) for label in labels]
        (folder / f"{split}_text.txt").write_text("\n".join(lines) + "\n")
        (folder / f"{split}_labels.txt").write_text("\n".join(map(str, labels)) + "\n")
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa with random weights, small enough to learn these tweets in seconds."""
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForMaskedLM, set_seed

    set_seed(1)
    folder = tmp_path_factory.mktemp("base")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(BUNDLED / TOKENIZER_FILE), pad_token="<pad>", unk_token="<unk>", mask_token="<mask>"
    )
    tokenizer.save_pretrained(folder)
    config = RobertaConfig(
        vocab_size=50_265, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=514, type_vocab_size=1,
    )  # fmt: skip
    RobertaForMaskedLM(config).save_pretrained(folder)
    return folder


@pytest.mark.train
@pytest.mark.timeout(900)
def test_train_export_evaluate_and_refuse(data: Path, base: Path, tmp_path: Path) -> None:
    from spark_apps.model import train as training

    trained = tmp_path / "trained"
    recall = training.train(data, str(base), trained, epochs=6, learning_rate=2e-3)
    assert recall > 0.9

    for precision in ("fp32", "fp16"):
        out = tmp_path / precision
        arguments = ["model", "export", "--model", trained, "--data", data, "--out", out, "--precision", precision]
        done = CliRunner().invoke(app, list(map(str, arguments)))
        assert done.exit_code == 0, done.output
        description = Description.read(out)
        assert description.metrics["agreement_with_torch"] >= 0.999 and description.precision == precision
    assert (tmp_path / "fp16" / MODEL_FILE).stat().st_size < 0.6 * (tmp_path / "fp32" / MODEL_FILE).stat().st_size

    shown = CliRunner().invoke(
        app, ["model", "evaluate", "--model", str(tmp_path / "fp16"), "--data", str(data), "--split", "val", "--json"]
    )
    figures = json.loads(shown.stdout.splitlines()[-1])
    assert figures["macro_recall"] == pytest.approx(recall, abs=0.01) and figures["tweets"] == 200
    found = Scorer(tmp_path / "fp16", 1).score(["I love the flight at @northwindair, best start of the day"])
    assert LABELS[found[0].argmax()] == "positive"

    refused = CliRunner().invoke(
        app, ["model", "export", "--model", str(data), "--data", str(data), "--out", str(tmp_path / "none")]
    )
    assert refused.exit_code == 2 and "is no folder of a trained model" in " ".join(refused.stderr.split())
    assert not (tmp_path / "none").exists()
