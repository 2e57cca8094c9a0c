"""The settings of transformers' Trainer for a recipe."""

from pathlib import Path

import torch
from transformers import TrainingArguments

from spark_apps.model.training.recipe import Recipe

_EVALUATIONS_PER_EPOCH = 2
_CHECKPOINTS_PER_EPOCH = 6


def training_arguments(checkpoints: Path, recipe: Recipe, tweets: int) -> TrainingArguments:
    """Return the settings for a train split of `tweets` tweets; the Trainer writes its checkpoints to `checkpoints`."""
    steps = -(-tweets // recipe.batch_size)
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=64,
        warmup_ratio=recipe.warmup,
        lr_scheduler_type="linear",
        group_by_length=True,  # batches of texts of similar length have little padding
        use_cpu=not torch.cuda.is_available(),
        bf16=recipe.bf16 or (torch.cuda.is_available() and torch.cuda.is_bf16_supported()),
        eval_strategy="steps",
        eval_steps=max(1, steps // _EVALUATIONS_PER_EPOCH),
        save_strategy="steps",
        save_steps=max(1, steps // _CHECKPOINTS_PER_EPOCH),
        save_total_limit=2,  # the previous checkpoint remains until the new one is complete
        logging_steps=min(50, max(1, steps // 10)),
        report_to=[],
        seed=recipe.seed,
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
