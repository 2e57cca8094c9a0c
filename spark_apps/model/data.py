"""Labelled tweets in the layout that TweetEval uses: `<split>_text.txt` and `<split>_labels.txt`."""

from dataclasses import dataclass
from pathlib import Path

# The order of the model's outputs, and of the numbers in a labels file.
LABELS = ("negative", "neutral", "positive")


@dataclass(frozen=True)
class Split:
    """One split: `texts[i]` has the label `LABELS[labels[i]]`."""

    texts: list[str]
    labels: list[int]


def read_split(folder: Path, name: str) -> Split:
    """Read one split; a `ValueError` names the file and the line that is wrong."""
    text_file, label_file = folder / f"{name}_text.txt", folder / f"{name}_labels.txt"
    for file in (text_file, label_file):
        if not file.is_file():
            raise ValueError(f"{file} is missing: --data wants a folder with {text_file.name} and {label_file.name}")
    # A tweet may hold any of the separators that str.splitlines() knows: only \n ends a line here.
    texts = text_file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    lines = label_file.read_text(encoding="utf-8").split()
    if len(texts) != len(lines):
        raise ValueError(f"{text_file} has {len(texts)} lines, {label_file} has {len(lines)}: they must be equal")
    wrong = next((number for number, line in enumerate(lines, 1) if line not in {"0", "1", "2"}), None)
    if wrong:
        raise ValueError(f"{label_file}, line {wrong}: {lines[wrong - 1]!r} is no label; 0, 1 and 2 are")
    return Split(texts, [int(line) for line in lines])
