"""Reads labelled tweets in TweetEval's layout: `<split>_text.txt` and `<split>_labels.txt`, one line per tweet.

Two optional files also have one line per tweet: `<split>_lang.txt`, the code of its language, and `<split>_source.txt`,
the collection that it comes from.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from sys import intern

from spark_apps.errors import UserError
from spark_apps.scoring.description import UNDETERMINED

_LANGUAGE = re.compile("[A-Za-z0-9-]{1,35}")
_SOURCE = re.compile(r"\S.{0,99}")


class DataError(UserError):
    """A file of labelled tweets is missing or invalid."""


@dataclass(frozen=True)
class Split:
    """One split. The label of `texts[i]` is `LABELS[labels[i]]`; its language and source are at the same index."""

    texts: list[str]
    labels: list[int]
    languages: list[str]
    sources: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def select(self, keep: Callable[[str, str], bool]) -> "Split":
        """Return the tweets for which `keep(language, source)` is true."""
        return self.at(
            [row for row, names in enumerate(zip(self.languages, self.sources, strict=True)) if keep(*names)]
        )

    def at(self, rows: Iterable[int]) -> "Split":
        """Return the tweets at the given indexes."""
        rows = list(rows)
        return Split(
            [self.texts[row] for row in rows],
            [self.labels[row] for row in rows],
            [self.languages[row] for row in rows],
            [self.sources[row] for row in rows],
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of tweets of each language and of each source, the largest first."""
        names = {"languages": self.languages, "sources": self.sources}
        return {group: dict(Counter(values).most_common()) for group, values in names.items()}


@dataclass(frozen=True)
class DataVersion:
    """Identifies the content of a split: name of its folder, split, number of tweets, and SHA-256.

    `sha256` is the hash of the bytes of the texts file, followed by the bytes of the labels file. With several folders,
    their names are joined by `+`, and their bytes follow each other.
    """

    name: str
    split: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class LabelledTweets:
    """One or more folders of labelled tweets, which are read as one.

    Attributes:
        folders: the folders. Each must have every split that is read.
        language: language of the tweets in folders without `<split>_lang.txt`.
    """

    folders: tuple[Path, ...]
    language: str = UNDETERMINED

    @property
    def name(self) -> str:
        """The names of the folders, joined by `+`."""
        return "+".join(folder.resolve().name for folder in self.folders)

    def has_labels(self, name: str) -> bool:
        """Return whether the split has a labels file; a test split may be published without one."""
        return all(_files(folder, name)[1].is_file() for folder in self.folders)

    def texts(self, name: str) -> list[str]:
        """Read the texts of one split; raise `DataError` if a file is missing, empty or not UTF-8."""
        return [text for folder in self.folders for text in _read_texts(folder, name)]

    def read(self, name: str) -> Split:
        """Read one split; raise `DataError` with file and line if a file is missing or invalid."""
        parts = [_read_split(folder, name, self.language) for folder in self.folders]
        return Split(
            [text for part in parts for text in part.texts],
            [label for part in parts for label in part.labels],
            [language for part in parts for language in part.languages],
            [source for part in parts for source in part.sources],
        )

    def version(self, name: str) -> DataVersion:
        """Return the version of one split; raise `DataError` if its texts file is missing or invalid."""
        digest = hashlib.sha256()
        for folder in self.folders:
            for file in _files(folder, name):
                if file.is_file():
                    digest.update(file.read_bytes())
        return DataVersion(self.name, name, len(self.texts(name)), digest.hexdigest())


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}_text.txt", folder / f"{name}_labels.txt"


def _read_texts(folder: Path, name: str) -> list[str]:
    file, label_file = _files(folder, name)
    if not file.is_file():
        raise DataError(f"{file} is missing: pass --data a folder with {file.name} and {label_file.name}")
    texts = _lines(file)
    if texts == [""]:
        raise DataError(f"{file} is empty: write one tweet per line")
    return texts


def _read_split(folder: Path, name: str, language: str) -> Split:
    text_file, label_file = _files(folder, name)
    texts = _read_texts(folder, name)
    if not label_file.is_file():
        raise DataError(f"{label_file} is missing: pass --data a folder with {text_file.name} and {label_file.name}")
    labels = [line.strip() for line in _lines(label_file)]
    _check_lines(text_file, texts, label_file, labels)
    wrong = next((number for number, line in enumerate(labels, 1) if line not in {"0", "1", "2"}), None)
    if wrong:
        raise DataError(f"{label_file}, line {wrong}: {labels[wrong - 1]!r} is not a label: write 0, 1 or 2")
    names = [folder.resolve().name] * len(texts)
    languages = _read_names(folder / f"{name}_lang.txt", _LANGUAGE, "the code of a language") or [language] * len(texts)
    sources = _read_names(folder / f"{name}_source.txt", _SOURCE, "the name of a source") or names
    _check_lines(text_file, texts, folder / f"{name}_lang.txt", languages)
    _check_lines(text_file, texts, folder / f"{name}_source.txt", sources)
    return Split(texts, [int(label) for label in labels], languages, sources)


def _read_names(file: Path, pattern: re.Pattern[str], wanted: str) -> list[str]:
    """Read a file with one name per line; return an empty list if it does not exist."""
    lines = [intern(line.strip()) for line in _lines(file)] if file.is_file() else []
    wrong = next((number for number, line in enumerate(lines, 1) if not pattern.fullmatch(line)), None)
    if wrong:
        raise DataError(f"{file}, line {wrong}: {lines[wrong - 1]!r} is not {wanted}")
    return lines


def _check_lines(text_file: Path, texts: Sequence[str], file: Path, lines: Sequence[str]) -> None:
    if len(texts) != len(lines):
        raise DataError(f"{text_file} has {len(texts)} lines, {file} has {len(lines)}: both need one line per tweet")


def _lines(file: Path) -> list[str]:
    try:
        # Only \n ends a line: a tweet may contain the other separators of str.splitlines().
        return file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 ({error.reason} at byte {error.start}): convert it to UTF-8") from error


def write_split(folder: Path, name: str, split: Split) -> None:
    """Write one split, with languages and sources; line breaks in a text become spaces."""
    texts = [" ".join(text.splitlines()) for text in split.texts]
    languages = [language if _LANGUAGE.fullmatch(language) else UNDETERMINED for language in split.languages]
    files: dict[str, Sequence[object]] = {
        "text": texts, "labels": split.labels, "lang": languages, "source": split.sources,
    }  # fmt: skip
    for kind, lines in files.items():
        (folder / f"{name}_{kind}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_predictions(file: Path, labels: Sequence[int]) -> None:
    """Write predicted labels in the layout of TweetEval: 0, 1 or 2, one per line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
