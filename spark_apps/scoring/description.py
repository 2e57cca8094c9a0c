"""The files in a model folder and their description, `description.json`. This module does not need ONNX Runtime."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spark_apps.errors import UserError
from spark_apps.labels import LABELS

MODEL_FILE, TOKENIZER_FILE, DESCRIPTION_FILE = "model.onnx", "tokenizer.json", "description.json"
# Beside an int8 model: the same model with float16 weights (computed in float32), for GPUs and for a failed self-check.
FALLBACK_FILE = "fallback.onnx"
# The word embeddings, two thirds of a compact model. Both model files read them as ONNX external data.
EMBEDDINGS_FILE = "embeddings.bin"
# The text normalisation of `scoring.text.normalise`.
NORMALISATION = "tweeteval"
# BCP 47 tag of a text in an unknown language.
UNDETERMINED = "und"


class ModelError(UserError):
    """A model is unusable; the message names the model, the problem and the remedy."""


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model, and the local folder with its files.

    Attributes:
        name: name of the registered model.
        version: registry version.
        folder: local folder with the files.
        alias: alias for which the version scores, `production` or `shadow`. A Python worker keeps one loaded model for
            each alias, so that two versions can score alternately.
    """

    name: str
    version: str
    folder: Path
    alias: str = "production"


@dataclass(frozen=True)
class Description:
    """The content of `description.json`.

    Attributes:
        labels: the labels, in the order of the model's outputs.
        normalisation: name of the text normalisation; only `NORMALISATION` is supported.
        max_length: number of tokens to which the scorer truncates a text.
        base_model: name of the model that was fine-tuned.
        precision: `fp32`, `fp16` or `int8`.
        metrics: agreement with torch, and figures on the validation split.
        provenance: how the model was trained.
        checksums: SHA-256 of each file except the description, by name. Older models have none of the tokenizer.
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
        """The SHA-256 of the model file, which identifies the model."""
        return self.checksums[MODEL_FILE]

    @property
    def languages(self) -> dict[str, int] | None:
        """The number of training tweets by BCP 47 tag in lower case.

        None if the description has no languages, or if the language of some training tweets is unknown: the model may
        then know any language.
        """
        counts = self.provenance.get("languages")
        if not isinstance(counts, dict) or not counts or UNDETERMINED in counts:
            return None
        return {tag.lower(): count for tag, count in counts.items()}

    def training_tweets(self, lang: str) -> int | None:
        """Return the number of training tweets in the language of the BCP 47 tag `lang`; None if `languages` is None.

        A tag with a script or region also counts as its plain language, `en-GB` as `en`. A plain tag does not count as
        a longer one: a model that was trained on `hi-Latn` (Hindi in Latin letters) may not read Devanagari.
        """
        languages = self.languages
        if languages is None:
            return None
        tag = lang.lower()
        return languages.get(tag) or languages.get(tag.split("-")[0], 0)

    @classmethod
    def read(cls, folder: Path) -> "Description":
        """Read the description of the model in `folder`; raise `ModelError` if it is missing or unsupported."""
        file = folder / DESCRIPTION_FILE
        try:
            fields = json.loads(file.read_text(encoding="utf-8"))
            # Older exports have a single model file and its checksum in the field `sha256`.
            checksums = {MODEL_FILE: fields.pop("sha256")} if "sha256" in fields else fields["checksums"]
            description = cls(**{**fields, "labels": tuple(fields["labels"]), "checksums": checksums})
            description.sha256  # noqa: B018 - raises KeyError if the checksum of the model file is missing
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{file} is not a valid model description ({error}): export the model again") from error
        if sorted(description.labels) != sorted(LABELS):
            labels = ", ".join(description.labels)
            raise ModelError(f"{file}: the labels are {labels}; use a model with the labels {', '.join(LABELS)}")
        if description.normalisation != NORMALISATION:
            raise ModelError(
                f"{file}: normalisation {description.normalisation!r} is not supported; export the model again with "
                f"{NORMALISATION!r}"
            )
        return description

    def write(self, folder: Path) -> None:
        """Write `description.json` into the model folder."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        (folder / DESCRIPTION_FILE).write_text(text + "\n", encoding="utf-8")

    def files(self) -> list[str]:
        """Return the names of all files of the model folder."""
        return list(dict.fromkeys((DESCRIPTION_FILE, TOKENIZER_FILE, *self.checksums)))

    def check_model(self, folder: Path) -> None:
        """Raise `ModelError` if a file in `folder` is missing or its checksum differs from the description."""
        for name in self.files():
            if not (folder / name).is_file():
                raise ModelError(f"{folder / name} is missing: export the model again")
        for name, expected in self.checksums.items():
            actual = sha256(folder / name)
            if actual != expected:
                raise ModelError(
                    f"{folder / name} is damaged (sha256 {actual[:12]}…, expected {expected[:12]}…): "
                    "export the model again"
                )


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
