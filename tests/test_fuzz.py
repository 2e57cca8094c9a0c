"""Damaged documents do not affect the valid tweet (the canary) after each hundred; `make fuzz` reads 100,000."""

import pytest

from spark_apps.tables import GOLD_SENTIMENT
from tests import fuzz
from tests.conftest import Pipeline


@pytest.mark.parametrize("seed", [1, 2])
def test_a_damaged_document_does_not_affect_the_canary(seed: int) -> None:
    result = fuzz.Result()
    for file in fuzz.files(800, seed):
        result.read(file)
    result.check()
    assert result.slowest < 60
    assert len(result.records) > 15


def test_every_canary_reaches_gold(pipeline: Pipeline) -> None:
    files = list(fuzz.files(200, 3))
    for file in files:
        pipeline.land(file.name, file.data)
    pipeline.run_once()
    assert {file.canary for file in files} <= {row["id"] for row in pipeline.rows(GOLD_SENTIMENT)}
    assert pipeline.run_once() == []
