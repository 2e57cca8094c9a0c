"""The tokenised tweets of a split, as the Trainer reads them."""

from typing import Any

import numpy as np
import torch

from spark_apps.model.dataset import Split
from spark_apps.scoring.text import MAX_TOKENS, normalise

# Tweets tokenised at once: the result of the tokenizer takes a hundred times the memory of its token ids.
_CHUNK_TWEETS = 4_096


class TokenisedTweets(torch.utils.data.Dataset):
    """The normalised and tokenised tweets of a split, without padding: about four bytes per token."""

    def __init__(self, split: Split, tokenizer: Any) -> None:
        chunks, lengths = [], []
        for start in range(0, len(split), _CHUNK_TWEETS):
            texts = [normalise(text) for text in split.texts[start : start + _CHUNK_TWEETS]]
            tokens = tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"]
            chunks.append(np.concatenate([np.asarray(ids, np.int32) for ids in tokens]))
            lengths += [len(ids) for ids in tokens]
        self._tokens = np.concatenate(chunks)
        self._ends = np.cumsum(lengths)
        self.lengths = lengths
        self._labels = split.labels

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> dict[str, object]:
        end = int(self._ends[index])
        ids = self._tokens[end - self.lengths[index] : end].tolist()
        return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": self._labels[index]}
