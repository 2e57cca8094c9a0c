"""Fixtures of the quality tests: an empty lake, and a registry with a version in production."""

import shutil
from pathlib import Path

import pytest

from tests.quality.streams import Lake, release


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture(scope="session")
def first_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a registry with version 1 in production. Tests copy it: MLflow takes seconds to create one."""
    file = tmp_path_factory.mktemp("registry") / "registry.db"
    assert release(f"sqlite:///{file}") == "1"
    return file


@pytest.fixture
def registry(first_release: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copyfile(first_release, tmp_path / 'registry.db')}"
