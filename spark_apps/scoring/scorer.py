"""Probabilities of a tweet's mood from an exported model folder: ONNX Runtime, tokenizers and numpy, nothing else."""

import hashlib
import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from spark_apps.model.data import LABELS
from spark_apps.scoring import check
from spark_apps.scoring.batches import Row, batches
from spark_apps.scoring.text import normalise

MODEL_FILE, TOKENIZER_FILE, DESCRIPTION_FILE = "model.onnx", "tokenizer.json", "description.json"
# Beside an int8 model: the same one in float, for where int8 gives something else than it should.
FALLBACK_FILE = "fallback.onnx"
NORMALISATION = "tweeteval"
_CUDA = "CUDAExecutionProvider"

_log = logging.getLogger(__name__)
# Texts tokenised while the ones before them are being scored.
_CHUNK = 2048

Probabilities = NDArray[np.float32]


class ModelError(Exception):
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


class Scorer:
    """One model, loaded once and warmed up; `score` may be called from one thread at a time."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the model in `folder`, to be run on `threads` cores; `ModelError` when it cannot be loaded."""
        self.description = Description.read(folder)
        self.description.check_model(folder)
        self.precision = self.description.precision
        self._columns = [self.description.labels.index(label) for label in LABELS]
        self._tokenise_ahead = ThreadPoolExecutor(1, thread_name_prefix="tokenise")
        checked = FALLBACK_FILE in self.description.checksums
        # int8 products are for processors: a GPU would hand each of them back.
        in_float = checked and _CUDA in onnxruntime.get_available_providers()
        if in_float:
            self.precision = "fp16"
        try:
            self._session = open_session(folder / (FALLBACK_FILE if in_float else MODEL_FILE), threads)
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(self.description.max_length)
            if checked and not in_float:
                self._fall_back_unless_right(folder, threads)
            else:
                # The first call of a session costs more than those after it: no tweet waits for that.
                self.score(check.TEXTS)
        except Exception as error:  # both libraries raise types of their own, some no more than Exception
            raise ModelError(f"the model in {folder} cannot be loaded ({error}): export it again") from error

    def _fall_back_unless_right(self, folder: Path, threads: int) -> None:
        """Score the check set of an int8 model, and go on in float where the figures are others than its own."""
        different = check.difference(folder, self.score)
        if different:
            _log.warning("the int8 model in %s is not used here, float32 is: %s", folder, different)
            self.precision = "fp16"
            self._session = open_session(folder / FALLBACK_FILE, threads)
            self.score(check.TEXTS)

    def score(self, texts: Sequence[str]) -> Probabilities:
        """Return the probabilities of `texts`, shape (n, 3), columns in the order of LABELS."""
        return self.score_normalised([normalise(text) for text in texts])

    def score_normalised(self, texts: Sequence[str]) -> Probabilities:
        """Do what `score` does with texts that `normalise` returned; identical texts are scored once."""
        unique = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        scores = np.empty((len(unique), len(LABELS)), np.float32)
        # Characters foretell tokens well enough that each chunk holds texts of nearly one length.
        rows = sorted(unique.items(), key=lambda item: len(item[0]))
        chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
        # One chunk is tokenised while the one before it is scored: `map` would tokenise them all at once.
        waiting = [self._tokenise_ahead.submit(self._tokenise, chunk) for chunk in chunks[:1]]
        for following in [*chunks[1:], None]:
            if not waiting:
                break
            tokens = waiting.pop().result()
            if following is not None:
                waiting.append(self._tokenise_ahead.submit(self._tokenise, following))
            for numbers, inputs in batches(tokens):
                scores[numbers] = self._run(inputs)
        return scores[[unique[text] for text in texts]]

    def _tokenise(self, rows: list[tuple[str, int]]) -> list[Row]:
        encoded = self._tokenizer.encode_batch_fast([text for text, _ in rows])
        return [(row, encoding.ids) for (_, row), encoding in zip(rows, encoded, strict=True)]

    def _run(self, inputs: dict[str, NDArray[np.int64]]) -> Probabilities:
        (logits,) = self._session.run(None, inputs)
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Probabilities = (exponents / exponents.sum(axis=1, keepdims=True))[:, self._columns]
        return probabilities


def open_session(model: Path | bytes, threads: int) -> onnxruntime.InferenceSession:
    """Return a session of the model in a file, or of a serialised one, on `threads` cores or on the GPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Idle threads that spin take the core from Spark's own.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A memory pattern is kept for every shape that was ever seen.
    options.enable_mem_pattern = False
    wanted = (_CUDA, "CPUExecutionProvider")
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    return onnxruntime.InferenceSession(model if isinstance(model, bytes) else str(model), options, providers=providers)
