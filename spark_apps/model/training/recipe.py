"""The settings by which a model is fine-tuned; no torch here: the command shows their defaults."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Settings of one training.

    The learning rate is that of the head and falls by the factor `layer_decay` with each layer below it. `balance` is
    the exponent of the inverse shares of the classes that weigh the loss: 0 weighs texts alike, which suits accuracy,
    1 weighs classes alike, which suits macro recall. `average` is the decay, a step, of the moving average of the
    weights that becomes the model. `bf16` multiplies matrices in bfloat16: 1.5 times as fast on a processor that can
    (AVX512_BF16 or AMX), slower on others; a GPU that can does so anyway.
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
