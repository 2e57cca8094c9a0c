"""What a scorer does where int8 gives other figures than it should; the float file stands in for both."""

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
from spark_apps.scoring.scorer import Scorer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as an int8 export leaves it."""
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED, folder)
    # int8 itself is right on some processors only.
    shutil.copyfile(folder / FALLBACK_FILE, folder / MODEL_FILE)
    known = {name: sha256(folder / name) for name in (MODEL_FILE, EMBEDDINGS_FILE)}
    replace(Description.read(BUNDLED), precision="fp16", checksums=known).write(folder)
    self_check.write(folder, Scorer(folder, 1).score)
    return _described(folder)


def _described(folder: Path) -> Path:
    names = (MODEL_FILE, FALLBACK_FILE, EMBEDDINGS_FILE, self_check.CHECK_FILE)
    known = {name: sha256(folder / name) for name in names}
    replace(Description.read(BUNDLED), precision="int8", checksums=known).write(folder)
    return folder


def _tamper(folder: Path, change: list[float]) -> None:
    stored = json.loads((folder / self_check.CHECK_FILE).read_text())
    stored["probabilities"][3] = (np.array(stored["probabilities"][3]) + change).tolist()
    (folder / self_check.CHECK_FILE).write_text(json.dumps(stored))
    _described(folder)


def test_int8_is_used_where_it_gives_what_it_should(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert Scorer(folder, 1).precision == "int8"
    assert not caplog.records


def test_other_figures_lead_to_the_float_file_and_are_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    wanted = Scorer(folder, 1).score(["so happy"])
    _tamper(folder, [0.03, -0.03, 0.0])
    with caplog.at_level(logging.WARNING):
        scorer = Scorer(folder, 1)
    assert scorer.precision == "fp16"
    assert "differ by up to 0.030 (at most 0.01 is wanted) and 0 labels change" in caplog.text
    np.testing.assert_allclose(scorer.score(["so happy"]), wanted, atol=1e-5)


def test_the_float_file_is_what_is_scored_with(folder: Path) -> None:
    """Tampered with and without its file to fall back to: the model file then is not opened again."""
    _tamper(folder, [0.5, -0.5, 0.0])
    (folder / FALLBACK_FILE).write_bytes(b"no model")
    _described(folder)
    with pytest.raises(ModelError, match="cannot be loaded"):
        Scorer(folder, 1)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_library_for_gpus_scores_int8_where_there_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: providers)
    preloaded: list[bool] = []
    monkeypatch.setattr("onnxruntime.preload_dlls", lambda: preloaded.append(True))
    assert Scorer(folder, 1).precision == "int8" and preloaded


def test_a_difference_within_rounding_changes_nothing(folder: Path) -> None:
    _tamper(folder, [0.005, -0.005, 0.0])
    assert Scorer(folder, 1).precision == "int8"


def test_figures_that_are_no_numbers_are_a_difference(folder: Path) -> None:
    assert self_check.difference(folder, lambda texts: np.full((len(texts), 3), np.nan, np.float32))


def test_a_missing_or_changed_file_of_the_folder_is_refused(folder: Path) -> None:
    (folder / self_check.CHECK_FILE).write_text("{}")
    with pytest.raises(ModelError, match=r"check\.json is damaged"):
        Scorer(folder, 1)
    (folder / FALLBACK_FILE).unlink()
    with pytest.raises(ModelError, match=r"fallback\.onnx is missing"):
        Scorer(folder, 1)


def test_the_check_set_is_made_for_its_purpose() -> None:
    assert len(set(self_check.TEXTS)) == len(self_check.TEXTS) == 24
    scorer = Scorer(BUNDLED, 1)
    assert set(scorer.score(self_check.TEXTS).argmax(axis=1)) == {0, 1, 2}
    began = time.perf_counter()
    scorer.score(self_check.TEXTS)
    assert time.perf_counter() - began < 2  # half a second where nothing else runs


def test_a_text_has_one_score_whatever_it_is_scored_with() -> None:
    scorer = Scorer(BUNDLED, 1)
    together = scorer.score(self_check.TEXTS)
    alone = np.concatenate([scorer.score([text]) for text in self_check.TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-4)
