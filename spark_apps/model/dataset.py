"""Labelled tweets in the layout that TweetEval uses: `<split>_text.txt` and `<split>_labels.txt`."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spark_apps.errors import UserError


class DataError(UserError):
    """Labelled tweets that cannot be used; the text names the file, and what is wanted."""


@dataclass(frozen=True)
class Split:
    """One split: `texts[i]` has the label `LABELS[labels[i]]`."""

    texts: list[str]
    labels: list[int]


@dataclass(frozen=True)
class DataVersion:
    """Which tweets exactly: the SHA-256 is that of the files' bytes, texts first, then labels."""

    name: str
    split: str
    rows: int
    sha256: str


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}_text.txt", folder / f"{name}_labels.txt"


def has_labels(folder: Path, name: str) -> bool:
    """Say whether the labels of a split are there: those of a test split may be kept back."""
    return _files(folder, name)[1].is_file()


def read_texts(folder: Path, name: str) -> list[str]:
    """Read the texts of one split; a `DataError` names the file that is missing or not UTF-8."""
    file, label_file = _files(folder, name)
    if not file.is_file():
        raise DataError(f"{file} is missing: --data wants a folder with {file.name} and {label_file.name}")
    try:
        # A tweet may hold any of the separators that str.splitlines() knows: only \n ends a line here.
        texts = file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 ({error.reason} at byte {error.start}): convert it") from error
    if texts == [""]:
        raise DataError(f"{file} is empty: one tweet a line is wanted")
    return texts


def read_split(folder: Path, name: str) -> Split:
    """Read one split; a `DataError` names the file and the line that is wrong."""
    text_file, label_file = _files(folder, name)
    texts = read_texts(folder, name)
    if not label_file.is_file():
        raise DataError(f"{label_file} is missing: --data wants a folder with {text_file.name} and {label_file.name}")
    lines = label_file.read_text(encoding="utf-8", errors="replace").split()
    if len(texts) != len(lines):
        raise DataError(f"{text_file} has {len(texts)} lines, {label_file} has {len(lines)}: they must be equal")
    wrong = next((number for number, line in enumerate(lines, 1) if line not in {"0", "1", "2"}), None)
    if wrong:
        raise DataError(f"{label_file}, line {wrong}: {lines[wrong - 1]!r} is no label; 0, 1 and 2 are")
    return Split(texts, [int(line) for line in lines])


def data_version(folder: Path, name: str) -> DataVersion:
    """Return the name, the size and the hash of one split, its labels included where they are there."""
    texts = read_texts(folder, name)
    digest = hashlib.sha256()
    for file in _files(folder, name):
        if file.is_file():
            digest.update(file.read_bytes())
    return DataVersion(folder.resolve().name, name, len(texts), digest.hexdigest())


def write_predictions(file: Path, labels: Sequence[int]) -> None:
    """Write predicted labels in the format of TweetEval's predictions and labels files: 0, 1 or 2, one a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
