"""Reads labelled tweets in TweetEval's layout: `<split>_text.txt` and `<split>_labels.txt`."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spark_apps.errors import UserError


class DataError(UserError):
    """A file of labelled tweets is missing or invalid."""


@dataclass(frozen=True)
class Split:
    """One split; the label of `texts[i]` is `LABELS[labels[i]]`."""

    texts: list[str]
    labels: list[int]


@dataclass(frozen=True)
class DataVersion:
    """Identifies the content of a split: name of its folder, split, number of tweets, and SHA-256.

    `sha256` is the hash of the bytes of the texts file, followed by the bytes of the labels file.
    """

    name: str
    split: str
    rows: int
    sha256: str


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}_text.txt", folder / f"{name}_labels.txt"


def has_labels(folder: Path, name: str) -> bool:
    """Return whether the split has a labels file; a test split may be published without one."""
    return _files(folder, name)[1].is_file()


def read_texts(folder: Path, name: str) -> list[str]:
    """Read the texts of one split; raise `DataError` if the file is missing, empty or not UTF-8."""
    file, label_file = _files(folder, name)
    if not file.is_file():
        raise DataError(f"{file} is missing: pass --data a folder with {file.name} and {label_file.name}")
    try:
        # Only \n ends a line: a tweet may contain the other separators of str.splitlines().
        texts = file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 ({error.reason} at byte {error.start}): convert it to UTF-8") from error
    if texts == [""]:
        raise DataError(f"{file} is empty: write one tweet per line")
    return texts


def read_split(folder: Path, name: str) -> Split:
    """Read one split; raise `DataError` with file and line if a file is missing or invalid."""
    text_file, label_file = _files(folder, name)
    texts = read_texts(folder, name)
    if not label_file.is_file():
        raise DataError(f"{label_file} is missing: pass --data a folder with {text_file.name} and {label_file.name}")
    lines = label_file.read_text(encoding="utf-8", errors="replace").split()
    if len(texts) != len(lines):
        raise DataError(
            f"{text_file} has {len(texts)} lines, {label_file} has {len(lines)}: both need one line per tweet"
        )
    wrong = next((number for number, line in enumerate(lines, 1) if line not in {"0", "1", "2"}), None)
    if wrong:
        raise DataError(f"{label_file}, line {wrong}: {lines[wrong - 1]!r} is not a label: write 0, 1 or 2")
    return Split(texts, [int(line) for line in lines])


def data_version(folder: Path, name: str) -> DataVersion:
    """Return the version of one split; raise `DataError` if its texts file is missing or invalid."""
    texts = read_texts(folder, name)
    digest = hashlib.sha256()
    for file in _files(folder, name):
        if file.is_file():
            digest.update(file.read_bytes())
    return DataVersion(folder.resolve().name, name, len(texts), digest.hexdigest())


def write_predictions(file: Path, labels: Sequence[int]) -> None:
    """Write predicted labels in the layout of TweetEval: 0, 1 or 2, one a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
