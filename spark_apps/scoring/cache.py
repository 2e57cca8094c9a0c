"""Cache of predictions, so that a repeated text is not scored again."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from spark_apps.labels import LABELS
from spark_apps.scoring.probabilities import Probabilities


class PredictionCache:
    """The predictions of one model version for the `size` most recently used texts. Not thread-safe.

    A text of 200 characters and its prediction take about 0.5 kB.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._version = ""
        self._predictions: OrderedDict[str, Probabilities] = OrderedDict()

    def __len__(self) -> int:
        return len(self._predictions)

    def score(
        self, version: str, texts: Sequence[str], score: Callable[[list[str]], Probabilities]
    ) -> tuple[Probabilities, list[bool]]:
        """Return the predictions for `texts`, and for each text whether its prediction was reused.

        Args:
            version: version of the model. A change of the version empties the cache: streams rarely return to an
                earlier version.
            texts: texts to score; a repetition within `texts` is reused, too.
            score: called at most once, with the distinct texts that are not cached.

        Returns:
            Probabilities of shape (len(texts), 3), and one boolean for each text.
        """
        if version != self._version:
            self._predictions.clear()
            self._version = version
        # A copy for this call, because the cache may be smaller than the number of texts.
        predictions = {text: self._predictions[text] for text in texts if text in self._predictions}
        first_positions: dict[str, int] = {}
        for position, text in enumerate(texts):
            if text not in predictions:
                first_positions.setdefault(text, position)
        if first_positions:
            predictions.update(zip(first_positions, score(list(first_positions)), strict=True))
        self._remember(predictions)
        probabilities = np.array([predictions[text] for text in texts], np.float32).reshape(len(texts), len(LABELS))
        return probabilities, [first_positions.get(text) != position for position, text in enumerate(texts)]

    def _remember(self, predictions: dict[str, Probabilities]) -> None:
        for text, prediction in predictions.items():
            self._predictions[text] = prediction
            self._predictions.move_to_end(text)
        while len(self._predictions) > self._size:
            self._predictions.popitem(last=False)
