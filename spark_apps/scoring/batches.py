"""Tokenised texts → the padded batches of which one call of the model takes each."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# Tokens, padding included, of one batch: more leave the cache of the processor, fewer leave its units idle.
TOKENS = 512

# A row's number and its tokens.
Row = tuple[int, list[int]]
Batch = tuple[list[int], dict[str, NDArray[np.int64]]]


def batches(rows: list[Row]) -> Iterator[Batch]:
    """Cut `rows` into batches of nearly equal length, longest first; yield the rows' numbers and the model's inputs.

    A batch is as long as its longest row: sorted rows leave 2 % of padding, rounded lengths left 15 %.
    """
    waiting: list[Row] = []
    for row in sorted(rows, key=lambda row: -len(row[1])):
        if waiting and (len(waiting) + 1) * len(waiting[0][1]) > TOKENS:
            yield _padded(waiting)
            waiting = []
        waiting.append(row)
    if waiting:
        yield _padded(waiting)


def _padded(rows: list[Row]) -> Batch:
    # A padded position is masked, so any token will do there.
    ids = np.zeros((len(rows), len(rows[0][1])), np.int64)
    mask = np.zeros_like(ids)
    for place, (_, tokens) in enumerate(rows):
        ids[place, : len(tokens)] = tokens
        mask[place, : len(tokens)] = 1
    return [number for number, _ in rows], {"input_ids": ids, "attention_mask": mask}
