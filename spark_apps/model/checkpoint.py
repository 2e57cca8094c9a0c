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

from spark_apps.model.data import LABELS, our_labels
from spark_apps.model.graph import Shape
from spark_apps.scoring.description import ModelError
from spark_apps.scoring.text import normalise

MAX_LENGTH = 128
# Those whose layers are RoBERTa's, weight for weight.
_FAMILIES = ("roberta", "xlm-roberta")


@dataclass(frozen=True)
class Checkpoint:
    """A classifier as torch runs it; `labels` are ours, in the order of its outputs."""

    network: Any
    tokenizer: Any
    labels: tuple[str, ...]
    max_length: int

    @property
    def shape(self) -> Shape:
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
            found[rows] = self.network(**batch).logits.softmax(dim=1).numpy()
        return found[:, [self.labels.index(label) for label in LABELS]]


def load(source: str | Path) -> Checkpoint:
    """Load the checkpoint in the folder `source`, or of that id on the hub; `ModelError` where it cannot be used."""
    if Path(source).is_dir() and not (Path(source) / "config.json").is_file():
        raise ModelError(f"{source} is no folder of a trained model: it has no config.json")
    try:
        config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ModelError(_not_had(source, error)) from error
    if config.model_type not in _FAMILIES or config.hidden_act != "gelu":
        raise ModelError(
            f"{source} is a {config.model_type} with {getattr(config, 'hidden_act', 'another activation')}; "
            f"{' and '.join(_FAMILIES)} with gelu can be exported"
        )
    labels = our_labels(config.id2label)
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
    # The first places of the embeddings, up to the padding's number, are of no token.
    longest = config.max_position_embeddings - config.pad_token_id - 1
    return Checkpoint(network, tokenizer, labels, min(MAX_LENGTH, longest))


def _not_had(source: str | Path, error: Exception) -> str:
    if Path(source).is_dir():
        return f"the checkpoint in {source} cannot be loaded: {json.dumps(str(error).splitlines()[0])}"
    return (
        f"{source} is no folder here, and cannot be had from the Hugging Face hub: look at the name and at the network "
        "(and that HF_HUB_OFFLINE is not set), or download the checkpoint elsewhere and name its folder"
    )
