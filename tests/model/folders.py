"""Labelled data in the layout of TweetEval, and small RoBERTas in the layout of the Hugging Face Hub."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from spark_apps.demo import texts
from spark_apps.labels import LABELS
from spark_apps.registry.client import BUNDLED
from spark_apps.scoring.description import TOKENIZER_FILE

# Options of `model train` with which the RoBERTa of `write_base` learns 1,600 tweets of `write_data`. At a learning
# rate of 2e-3 it learns them with some numbers of epochs only.
TRAINING = ("--epochs=6", "--learning-rate=1e-3")
# In the order of their ids.
_SPECIAL_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def write_data(folder: Path, languages: Sequence[str] = (), **splits: int) -> Path:
    """Write tweets with an obvious sentiment; `splits` has the number of tweets of each split.

    With `languages`, the tweets are in these languages in turn, and files name the language and the source of each: the
    sources of the first language are from 2015, the others from 2016.
    """
    random = Random(1)
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in splits.items():
        labels = [random.randrange(3) for _ in range(count)]
        codes = [languages[row % len(languages)] if languages else "en" for row in range(count)]
        lines = [
            texts.write(random, LABELS[label], code, random.choice(list(texts.TOPICS)))
            for label, code in zip(labels, codes, strict=True)
        ]
        if languages:
            sources = [f"{2015 if code == languages[0] else 2016}-{code}" for code in codes]
            (folder / f"{split}_lang.txt").write_text("".join(f"{code}\n" for code in codes))
            (folder / f"{split}_source.txt").write_text("".join(f"{source}\n" for source in sources))
        (folder / f"{split}_text.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / f"{split}_labels.txt").write_text("".join(f"{label}\n" for label in labels))
    return folder


def write_base(folder: Path, labels: Sequence[str] | None = None, plain_vocabulary: bool = False) -> Path:
    """Write a RoBERTa with random weights that learns the tweets of `write_data` in seconds.

    Args:
        folder: folder of the new model.
        labels: labels in the order of the outputs; None writes a masked language model instead of a classifier.
        plain_vocabulary: whether the tokenizer is vocab.json and merges.txt, as in older checkpoints.
    """
    from transformers import RobertaConfig, RobertaForMaskedLM, RobertaForSequenceClassification, set_seed

    set_seed(1)
    shape: dict[str, Any] = {
        "vocab_size": 50_265, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 128, "max_position_embeddings": 514, "type_vocab_size": 1,
    }  # fmt: skip
    if labels is None:
        RobertaForMaskedLM(RobertaConfig(**shape)).save_pretrained(folder)
    else:
        names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
        RobertaForSequenceClassification(RobertaConfig(**shape, **names)).save_pretrained(folder)
    if plain_vocabulary:
        write_plain_vocabulary(folder)
    else:
        from transformers import PreTrainedTokenizerFast

        PreTrainedTokenizerFast(
            tokenizer_file=str(BUNDLED / TOKENIZER_FILE), pad_token="<pad>", unk_token="<unk>", mask_token="<mask>"
        ).save_pretrained(folder)
    return folder


def write_multilingual_base(folder: Path) -> Path:
    """Write an XLM-RoBERTa with random weights and a SentencePiece vocabulary of the tweets of `write_data`."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizerFast, set_seed

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=1_500, special_tokens=_SPECIAL_TOKENS, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(_lines(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    XLMRobertaTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    set_seed(1)
    XLMRobertaModel(
        XLMRobertaConfig(
            vocab_size=tokenizer.get_vocab_size(), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=128, max_position_embeddings=514, type_vocab_size=1,
        )
    ).save_pretrained(folder)  # fmt: skip
    return folder


def write_plain_vocabulary(folder: Path) -> None:
    """Write the vocab.json and merges.txt of RoBERTa's tokenizer, trained on the tweets of `write_data`."""
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(_lines(), vocab_size=2_000, special_tokens=_SPECIAL_TOKENS, show_progress=False)
    tokenizer.save_model(str(folder))


def _lines() -> list[str]:
    random, topics = Random(2), list(texts.TOPICS)
    return [
        texts.write(random, label, code, random.choice(topics))
        for code in ("en", "es", "de")
        for label in LABELS
        for _ in range(100)
    ]
