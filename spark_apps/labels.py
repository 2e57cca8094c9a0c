"""The sentiment labels."""

from collections.abc import Mapping

# In the order of the model's outputs, and of the numbers in the label files of a data set.
LABELS = ("negative", "neutral", "positive")


def sentiment_labels(id2label: Mapping[int, str]) -> tuple[str, ...] | None:
    """Return the sentiment labels of a classifier's outputs, in the order of its outputs.

    Args:
        id2label: names of the outputs, as in a transformers configuration. The placeholders LABEL_0, LABEL_1 and
            LABEL_2 stand for unnamed outputs: negative, neutral and positive in TweetEval's models.

    Returns:
        A permutation of `LABELS`; None if the classifier has other labels.
    """
    names = tuple(str(name).lower() for _, name in sorted(id2label.items(), key=lambda item: int(item[0])))
    if names == tuple(f"label_{number}" for number in range(len(LABELS))):
        return LABELS
    return names if sorted(names) == sorted(LABELS) else None
