"""Tweets that are left out of training and evaluate the model instead: those of one source, year or language."""

import re
from dataclasses import dataclass

from spark_apps.model.dataset import DataError, LabelledTweets, Split

_FIELDS = ("source", "year", "language")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


@dataclass(frozen=True)
class LeaveOut:
    """A condition on the tweets that are left out, such as `year=2016`; the year is the one in the name of a source."""

    field: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "LeaveOut":
        """Read `source=…`, `year=…` or `language=…`; raise `DataError` for any other text."""
        field, _, value = text.partition("=")
        if field not in _FIELDS or not value:
            raise DataError(f"--leave-out {text}: write source=NAME, year=YYYY or language=CODE")
        return cls(field, value)

    def __str__(self) -> str:
        return f"{self.field}={self.value}"

    def matches(self, language: str, source: str) -> bool:
        """Return whether a tweet with this language and source is left out."""
        if self.field == "year":
            return self.value in _YEAR.findall(source)
        return self.value == (language if self.field == "language" else source)


def training_splits(data: LabelledTweets, leave_out: LeaveOut | None) -> dict[str, Split]:
    """Return the tweets that train the model, `train`, and the tweets that evaluate it, `val`.

    With `leave_out`, both are from the train split, and the validation split is not used.

    Raises:
        DataError: a file is missing or invalid, no tweet is left out, or a label has no tweet to train on.
    """
    train = data.read("train")
    if leave_out is None:
        val = data.read("val")
    else:
        val = train.select(leave_out.matches)
        if not len(val):
            names = train.counts()["languages" if leave_out.field == "language" else "sources"]
            raise DataError(f"--leave-out {leave_out} matches no tweet of the train split: it has {', '.join(names)}")
        train = train.select(lambda language, source: not leave_out.matches(language, source))
    missing = set(range(3)) - set(train.labels)
    if missing:
        left = f" without {leave_out}" if leave_out else ""
        raise DataError(
            f"{data.name}: no tweet of the train split{left} has the label {min(missing)}: add tweets with this label"
        )
    return {"train": train, "val": val}
