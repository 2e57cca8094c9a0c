"""Fine-tuning of a RoBERTa encoder into a three-way sentiment classifier, with transformers' Trainer."""

from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    EvalPrediction,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from spark_apps.model.data import LABELS, Split, read_split
from spark_apps.model.metrics import macro_recall
from spark_apps.scoring.text import normalise

MAX_LENGTH = 128


class _Tweets(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __init__(self, split: Split, tokenizer) -> None:  # type: ignore[no-untyped-def]
        texts = [normalise(text) for text in split.texts]
        self.input_ids = tokenizer(texts, truncation=True, max_length=MAX_LENGTH)["input_ids"]
        self.labels = split.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, object]:
        ids = self.input_ids[index]
        return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": self.labels[index]}


def _metrics(prediction: EvalPrediction) -> dict[str, float]:
    predicted = np.asarray(prediction.predictions).argmax(axis=1)
    return {"macro_recall": macro_recall(np.asarray(prediction.label_ids), predicted)}


def train(data: Path, base: str, out: Path, epochs: float = 2, learning_rate: float = 1e-4, seed: int = 7) -> float:
    """Fine-tune `base` on the train split of `data`; write model and tokenizer to `out`.

    A second call on the same `out` goes on from the last checkpoint of a run that was cut off.
    Returns the macro recall (0 to 1) on the validation split.
    """
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForSequenceClassification.from_pretrained(
        base,
        dtype=torch.float32,
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    )
    train_split, validation = _Tweets(read_split(data, "train"), tokenizer), _Tweets(read_split(data, "val"), tokenizer)
    checkpoints = out / "checkpoints"
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=epochs,
        learning_rate=learning_rate,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=64,
        warmup_ratio=0.06,
        weight_decay=0.01,
        lr_scheduler_type="linear",
        group_by_length=True,  # padding, not attention, is what short texts waste time on
        bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
        eval_strategy="epoch",
        save_strategy="steps",
        save_steps=500,
        save_total_limit=1,
        logging_steps=50,
        report_to=[],
        seed=seed,
        dataloader_num_workers=0,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=train_split,
        eval_dataset=validation,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=_metrics,
    )
    last = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return float(trainer.evaluate()["eval_macro_recall"])
