"""Score tweets with an exported model. Needs only ONNX Runtime, tokenizers and numpy."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
# A chunk of this many texts is tokenised while the previous chunk is scored.
_CHUNK_TEXTS = 2048


class Scorer:
    """A loaded and warmed-up model. Not thread-safe: call `score` from one thread at a time.

    Attributes:
        description: description of the model.
        precision: `fp32`, `fp16` or `int8`, as used on this machine: `fp16` if an int8 model has fallen back.
    """

    def __init__(self, folder: Path, threads: int, before_run: Callable[[], None] = lambda: None) -> None:
        """Load the model in `folder`, and warm it up.

        Args:
            folder: folder of an exported model.
            threads: number of cores for the session; a GPU is used if there is one.
            before_run: called before each run of the session, which scores one batch.

        Raises:
            ModelError: a file is missing or damaged, or the model cannot be loaded.
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
        """Open the session and warm it up: the first run of a session is slower, and no tweet should wait for it."""
        has_fallback = FALLBACK_FILE in self.description.checksums
        if has_fallback and _CUDA in onnxruntime.get_available_providers():
            # ONNX Runtime has no CUDA kernels for int8 matrix products and would run each of them on the CPU.
            self._session = open_session(folder / FALLBACK_FILE, threads)
            if _CUDA in self._session.get_providers():
                self.precision = "fp16"
                self.score(self_check.TEXTS)
                return
        # This line is also reached with a GPU build of ONNX Runtime on a machine without a GPU.
        self._session = open_session(folder / MODEL_FILE, threads)
        if has_fallback:
            self._check_int8(folder, threads)
        else:
            self.score(self_check.TEXTS)

    def _check_int8(self, folder: Path, threads: int) -> None:
        """Score the check texts with the int8 model; switch to the fallback if the probabilities differ."""
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
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        probabilities = np.empty((len(rows), len(LABELS)), np.float32)
        # The length in characters predicts the number of tokens: sorted texts make batches with little padding.
        by_length = sorted(rows.items(), key=lambda item: len(item[0]))
        chunks = [by_length[start : start + _CHUNK_TEXTS] for start in range(0, len(by_length), _CHUNK_TEXTS)]
        for tokenised in self._tokenise_ahead(chunks):
            for batch_rows, inputs in batches(tokenised):
                probabilities[batch_rows] = self._run(inputs)
        return probabilities[[rows[text] for text in texts]]

    def _tokenise_ahead(self, chunks: Sequence[Sequence[tuple[str, int]]]) -> Iterator[list[TokenisedText]]:
        """Yield each chunk tokenised. While the caller scores a chunk, the next one is tokenised, but no others."""
        previous: Future[list[TokenisedText]] | None = None
        for chunk in chunks:
            future = self._tokenise_pool.submit(self._tokenise, chunk)
            if previous is not None:
                yield previous.result()
            previous = future
        if previous is not None:
            yield previous.result()

    def _tokenise(self, chunk: Sequence[tuple[str, int]]) -> list[TokenisedText]:
        """Tokenise a chunk of texts, each with its row in the result."""
        encoded = self._tokenizer.encode_batch_fast([text for text, _ in chunk])
        return [(row, encoding.ids) for (_, row), encoding in zip(chunk, encoded, strict=True)]

    def _run(self, inputs: dict[str, NDArray[np.int64]]) -> Probabilities:
        self._before_run()
        (logits,) = self._session.run(None, inputs)
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Probabilities = (exponents / exponents.sum(axis=1, keepdims=True))[:, self._columns]
        return probabilities


def open_session(model: Path | bytes, threads: int) -> onnxruntime.InferenceSession:
    """Open a session for `model`, a file or a serialised model: on the GPU if there is one, else on `threads` cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Spinning idle threads would compete with Spark's threads for the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A session keeps a memory pattern for each input shape, and nearly every batch has a different shape.
    options.enable_mem_pattern = False
    preferred = (_CUDA, "CPUExecutionProvider")
    providers = [name for name in preferred if name in onnxruntime.get_available_providers()]
    if _CUDA in providers:
        # The CUDA libraries are Python packages, outside the linker's search path.
        onnxruntime.preload_dlls()
    return onnxruntime.InferenceSession(model if isinstance(model, bytes) else str(model), options, providers=providers)
