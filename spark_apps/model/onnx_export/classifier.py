"""A fine-tuned checkpoint, from a folder or from the Hugging Face hub, with its labels under our names."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from spark_apps.labels import LABELS, sentiment_labels
from spark_apps.model.onnx_export.graph import Shape
from spark_apps.scoring.description import ModelError
from spark_apps.scoring.text import normalise

MAX_LENGTH = 128
# Those whose layers are RoBERTa's, weight for weight.
_ROBERTAS = ("roberta", "xlm-roberta")


@dataclass(frozen=True)
class Checkpoint:
    """A classifier as torch runs it; `labels` are ours, in the order of its outputs."""

    network: Any
    tokenizer: Any
    labels: tuple[str, ...]
    max_length: int

    @property
    def is_roberta(self) -> bool:
        """Whether `graph.py` writes its network; that of another is traced."""
        config = self.network.config
        return config.model_type in _ROBERTAS and config.hidden_act == "gelu"

    @property
    def shape(self) -> Shape:
        """The sizes of a RoBERTa."""
        config = self.network.config
        return Shape(config.num_hidden_layers, config.num_attention_heads, config.layer_norm_eps, config.pad_token_id)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        return {name: value.numpy() for name, value in self.network.state_dict().items()}

    @torch.inference_mode()
    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return what torch gives for `texts`, shape (n, 3), columns in the order of LABELS."""
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        found = np.empty((len(texts), len(LABELS)), np.float32)
        for start in range(0, len(order), 64):
            rows = order[start : start + 64]
            batch = self.tokenizer(
                [normalise(texts[row]) for row in rows],
                padding=True,
                truncation=True,
                max_length=self.max_length,
                return_tensors="pt",
            )
            # Some tokenizers give segments as well, also for networks that know none: a tweet is one.
            logits = self.network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            found[rows] = logits.softmax(dim=1).numpy()
        return found[:, [self.labels.index(label) for label in LABELS]]


def load(source: str | Path) -> Checkpoint:
    """Load the checkpoint in the folder `source`, or of that id on the hub; `ModelError` where it cannot be used."""
    if Path(source).is_dir() and not (Path(source) / "config.json").is_file():
        raise ModelError(f"{source} is no folder of a trained model: it has no config.json")
    try:
        config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ModelError(_not_had(source, error)) from error
    labels = sentiment_labels(config.id2label)
    if labels is None:
        raise ModelError(
            f"{source} has the labels {', '.join(map(str, config.id2label.values()))}: {', '.join(LABELS)} (in any "
            "order) or LABEL_0, LABEL_1, LABEL_2 (in that order) are wanted; set id2label in its config.json"
        )
    try:
        network = AutoModelForSequenceClassification.from_pretrained(source, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True)
    except (OSError, ValueError) as error:
        raise ModelError(_not_had(source, error)) from error
    # The first places of RoBERTa's embeddings, up to the padding's number, are of no token.
    longest = getattr(config, "max_position_embeddings", 2 * MAX_LENGTH) - (config.pad_token_id or 0) - 1
    return Checkpoint(network, tokenizer, labels, min(MAX_LENGTH, longest))


def _not_had(source: str | Path, error: Exception) -> str:
    if Path(source).is_dir():
        return f"the checkpoint in {source} cannot be loaded: {json.dumps(str(error).splitlines()[0])}"
    return (
        f"{source} is no folder here, and cannot be had from the Hugging Face hub: look at the name and at the network "
        "(and that HF_HUB_OFFLINE is not set), or download the checkpoint elsewhere and name its folder"
    )
