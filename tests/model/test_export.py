"""Exports of small RoBERTas agree with torch; `make test-train` installs torch and runs these tests."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from spark_apps.demo import texts
from spark_apps.labels import LABELS
from spark_apps.registry.client import BUNDLED
from spark_apps.scoring.description import (
    EMBEDDINGS_FILE,
    FALLBACK_FILE,
    MODEL_FILE,
    TOKENIZER_FILE,
    Description,
    ModelError,
)
from spark_apps.scoring.scorer import Scorer
from tests.benchmarks.checkpoints import torch_model
from tests.model.folders import write_plain_vocabulary

pytestmark = [pytest.mark.train, pytest.mark.timeout(900)]


def _tweets(count: int) -> list[str]:
    random = Random(4)
    return [texts.write(random, random.choice(LABELS), "en", random.choice(list(texts.TOPICS))) for _ in range(count)]


def _checkpoint(folder: Path, labels: Sequence[str], plain_vocabulary: bool = False, **changes: Any) -> Path:
    """Write a RoBERTa with random weights in the layout of the Hub. Its probabilities hardly depend on the text."""
    import torch
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForSequenceClassification, set_seed

    set_seed(3)
    shape: dict[str, Any] = {
        "vocab_size": 50_265, "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 12,
        "intermediate_size": 96, "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
        "id2label": dict(enumerate(labels)), "label2id": {label: number for number, label in enumerate(labels)},
    }  # fmt: skip
    network = RobertaForSequenceClassification(RobertaConfig(**shape | changes))
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() == 2:
                weight.mul_(4)
            else:
                weight.add_(0.1 * torch.randn_like(weight))
    network.save_pretrained(folder)
    if plain_vocabulary:
        write_plain_vocabulary(folder)
    else:
        special = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
        PreTrainedTokenizerFast(tokenizer_file=str(BUNDLED / TOKENIZER_FILE), **special).save_pretrained(folder)
    return folder


# The size of roberta-base and of the twitter-roberta-base models.
_BASE_SIZE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}


@pytest.mark.parametrize(
    ("labels", "project_labels", "changes"),
    [
        (("negative", "neutral", "positive"), ("negative", "neutral", "positive"), _BASE_SIZE),
        (("LABEL_0", "LABEL_1", "LABEL_2"), ("negative", "neutral", "positive"), {}),
        (("POSITIVE", "Negative", "neutral"), ("positive", "negative", "neutral"), {}),
    ],
)
def test_labels_are_mapped_to_the_project_labels(
    labels: tuple[str, ...], project_labels: tuple[str, ...], changes: dict[str, int], tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from spark_apps.model.onnx_export.export import export
    from spark_apps.scoring.text import normalise

    model, sample = _checkpoint(tmp_path / "model", labels, not changes, **changes), _tweets(60)
    description = export(model, tmp_path / "out", "fp32", sample, {})
    assert description.labels == project_labels
    scored = Scorer(tmp_path / "out", 1).score(sample)
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForSequenceClassification.from_pretrained(model).eval()
    with torch.inference_mode():
        batch = tokenizer([normalise(text) for text in sample], padding=True, return_tensors="pt")
        expected = network(**batch).logits.softmax(dim=1).numpy()
    np.testing.assert_allclose(scored, expected[:, [project_labels.index(label) for label in LABELS]], atol=1e-4)
    # The mean probabilities of the labels differ enough to reveal a wrong order.
    assert min(abs(np.diff(np.sort(scored.mean(axis=0))))) > 0.01


def test_other_labels_networks_and_precisions_are_refused(tmp_path: Path) -> None:
    from spark_apps.model.onnx_export.export import export

    joy = _checkpoint(tmp_path / "joy", ("joy", "anger", "fear"))
    with pytest.raises(ModelError, match="has the labels joy, anger, fear, not negative, neutral, positive"):
        export(joy, tmp_path / "out", "fp32", _tweets(4), {})
    relu = _checkpoint(tmp_path / "relu", LABELS, hidden_act="relu")
    with pytest.raises(ModelError, match="only RoBERTa and XLM-RoBERTa with gelu can be exported in int8; use fp16"):
        export(relu, tmp_path / "out", "int8", _tweets(4), {})
    with pytest.raises(ModelError, match="precision 'fp8' is unknown: use fp32, fp16, int8"):
        export(joy, tmp_path / "out", "fp8", _tweets(4), {})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["bert", "distilbert", "deberta-v2", "roberta"])
def test_other_networks_are_exported_with_optimum(kind: str, tmp_path: Path) -> None:
    """The weights are random. The RoBERTa has another activation function than the hand-written graph."""
    from spark_apps.model.onnx_export.classifier import load_classifier
    from spark_apps.model.onnx_export.export import export

    sample = _tweets(60)
    model = _checkpoint(tmp_path / "model", LABELS, hidden_act="relu") if kind == "roberta" else _other(kind, tmp_path)
    export(model, tmp_path / "out", "fp32", sample, {})
    expected = load_classifier(model).probabilities(sample)
    np.testing.assert_allclose(Scorer(tmp_path / "out", 1).score(sample), expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.01  # the texts have different probabilities
    full = (tmp_path / "out" / MODEL_FILE).stat().st_size
    export(model, tmp_path / "out", "fp16", sample, {})
    assert (tmp_path / "out" / MODEL_FILE).stat().st_size < 0.7 * full


def _other(kind: str, folder: Path) -> Path:
    """Write a classifier of another architecture, with a vocabulary of whole words."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, BertTokenizerFast, set_seed

    set_seed(3)
    words = sorted({word for text in _tweets(300) for word in text.lower().split()})
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]), encoding="utf-8")
    sizes: dict[str, Any] = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 2_000}
    config = AutoConfig.for_model(kind, **sizes, intermediate_size=96, id2label=dict(enumerate(LABELS)))
    network = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() == 2:
                weight.mul_(4)
    network.save_pretrained(folder / "model")
    BertTokenizerFast(vocab_file=str(vocabulary)).save_pretrained(folder / "model")
    return folder / "model"


def test_an_unreachable_hub_id_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    from spark_apps.model.onnx_export.export import export

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="the Hugging Face Hub does not provide it: check the name"):
        export("cardiffnlp/no-such-model-here", tmp_path / "out", "fp32", _tweets(4), {})


def test_an_int8_export_has_a_check_set_and_a_fallback_file(tmp_path: Path) -> None:
    from spark_apps.model.onnx_export.export import export

    model, sample = _checkpoint(tmp_path / "model", LABELS), _tweets(400)
    out = tmp_path / "out"
    export(model, out, "fp32", sample, {})
    description = export(model, out, "int8", sample, {})
    assert description == Description.read(out) and description.metrics["agreement_with_torch"] >= 0.99
    assert sorted(description.files()) == sorted(file.name for file in out.iterdir())
    for file in (MODEL_FILE, FALLBACK_FILE):
        assert (out / file).stat().st_size < (out / EMBEDDINGS_FILE).stat().st_size
    scorer = Scorer(out, 1)
    if scorer.precision == "int8":  # not on every CPU
        one = scorer.score(sample[:1])
        np.testing.assert_allclose(scorer.score(sample)[:1], one, atol=1e-4)
    export(model, out, "fp16", sample, {})
    assert not (out / FALLBACK_FILE).exists() and not (out / EMBEDDINGS_FILE).exists()


def test_an_int8_export_that_loses_labels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probabilities of the model are nearly equal, and int8 has 3 levels instead of 255."""
    from spark_apps.model.onnx_export import quantise
    from spark_apps.model.onnx_export.classifier import load_classifier
    from spark_apps.model.onnx_export.export import export

    model = _checkpoint(tmp_path / "model", LABELS)
    loaded = load_classifier(model)
    with np.errstate(divide="ignore"):
        preference = np.log(loaded.probabilities(_tweets(400))).mean(axis=0)
    loaded.network.classifier.out_proj.bias.data -= loaded.network.classifier.out_proj.bias.new_tensor(preference)
    loaded.network.save_pretrained(model)
    monkeypatch.setattr(quantise, "_LARGEST", 1)
    with pytest.raises(ModelError, match=r"the int8 export gives torch's label to \d\d\.\d\d% of 350 texts"):
        export(model, tmp_path / "out", "int8", _tweets(400), {})
    assert list(tmp_path.iterdir()) == [model]


def test_an_export_can_be_converted_back_to_torch(tmp_path: Path) -> None:
    """The export folds biases into others: the probabilities are the same, the weights are not."""
    from spark_apps.model.onnx_export.classifier import load_classifier
    from spark_apps.model.onnx_export.export import export

    model, sample = _checkpoint(tmp_path / "model", LABELS), _tweets(40)
    export(model, tmp_path / "out", "fp32", sample, {})
    back = load_classifier(torch_model(tmp_path / "out", tmp_path / "back"))
    np.testing.assert_allclose(back.probabilities(sample), load_classifier(model).probabilities(sample), atol=1e-5)


def test_the_export_agrees_with_optimum(tmp_path: Path) -> None:
    """Optimum traces torch; the graph that is written from the weights must give the same probabilities."""
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoTokenizer

    from spark_apps.model.onnx_export.export import export
    from spark_apps.scoring.text import normalise

    folder, tweets = torch_model(BUNDLED, tmp_path / "torch"), _tweets(40)
    export(folder, tmp_path / "ours", "fp32", tweets, {})
    traced = ORTModelForSequenceClassification.from_pretrained(folder, export=True)
    tokens = AutoTokenizer.from_pretrained(folder)(
        [normalise(text) for text in tweets], padding=True, return_tensors="pt"
    )
    expected = traced(**tokens).logits.softmax(dim=1).numpy()
    np.testing.assert_allclose(Scorer(tmp_path / "ours", 1).score(tweets), expected, atol=1e-5)
