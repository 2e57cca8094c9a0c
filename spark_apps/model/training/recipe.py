"""Hyperparameters of fine-tuning. This module does not import torch, because the command line shows their defaults."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of one training run.

    Attributes:
        epochs: passes over the train split.
        batch_size: tweets per step.
        learning_rate: peak learning rate of the head.
        layer_decay: factor of the learning rate from each layer to the layer below it.
        warmup: share of the steps in which the learning rate rises linearly.
        weight_decay: weight decay of AdamW, except for biases and norms.
        label_smoothing: share of the target probability that is spread evenly over the classes.
        balance: exponent of the inverse class shares that weight the loss. 0 weights all texts equally, which favours
            accuracy; 1 weights all classes equally, which favours macro recall.
        average: decay per step of the moving average of the weights. The average becomes the model.
        seed: seed of the initial weights and of the order of the tweets.
        bf16: whether to train in bfloat16: twice as fast on processors with AVX512_BF16 or AMX, slower on others. A
            GPU that supports bfloat16 always uses it.
        freeze_embeddings: whether the word embeddings keep the weights of the base. Steps take a fifth less time, the
            optimiser's state shrinks, and words that are rare in the tweets keep their meaning.
    """

    epochs: float = 3
    batch_size: int = 32
    learning_rate: float = 2e-4
    layer_decay: float = 0.85
    warmup: float = 0.06
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    balance: float = 0.3
    average: float = 0.998
    seed: int = 7
    bf16: bool = False
    freeze_embeddings: bool = False
