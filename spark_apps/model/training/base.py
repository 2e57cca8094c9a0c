"""The RoBERTa or XLM-RoBERTa that training starts from: an encoder, or a classifier.

A head for the labels in LABELS is kept.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from spark_apps.errors import first_line
from spark_apps.labels import LABELS, sentiment_labels
from spark_apps.model.architectures import ROBERTAS
from spark_apps.scoring.description import ModelError

_HUB_SECONDS = 10
_ID2LABEL = dict(enumerate(LABELS))
_LABEL2ID = {label: output for output, label in enumerate(LABELS)}


@dataclass(frozen=True)
class Base:
    """A checkpoint that is ready for training, with three outputs in the order of LABELS.

    `head` describes the checkpoint and what happened to its own head, for the user.
    """

    model: Any
    tokenizer: Any
    head: str


def load_base(base: str) -> Base:
    """Load the checkpoint `base`, a folder or a model id of the Hugging Face Hub.

    A new head gets random weights, so seed torch before.

    Raises:
        ModelError: the checkpoint is missing, or is not a RoBERTa or XLM-RoBERTa with a fast tokenizer.
    """
    source = _locate(base)
    try:
        config = AutoConfig.from_pretrained(source)
        if config.model_type not in ROBERTAS:
            raise ValueError(f"it is a {config.model_type}, not a RoBERTa or XLM-RoBERTa")
        tokenizer = AutoTokenizer.from_pretrained(source)
        if not tokenizer.is_fast or len(tokenizer) > config.vocab_size:
            raise ValueError(
                "it has no fast tokenizer (tokenizer.json, or vocab.json and merges.txt)"
                if not tokenizer.is_fast
                else f"its tokenizer has {len(tokenizer):,} tokens, but its weights have {config.vocab_size:,}"
            )
        model, head = _classifier(source, config)
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise ModelError(
            f"cannot train from {base}: {first_line(error)}; give a checkpoint of a RoBERTa or XLM-RoBERTa with "
            "config.json, weights and tokenizer"
        ) from error
    model.config.id2label, model.config.label2id = dict(_ID2LABEL), dict(_LABEL2ID)
    return Base(model, tokenizer, head)


def _locate(base: str) -> str:
    """Return the folder or model id from which transformers can load `base`."""
    folder = Path(base).expanduser()
    if folder.is_dir():
        return str(folder)
    if base.startswith((".", "/", "~")) or base.count("/") > 1:
        raise ModelError(f"--base {base}: the folder does not exist")
    try:
        # Check with one request and a timeout: transformers itself would retry for half a minute per file.
        HfApi().model_info(base, timeout=_HUB_SECONDS)
    except RepositoryNotFoundError:
        raise ModelError(
            f"--base {base}: neither a folder nor a public model on the Hugging Face Hub "
            "(for a private model, set HF_TOKEN)"
        ) from None
    except OSError:
        try:
            return snapshot_download(base, local_files_only=True)
        except (LocalEntryNotFoundError, OSError):
            raise ModelError(
                f"--base {base}: not a folder, and the Hugging Face Hub does not answer: connect to the network, "
                "or give the folder of a downloaded checkpoint"
            ) from None
    return base


def _classifier(source: str, config: Any) -> tuple[Any, str]:
    """Load the weights with three outputs; return the model and the description of its head."""
    config_of_labels = {"num_labels": len(LABELS), "id2label": dict(_ID2LABEL), "label2id": dict(_LABEL2ID)}
    # On a CPU, the plain products train a tenth faster than the fused attention.
    attention = "sdpa" if torch.cuda.is_available() else "eager"
    load = partial(
        AutoModelForSequenceClassification.from_pretrained, source, dtype=torch.float32, attn_implementation=attention
    )
    architectures = config.architectures or []
    if not any(name.endswith("ForSequenceClassification") for name in architectures):
        model = load(**config_of_labels)
        return model, "an encoder with a new head"
    labels = sentiment_labels(config.id2label)
    names = ", ".join(str(name) for _, name in sorted(config.id2label.items()))
    if labels is None:
        model = load(ignore_mismatched_sizes=True, **config_of_labels)
        # from_pretrained keeps a head of three outputs, although its labels have other meanings.
        model.classifier = type(model.classifier)(model.config)
        model.classifier.apply(model._init_weights)
        model.config.problem_type = None
        return model, f"a classifier with other labels ({names}), which gets a new head"
    model = load()
    # Reorder the outputs to the order of LABELS.
    last = model.classifier.out_proj
    outputs = [labels.index(label) for label in LABELS]
    with torch.no_grad():
        last.weight.copy_(last.weight[outputs].clone())
        last.bias.copy_(last.bias[outputs].clone())
    model.config.problem_type = None
    return model, f"a classifier of {names}, which keeps its head as {', '.join(LABELS)}"
