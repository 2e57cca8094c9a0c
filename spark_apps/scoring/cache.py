"""Predictions that were made before, so that a text which returns is not scored again."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float32]


class Cache:
    """The predictions for the `size` texts used last, for one version of the model; it is of one thread.

    A text of 200 characters and its prediction take about 0.5 kB.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._version = ""
        self._found: OrderedDict[str, Probabilities] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def score(
        self, version: str, texts: Sequence[str], score: Callable[[list[str]], Probabilities]
    ) -> tuple[Probabilities, list[bool]]:
        """Return the predictions for `texts`, shape (n, 3), and for which of them `score` was not asked.

        It is asked for those that are neither here nor before in `texts`. Predictions of another version are forgotten:
        no stream goes back to one within a batch.
        """
        if version != self._version:
            self._found.clear()
            self._version = version
        # Of this call's own, since the cache may be smaller than the call.
        known = {text: self._found[text] for text in texts if text in self._found}
        asked: dict[str, int] = {}
        for place, text in enumerate(texts):
            if text not in known:
                asked.setdefault(text, place)
        if asked:
            known.update(zip(asked, score(list(asked)), strict=True))
        for text, prediction in known.items():
            self._found[text] = prediction
            self._found.move_to_end(text)
        while len(self._found) > self._size:
            self._found.popitem(last=False)
        found = np.array([known[text] for text in texts], np.float32).reshape(len(texts), 3)
        return found, [asked.get(text) != place for place, text in enumerate(texts)]
