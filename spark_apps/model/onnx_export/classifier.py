"""A fine-tuned classifier, loaded from a folder or from the Hugging Face Hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from spark_apps.errors import first_line
from spark_apps.labels import LABELS, sentiment_labels
from spark_apps.model.architectures import ROBERTAS
from spark_apps.model.onnx_export.graph import Shape
from spark_apps.scoring.description import ModelError
from spark_apps.scoring.text import MAX_TOKENS, normalise


@dataclass(frozen=True)
class Classifier:
    """A classifier that torch runs; `labels` are names from LABELS in the order of its outputs."""

    network: Any
    tokenizer: Any
    labels: tuple[str, ...]
    max_length: int

    @property
    def is_roberta(self) -> bool:
        """Whether graph.py can write the network; Optimum exports other networks."""
        config = self.network.config
        return config.model_type in ROBERTAS and config.hidden_act == "gelu"

    @property
    def shape(self) -> Shape:
        """The dimensions that graph.py needs; for RoBERTa only."""
        config = self.network.config
        return Shape(config.num_hidden_layers, config.num_attention_heads, config.layer_norm_eps, config.pad_token_id)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the weights by their names in the checkpoint."""
        return {name: value.numpy() for name, value in self.network.state_dict().items()}

    @torch.inference_mode()
    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return torch's probabilities for `texts`, shape (n, 3), columns in the order of LABELS."""
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        probabilities = np.empty((len(texts), len(LABELS)), np.float32)
        for start in range(0, len(order), 64):
            rows = order[start : start + 64]
            batch = self.tokenizer(
                [normalise(texts[row]) for row in rows],
                padding=True,
                truncation=True,
                max_length=self.max_length,
                return_tensors="pt",
            )
            # Some tokenizers also return segment ids, which not every network accepts and a single text does not need.
            logits = self.network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            probabilities[rows] = logits.softmax(dim=1).numpy()
        return probabilities[:, [self.labels.index(label) for label in LABELS]]


def load_classifier(source: str | Path) -> Classifier:
    """Load the classifier in the folder `source`, or with that id on the Hugging Face Hub.

    Raises:
        ModelError: the classifier cannot be loaded, or has other labels.
    """
    if Path(source).is_dir() and not (Path(source) / "config.json").is_file():
        raise ModelError(f"{source} is not the folder of a trained model: config.json is missing")
    try:
        config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ModelError(_load_error(source, error)) from error
    labels = sentiment_labels(config.id2label)
    if labels is None:
        raise ModelError(
            f"{source} has the labels {', '.join(map(str, config.id2label.values()))}, not {', '.join(LABELS)} (in any "
            "order) or LABEL_0, LABEL_1, LABEL_2 (in this order): set id2label in its config.json"
        )
    try:
        network = AutoModelForSequenceClassification.from_pretrained(source, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True)
    except (OSError, ValueError) as error:
        raise ModelError(_load_error(source, error)) from error
    # RoBERTa's position embeddings up to the padding id are never used.
    longest = getattr(config, "max_position_embeddings", 2 * MAX_TOKENS) - (config.pad_token_id or 0) - 1
    return Classifier(network, tokenizer, labels, min(MAX_TOKENS, longest))


def _load_error(source: str | Path, error: Exception) -> str:
    if Path(source).is_dir():
        return f"cannot load the classifier in {source} ({first_line(error)}): export a folder from `model train`"
    return (
        f"{source} is not a folder, and the Hugging Face Hub does not provide it: check the name, the network, and "
        "that HF_HUB_OFFLINE is not set; or give the folder of a downloaded checkpoint"
    )
