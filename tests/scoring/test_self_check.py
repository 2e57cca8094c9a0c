"""The scorer falls back to the float model if int8 gives wrong probabilities. The tests use the float file as int8."""

import json
import logging
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spark_apps.registry.client import BUNDLED
from spark_apps.scoring import self_check
from spark_apps.scoring.description import EMBEDDINGS_FILE, FALLBACK_FILE, MODEL_FILE, Description, ModelError, sha256
from spark_apps.scoring.scorer import Scorer, open_session
from tests.benchmarks.texts import texts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder as written by an int8 export."""
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED, folder)
    # The probabilities of the float file are the same on every processor.
    shutil.copyfile(folder / FALLBACK_FILE, folder / MODEL_FILE)
    checksums = {name: sha256(folder / name) for name in (MODEL_FILE, EMBEDDINGS_FILE)}
    replace(Description.read(BUNDLED), precision="fp16", checksums=checksums).write(folder)
    self_check.write(folder, Scorer(folder, 1).score)
    return _describe(folder)


def _describe(folder: Path) -> Path:
    names = (MODEL_FILE, FALLBACK_FILE, EMBEDDINGS_FILE, self_check.CHECK_FILE)
    checksums = {name: sha256(folder / name) for name in names}
    replace(Description.read(BUNDLED), precision="int8", checksums=checksums).write(folder)
    return folder


def _tamper(folder: Path, change: list[float]) -> None:
    stored = json.loads((folder / self_check.CHECK_FILE).read_text())
    stored["probabilities"][3] = (np.array(stored["probabilities"][3]) + change).tolist()
    (folder / self_check.CHECK_FILE).write_text(json.dumps(stored))
    _describe(folder)


def test_int8_is_used_if_its_probabilities_are_correct(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert Scorer(folder, 1).precision == "int8"
    assert not caplog.records


def test_wrong_probabilities_switch_to_the_float_file_with_a_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = Scorer(folder, 1).score(["so happy"])
    _tamper(folder, [0.03, -0.03, 0.0])
    with caplog.at_level(logging.WARNING):
        scorer = Scorer(folder, 1)
    assert scorer.precision == "fp16"
    assert "differ by up to 0.030 (tolerance 0.015) and 0 labels change" in caplog.text
    np.testing.assert_allclose(scorer.score(["so happy"]), wanted, atol=1e-5)


def test_the_fallback_scores_with_the_float_file(folder: Path) -> None:
    """With a tampered check file and a broken float file, loading fails instead of using the model file."""
    _tamper(folder, [0.5, -0.5, 0.0])
    (folder / FALLBACK_FILE).write_bytes(b"no model")
    _describe(folder)
    with pytest.raises(ModelError, match="cannot be loaded"):
        Scorer(folder, 1)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_gpu_build_of_the_library_scores_int8_without_a_gpu(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: providers)
    preloaded: list[bool] = []
    monkeypatch.setattr("onnxruntime.preload_dlls", lambda: preloaded.append(True))
    assert Scorer(folder, 1).precision == "int8" and preloaded


def test_a_difference_within_the_tolerance_is_accepted(folder: Path) -> None:
    _tamper(folder, [0.005, -0.005, 0.0])
    assert Scorer(folder, 1).precision == "int8"


def test_nan_is_a_difference(folder: Path) -> None:
    assert self_check.difference(folder, lambda texts: np.full((len(texts), 3), np.nan, np.float32))


def test_a_missing_or_changed_file_is_rejected(folder: Path) -> None:
    (folder / self_check.CHECK_FILE).write_text("{}")
    with pytest.raises(ModelError, match=r"check\.json is damaged"):
        Scorer(folder, 1)
    (folder / FALLBACK_FILE).unlink()
    with pytest.raises(ModelError, match=r"fallback\.onnx is missing"):
        Scorer(folder, 1)


def test_the_check_texts_cover_all_labels_and_score_quickly() -> None:
    assert len(set(self_check.TEXTS)) == len(self_check.TEXTS) == 24
    scorer = Scorer(BUNDLED, 1)
    assert set(scorer.score(self_check.TEXTS).argmax(axis=1)) == {0, 1, 2}
    began = time.perf_counter()
    scorer.score(self_check.TEXTS)
    assert time.perf_counter() - began < 2  # half a second on an idle machine


def test_the_bundled_model_uses_int8_on_every_processor_and_keeps_the_labels() -> None:
    """The products of an older bundled model overflowed on processors without VNNI; its self-check failed there."""
    scorer = Scorer(BUNDLED, 1)
    assert scorer.precision == "int8"
    sample = texts(300)
    labels = scorer.score(sample).argmax(axis=1)
    scorer._session = open_session(BUNDLED / FALLBACK_FILE, 1)
    assert (labels == scorer.score(sample).argmax(axis=1)).mean() >= 0.98


def test_the_score_of_a_text_does_not_depend_on_its_batch() -> None:
    scorer = Scorer(BUNDLED, 1)
    together = scorer.score(self_check.TEXTS)
    alone = np.concatenate([scorer.score([text]) for text in self_check.TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-4)
