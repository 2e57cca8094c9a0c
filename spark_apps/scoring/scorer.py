"""Probabilities of a tweet's mood from an exported model folder: ONNX Runtime, tokenizers and numpy, nothing else."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from spark_apps.labels import LABELS
from spark_apps.scoring import self_check
from spark_apps.scoring.batches import Row, batches
from spark_apps.scoring.description import FALLBACK_FILE, MODEL_FILE, TOKENIZER_FILE, Description, ModelError
from spark_apps.scoring.text import normalise

_CUDA = "CUDAExecutionProvider"

_log = logging.getLogger(__name__)
# Texts tokenised while the ones before them are being scored.
_CHUNK = 2048

Probabilities = NDArray[np.float32]


class Scorer:
    """One model, loaded once and warmed up; `score` may be called from one thread at a time."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the model in `folder`, to be run on `threads` cores; `ModelError` when it cannot be loaded."""
        self.description = Description.read(folder)
        self.description.check_model(folder)
        self.precision = self.description.precision
        self._columns = [self.description.labels.index(label) for label in LABELS]
        self._tokenise_ahead = ThreadPoolExecutor(1, thread_name_prefix="tokenise")
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(self.description.max_length)
            self._open(folder, threads)
        except Exception as error:  # both libraries raise types of their own, some no more than Exception
            raise ModelError(f"the model in {folder} cannot be loaded ({error}): export it again") from error

    def _open(self, folder: Path, threads: int) -> None:
        """Open the model and warm it up: a session's first call costs more than those after it, and no tweet waits."""
        checked = FALLBACK_FILE in self.description.checksums
        if checked and _CUDA in onnxruntime.get_available_providers():
            # int8 products are for processors: a GPU would hand each of them back.
            self._session = open_session(folder / FALLBACK_FILE, threads)
            if _CUDA in self._session.get_providers():
                self.precision = "fp16"
                self.score(self_check.TEXTS)
                return
        # Also where the library is made for a GPU, and the machine has none.
        self._session = open_session(folder / MODEL_FILE, threads)
        if checked:
            self._fall_back_unless_right(folder, threads)
        else:
            self.score(self_check.TEXTS)

    def _fall_back_unless_right(self, folder: Path, threads: int) -> None:
        """Score the check set of an int8 model, and go on in float where the figures are others than its own."""
        different = self_check.difference(folder, self.score)
        if different:
            _log.warning("the int8 model in %s is not used here, float32 is: %s", folder, different)
            self.precision = "fp16"
            self._session = open_session(folder / FALLBACK_FILE, threads)
            self.score(self_check.TEXTS)

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
    if _CUDA in providers:
        # CUDA's libraries come as packages of Python, where the system does not look for them.
        onnxruntime.preload_dlls()
    return onnxruntime.InferenceSession(model if isinstance(model, bytes) else str(model), options, providers=providers)
