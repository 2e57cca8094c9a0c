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

    def known(self, version: str, texts: Sequence[str]) -> list[bool]:
        """Tell for each text whether `score` will not ask for it: it is here, or stands before in `texts`."""
        seen = self._found.keys() if version == self._version else set()
        before: set[str] = set()
        known = []
        for text in texts:
            known.append(text in seen or text in before)
            before.add(text)
        return known

    def score(self, version: str, texts: Sequence[str], score: Callable[[list[str]], Probabilities]) -> Probabilities:
        """Return the predictions for `texts`, shape (n, 3); `score` is asked for those that are not here.

        Predictions of another version are forgotten: no stream goes back to one within a batch.
        """
        if version != self._version:
            self._found.clear()
            self._version = version
        # Of this call's own, since the cache may be smaller than the call.
        known = {text: self._found[text] for text in texts if text in self._found}
        missing = list(dict.fromkeys(text for text in texts if text not in known))
        if missing:
            known.update(zip(missing, score(missing), strict=True))
        for text, prediction in known.items():
            self._found[text] = prediction
            self._found.move_to_end(text)
        while len(self._found) > self._size:
            self._found.popitem(last=False)
        return np.array([known[text] for text in texts], np.float32).reshape(len(texts), 3)
