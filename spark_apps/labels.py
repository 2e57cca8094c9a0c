"""The sentiment labels, in the order of the model's outputs."""

from collections.abc import Mapping

# The order of the model's outputs, and of the numbers in a labels file.
LABELS = ("negative", "neutral", "positive")


def our_labels(id2label: Mapping[int, str]) -> tuple[str, ...] | None:
    """Return the outputs of a checkpoint under our names, in its order; None where its labels are others.

    LABEL_0, LABEL_1 and LABEL_2 are what transformers calls labels without a name: TweetEval's models mean negative,
    neutral and positive by them.
    """
    names = tuple(str(name).lower() for _, name in sorted(id2label.items(), key=lambda item: int(item[0])))
    if names == tuple(f"label_{number}" for number in range(len(LABELS))):
        return LABELS
    return names if sorted(names) == sorted(LABELS) else None
