"""What is in a model's folder: its files, and what `description.json` says of them; read without ONNX Runtime."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spark_apps.errors import UserError
from spark_apps.labels import LABELS

MODEL_FILE, TOKENIZER_FILE, DESCRIPTION_FILE = "model.onnx", "tokenizer.json", "description.json"
# Beside an int8 model: the same one in float, for where int8 gives something else than it should.
FALLBACK_FILE = "fallback.onnx"
# What both read: the embeddings of the words, two thirds of a compact model, are as good for one as for the other.
EMBEDDINGS_FILE = "embeddings.bin"
NORMALISATION = "tweeteval"


class ModelError(UserError):
    """A model that cannot be used; the text names it, what is wrong with it, and the remedy."""


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model, and the folder of this machine that holds it."""

    name: str
    version: str
    folder: Path


@dataclass(frozen=True)
class Description:
    """What `description.json` says of a model.

    `labels` are in the order of the model's outputs; `checksums` are the SHA-256 of each file beside the description.
    """

    labels: tuple[str, ...]
    normalisation: str
    max_length: int
    base_model: str
    precision: str
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    checksums: dict[str, str]

    @property
    def sha256(self) -> str:
        """The SHA-256 of the model file, which tells one model from another."""
        return self.checksums[MODEL_FILE]

    @classmethod
    def read(cls, folder: Path) -> "Description":
        """Read the description of the model in `folder`; `ModelError` when it is missing or not usable here."""
        file = folder / DESCRIPTION_FILE
        try:
            fields = json.loads(file.read_text(encoding="utf-8"))
            # Models exported before there could be several files have the checksum of the model file alone.
            checksums = {MODEL_FILE: fields.pop("sha256")} if "sha256" in fields else fields["checksums"]
            found = cls(**{**fields, "labels": tuple(fields["labels"]), "checksums": checksums})
            found.sha256  # noqa: B018 - one without it is no description
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{file} is no description of a model ({error}): export the model again") from error
        if sorted(found.labels) != sorted(LABELS):
            raise ModelError(f"{file}: the labels are {', '.join(found.labels)}; they must be {', '.join(LABELS)}")
        if found.normalisation != NORMALISATION:
            raise ModelError(f"{file}: normalisation {found.normalisation!r} is unknown; {NORMALISATION!r} is known")
        return found

    def write(self, folder: Path) -> None:
        """Write this as the description of the model in `folder`."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        (folder / DESCRIPTION_FILE).write_text(text + "\n", encoding="utf-8")

    def files(self) -> list[str]:
        """Return the names of the files that make up the model's folder."""
        return list(dict.fromkeys((DESCRIPTION_FILE, TOKENIZER_FILE, *self.checksums)))

    def check_model(self, folder: Path) -> None:
        """Refuse with a `ModelError` a folder whose files are not those described."""
        for name in self.files():
            if not (folder / name).is_file():
                raise ModelError(f"{folder / name} is missing: export the model again")
        for name, wanted in self.checksums.items():
            found = sha256(folder / name)
            if found != wanted:
                raise ModelError(
                    f"{folder / name} is damaged: its sha256 is {found[:12]}…, the description says {wanted[:12]}…"
                )


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
