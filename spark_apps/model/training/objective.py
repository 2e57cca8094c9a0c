"""Loss and optimiser of a recipe."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from spark_apps.labels import LABELS
from spark_apps.model.training.recipe import Recipe

Loss = Callable[..., torch.Tensor]


def balanced_loss(recipe: Recipe, labels: Sequence[int]) -> Loss:
    """Return the Trainer's cross entropy; the weight of a class is its share of `labels` to the power of -`balance`."""
    shares = np.bincount(labels, minlength=len(LABELS)) / len(labels)
    weights = torch.tensor(shares**-recipe.balance, dtype=torch.float32)
    # The mean weight of a text is 1 for every balance, so that the same learning rates fit.
    weights /= (weights * torch.tensor(shares, dtype=torch.float32)).sum()

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:  # noqa: ARG001
        return functional.cross_entropy(
            outputs.logits, labels, weights.to(outputs.logits.device), label_smoothing=recipe.label_smoothing
        )

    return loss


def optimiser(recipe: Recipe, model: Any) -> torch.optim.Optimizer:
    """Return AdamW with learning rates that decay layer by layer, from the head down to the embeddings."""
    head = model.config.num_hidden_layers + 1
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, weights in model.named_parameters():
        if not weights.requires_grad:
            continue
        rate = recipe.learning_rate * recipe.layer_decay ** (head - _depth(name, head))
        # Biases and norms get no weight decay.
        decay = 0.0 if weights.ndim < 2 else recipe.weight_decay
        groups.setdefault((rate, decay), []).append(weights)
    settings = [{"params": weights, "lr": rate, "weight_decay": decay} for (rate, decay), weights in groups.items()]
    return torch.optim.AdamW(settings, betas=(0.9, 0.98), eps=1e-6, fused=True)


def _depth(name: str, head: int) -> int:
    """Return the depth of a parameter: 0 for embeddings, 1 and up for the layers, `head` for the head."""
    if "embeddings." in name:
        return 0
    return int(name.split(".layer.")[1].split(".")[0]) + 1 if ".layer." in name else head
