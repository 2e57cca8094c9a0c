"""The RoBERTa that a training starts from: an encoder, or a classifier whose head is kept where its labels are ours."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from spark_apps.labels import LABELS, sentiment_labels
from spark_apps.scoring.description import ModelError

_HUB_SECONDS = 10


@dataclass(frozen=True)
class Base:
    """A checkpoint ready to be trained, with three outputs in the order of LABELS.

    `head` says what became of the checkpoint's own head, as a person reads it.
    """

    model: Any
    tokenizer: Any
    head: str


def load_base(base: str) -> Base:
    """Load the checkpoint `base`, a folder or an id of the Hugging Face Hub.

    A new head has random weights: seed torch first. `ModelError` names what is wrong, and the remedy.
    """
    source = _locate(base)
    try:
        config = AutoConfig.from_pretrained(source)
        if config.model_type != "roberta":
            raise ValueError(f"it is a {config.model_type}; a RoBERTa is wanted")
        tokenizer = AutoTokenizer.from_pretrained(source)
        if not tokenizer.is_fast or len(tokenizer) > config.vocab_size:
            raise ValueError(
                "its tokenizer has no fast form (tokenizer.json, or vocab.json and merges.txt)"
                if not tokenizer.is_fast
                else f"its tokenizer knows {len(tokenizer):,} tokens, its weights {config.vocab_size:,}"
            )
        model, head = _classifier(source, config)
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{base} cannot be trained from: {reason}; wanted are config.json, weights and tokenizer of a RoBERTa"
        ) from error
    model.config.id2label = dict(enumerate(LABELS))
    model.config.label2id = {label: output for output, label in enumerate(LABELS)}
    return Base(model, tokenizer, head)


def _locate(base: str) -> str:
    """Return the folder or the id from which transformers loads `base`."""
    folder = Path(base).expanduser()
    if folder.is_dir():
        return str(folder)
    if base.startswith((".", "/", "~")) or base.count("/") > 1:
        raise ModelError(f"--base {base}: there is no such folder")
    try:
        # Asked once, with a limit: transformers itself would try for half a minute for each file.
        HfApi().model_info(base, timeout=_HUB_SECONDS)
    except RepositoryNotFoundError:
        raise ModelError(
            f"--base {base}: neither a folder nor a public model of the Hugging Face Hub "
            "(for a private one, set HF_TOKEN)"
        ) from None
    except OSError:
        try:
            return snapshot_download(base, local_files_only=True)
        except (LocalEntryNotFoundError, OSError):
            raise ModelError(
                f"--base {base}: no such folder, and the Hugging Face Hub cannot be reached: connect to the network, "
                "or give the folder of a downloaded checkpoint"
            ) from None
    return base


def _classifier(source: str, config: Any) -> tuple[Any, str]:
    """Load the weights below three outputs, and say whose head they have."""
    ours = {
        "num_labels": len(LABELS),
        "id2label": dict(enumerate(LABELS)),
        "label2id": {label: output for output, label in enumerate(LABELS)},
    }
    architectures = config.architectures or []
    if not any(name.endswith("ForSequenceClassification") for name in architectures):
        model = AutoModelForSequenceClassification.from_pretrained(source, dtype=torch.float32, **ours)
        return model, "an encoder: its head is new"
    labels = sentiment_labels(config.id2label)
    names = ", ".join(str(name) for _, name in sorted(config.id2label.items()))
    if labels is None:
        model = AutoModelForSequenceClassification.from_pretrained(
            source, dtype=torch.float32, ignore_mismatched_sizes=True, **ours
        )
        # Three outputs of other meanings would be kept otherwise.
        model.classifier = type(model.classifier)(model.config)
        model.classifier.apply(model._init_weights)
        model.config.problem_type = None
        return model, f"a classifier of other labels ({names}): its head is new"
    model = AutoModelForSequenceClassification.from_pretrained(source, dtype=torch.float32)
    last = model.classifier.out_proj
    outputs = [labels.index(label) for label in LABELS]
    with torch.no_grad():
        last.weight.copy_(last.weight[outputs].clone())
        last.bias.copy_(last.bias[outputs].clone())
    model.config.problem_type = None
    return model, f"a classifier of {names}: its head is kept, as {', '.join(LABELS)}"
