"""Score tweets with an exported model folder. Needs only ONNX Runtime, tokenizers and numpy."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from spark_apps.labels import LABELS
from spark_apps.scoring import self_check
from spark_apps.scoring.batches import TokenisedText, batches
from spark_apps.scoring.description import FALLBACK_FILE, MODEL_FILE, TOKENIZER_FILE, Description, ModelError
from spark_apps.scoring.probabilities import Probabilities
from spark_apps.scoring.text import normalise

_CUDA = "CUDAExecutionProvider"

_log = logging.getLogger(__name__)
# Number of texts that are tokenised while the texts before them are scored.
_CHUNK_TEXTS = 2048


class Scorer:
    """A loaded and warmed-up model. Not thread-safe: call `score` from one thread at a time."""

    def __init__(self, folder: Path, threads: int, before_run: Callable[[], None] = lambda: None) -> None:
        """Load the model in `folder` to run on `threads` cores, or on a GPU; raise `ModelError` if loading fails.

        `before_run` is called before each run of the model, on a part of the texts.
        """
        self._before_run = before_run
        self.description = Description.read(folder)
        self.description.check_model(folder)
        self.precision = self.description.precision
        self._columns = [self.description.labels.index(label) for label in LABELS]
        self._tokenise_pool = ThreadPoolExecutor(1, thread_name_prefix="tokenise")
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(self.description.max_length)
            self._load(folder, threads)
        except Exception as error:  # the libraries raise various exception types, some of them plain Exception
            raise ModelError(f"the model in {folder} cannot be loaded ({error}): export the model again") from error

    def _load(self, folder: Path, threads: int) -> None:
        """Open the model and warm it up, so that no tweet waits for the slower first call of a session."""
        has_fallback = FALLBACK_FILE in self.description.checksums
        if has_fallback and _CUDA in onnxruntime.get_available_providers():
            # ONNX Runtime has no CUDA kernels for int8 matrix products and would run each of them on the CPU.
            self._session = open_session(folder / FALLBACK_FILE, threads)
            if _CUDA in self._session.get_providers():
                self.precision = "fp16"
                self.score(self_check.TEXTS)
                return
        # No GPU in use; a GPU build of the library gets here too, if the machine has no GPU.
        self._session = open_session(folder / MODEL_FILE, threads)
        if has_fallback:
            self._check_int8(folder, threads)
        else:
            self.score(self_check.TEXTS)

    def _check_int8(self, folder: Path, threads: int) -> None:
        """Score the check texts of an int8 model; switch to the float model if the probabilities differ."""
        difference = self_check.difference(folder, self.score)
        if difference:
            _log.warning("using float32 instead of the int8 model in %s on this processor: %s", folder, difference)
            self.precision = "fp16"
            self._session = open_session(folder / FALLBACK_FILE, threads)
            self.score(self_check.TEXTS)

    def score(self, texts: Sequence[str]) -> Probabilities:
        """Return the probabilities of `texts`."""
        return self.score_normalised([normalise(text) for text in texts])

    def score_normalised(self, texts: Sequence[str]) -> Probabilities:
        """Return the probabilities of texts that are already normalised; identical texts are scored once."""
        unique = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        scores = np.empty((len(unique), len(LABELS)), np.float32)
        # Sorted by length in characters, which predicts the number of tokens, so that the texts of a chunk are similar.
        rows = sorted(unique.items(), key=lambda item: len(item[0]))
        chunks = [rows[start : start + _CHUNK_TEXTS] for start in range(0, len(rows), _CHUNK_TEXTS)]
        # Tokenise one chunk while the previous chunk is scored. `map` would tokenise all chunks at once.
        pending = [self._tokenise_pool.submit(self._tokenise, chunk) for chunk in chunks[:1]]
        for next_chunk in [*chunks[1:], None]:
            if not pending:
                break
            tokens = pending.pop().result()
            if next_chunk is not None:
                pending.append(self._tokenise_pool.submit(self._tokenise, next_chunk))
            for numbers, inputs in batches(tokens):
                scores[numbers] = self._run(inputs)
        return scores[[unique[text] for text in texts]]

    def _tokenise(self, rows: list[tuple[str, int]]) -> list[TokenisedText]:
        encoded = self._tokenizer.encode_batch_fast([text for text, _ in rows])
        return [(row, encoding.ids) for (_, row), encoding in zip(rows, encoded, strict=True)]

    def _run(self, inputs: dict[str, NDArray[np.int64]]) -> Probabilities:
        self._before_run()
        (logits,) = self._session.run(None, inputs)
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Probabilities = (exponents / exponents.sum(axis=1, keepdims=True))[:, self._columns]
        return probabilities


def open_session(model: Path | bytes, threads: int) -> onnxruntime.InferenceSession:
    """Return a session for `model`, a file or a serialised model, on `threads` cores, or on the GPU if there is one."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Spinning idle threads would compete with Spark's threads for the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # ONNX Runtime keeps a memory pattern for each input shape for the life of the session, and shapes vary here.
    options.enable_mem_pattern = False
    preferred = (_CUDA, "CPUExecutionProvider")
    providers = [name for name in preferred if name in onnxruntime.get_available_providers()]
    if _CUDA in providers:
        # The CUDA libraries are Python packages, outside the search path of the system.
        onnxruntime.preload_dlls()
    return onnxruntime.InferenceSession(model if isinstance(model, bytes) else str(model), options, providers=providers)
