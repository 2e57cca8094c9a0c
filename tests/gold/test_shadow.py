"""The shadow version scores a share of the tweets into gold/shadow, and never changes or stops Gold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from spark_apps.cli.main import app as cli
from spark_apps.gold.shadow import ShadowScorer, choose
from spark_apps.gold.shadow_model import ShadowModel
from spark_apps.lake.erasure_report import read_erasures
from spark_apps.map_in_arrow import ArrowFunction
from spark_apps.registry.client import BUNDLED, Registry
from spark_apps.registry.production import ensure_production
from spark_apps.registry.requests import RegistryError
from spark_apps.registry.versions import PASSED_FOR_SHADOW
from spark_apps.scoring import udf
from spark_apps.scoring.description import MODEL_FILE, Description, ModelVersion, sha256
from spark_apps.settings import MODEL_NAME, SHADOW, Settings
from spark_apps.streaming.runner import StreamError
from spark_apps.tables import GOLD_SENTIMENT, GOLD_SHADOW, GOLD_TRENDS
from tests.conftest import Pipeline
from tests.exactness import assert_aggregates_match
from tests.failing_writes import fail_write
from tests.lakes import flat_tweet
from tests.model.test_release import changed_copy, swapped_labels
from tests.streaming.test_poison import POISON, kill, poisonous
from tests.test_erasure import request

LOVE, HATE = "I love this so much, best day of my life!", "I hate this, it is the worst thing I have ever bought"


class Fixed(ShadowModel):
    """A shadow version that needs no registry; it records its failures."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(Registry("sqlite:///unused", 1), Path())
        self.model = ModelVersion(MODEL_NAME, "9", folder, SHADOW) if folder else None
        self.failures: list[Exception] = []

    def current(self) -> ModelVersion | None:
        return self.model

    def pause(self, model: ModelVersion, error: Exception) -> None:
        self.failures.append(error)
        super().pause(model, error)


@pytest.fixture
def shadowed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Fixed]:
    """Return a function that lets all streams shadow with the model in a folder."""

    def use(folder: Path | None, share: float = 1.0) -> Fixed:
        models = Fixed(folder)
        monkeypatch.setattr(ShadowScorer, "from_settings", lambda _: ShadowScorer(models, share))
        return models

    return use


def no_answer(*_: object) -> Any:
    raise RegistryError("the registry is down")


def tweets(numbers: range) -> str:
    return "".join(flat_tweet(n, full_text=f"{LOVE if n % 2 else HATE} {n}", lang="en", user_id=n) for n in numbers)


def test_the_choice_is_the_same_every_time_and_grows_with_the_share(spark: SparkSession) -> None:
    model = ModelVersion(MODEL_NAME, "2", Path(), SHADOW)
    rows = spark.range(10**18, 10**18 + 40_000).selectExpr("CAST(id AS STRING) AS id", "'positive' AS label")
    sentiment = rows.selectExpr("*", "IF(id LIKE '%7', '2', '1') AS model_version")

    def chosen(share: float, partitions: int) -> set[str]:
        return {row["id"] for row in choose(sentiment.repartition(partitions), model, share).collect()}

    few, more = chosen(0.05, 3), chosen(0.2, 7)
    assert few == chosen(0.05, 5) and few < more
    # Nine of ten rows have a label of another version.
    assert len(few) / 36_000 == pytest.approx(0.05, abs=0.005)
    assert len(chosen(1.0, 2)) == 36_000
    unlabelled = sentiment.selectExpr("id", "CAST(NULL AS STRING) AS label", "model_version")
    assert choose(unlabelled, model, 1.0).isEmpty()


@pytest.mark.slow
def test_each_chosen_tweet_is_scored_once_whatever_fails(
    pipeline: Pipeline, shadowed: Callable[..., Fixed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without a shadow version, nothing is scored, and nothing is kept for later.
    shadowed(None)
    pipeline.land("0.json", tweets(range(10, 20)))
    pipeline.run_once()
    assert pipeline.rows(GOLD_SHADOW) == []

    models = shadowed(swapped_labels(tmp_path / "swapped"))
    pipeline.land("1.json", tweets(range(20, 40)))
    for table, method in ((GOLD_TRENDS, "merge"), (GOLD_SHADOW, "append")):
        for when in ("before", "after"):
            with monkeypatch.context() as patch:
                fail_write(patch, method, table, when)
                with pytest.raises(StreamError, match=f"failed {when} the commit of {table.name}"):
                    pipeline.run_once()
    assert not pipeline.run_once()  # the last failure came after the last commit of the batch
    pipeline.land("2.json", tweets(range(40, 44)))
    (report,) = [each for each in pipeline.run_once() if each.stream == "gold-aggregates"]
    assert report.counts == {"rows": 4, "shadowed": 4}

    rows = pipeline.rows(GOLD_SHADOW)
    assert sorted(row["id"] for row in rows) == [str(number) for number in range(20, 44)]
    labels = {row["id"]: row for row in pipeline.rows(GOLD_SENTIMENT)}
    for row in rows:
        gold = labels[row["id"]]
        assert (row["production_label"], row["production_version"]) == (gold["label"], gold["model_version"])
        assert {row["production_label"], row["label"]} == {"positive", "negative"} and row["model_version"] == "9"
        # int8 figures depend a little on the other texts of a batch.
        assert (row["positive"], row["negative"]) == pytest.approx((gold["negative"], gold["positive"]), abs=0.02)
        assert (row["lang"], row["user_id"]) == ("en", gold["user_id"])
        # A repeated batch may find the predictions in the cache of its worker.
        assert (
            row["milliseconds"] > 0 if int(row["id"]) >= 40 else row["milliseconds"] is None or row["milliseconds"] > 0
        )
    assert not models.failures
    assert_aggregates_match(pipeline.spark, pipeline.lake)


def kill_shadow_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the shadow version end its Python worker at a tweet with POISON."""
    make = udf._scorer

    def make_poisonous(archive: str, threads: int, alias: str) -> ArrowFunction:
        score = make(archive, threads, alias)
        return poisonous(score, kill) if alias == SHADOW else score

    monkeypatch.setattr(udf, "_scorer", make_poisonous)


@pytest.mark.slow
@pytest.mark.parametrize("cause", ["a damaged file", "a killed worker"])
def test_a_broken_shadow_version_changes_nothing_in_gold(
    pipeline: Pipeline, shadowed: Callable[..., Fixed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    broken = changed_copy(tmp_path / "broken", provenance={"why": "a worker caches models by their description"})
    if cause == "a damaged file":
        (broken / MODEL_FILE).write_bytes(b"not a model")
    else:
        kill_shadow_workers(monkeypatch)
    models = shadowed(broken)
    pipeline.land("1.json", tweets(range(10, 29)) + flat_tweet(29, full_text=f"{LOVE} {POISON}"))
    pipeline.run_once()
    assert len(models.failures) == 1
    assert len([row for row in pipeline.rows(GOLD_SENTIMENT) if row["label"]]) == 20
    assert pipeline.rows(GOLD_SHADOW) == []
    assert_aggregates_match(pipeline.spark, pipeline.lake)
    assert not list(Path(pipeline.lake, "checkpoints").glob("*.error.json"))


@pytest.mark.slow
def test_erasures_reach_the_table(pipeline: Pipeline, shadowed: Callable[..., Fixed]) -> None:
    shadowed(BUNDLED)
    pipeline.land("1.json", tweets(range(10, 20)))
    pipeline.run_once()
    pipeline.land("2.json", request(["11"], ["13"]) + tweets(range(20, 22)))
    pipeline.run_once()
    assert sorted(int(row["id"]) for row in pipeline.rows(GOLD_SHADOW)) == [10, 12, *range(14, 22)]
    (erasure,) = read_erasures(pipeline.lake, 5)
    assert GOLD_SHADOW.name in erasure.applied and erasure.state == "applied"


@pytest.mark.slow
def test_the_alias_of_the_registry_chooses_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    uri = f"sqlite:///{tmp_path / 'registry.db'}"
    registry = Registry(uri, 60)
    ensure_production(registry, BUNDLED)
    assert registry.register(swapped_labels(tmp_path / "swapped")) == "2"

    def command(*words: str) -> str:
        env = {"COLUMNS": "200", "TWEETS_REGISTRY_TIMEOUT": "60"}
        done = CliRunner().invoke(cli, ["model", "shadow", *words, "--registry", uri], env=env)
        return f"{done.exit_code}: {done.output}"

    models = ShadowModel(Registry(uri, 60), tmp_path / "cache")
    assert models.current() is None
    # A moved alias is not enough to run a graph in Gold.
    registry.set_alias(SHADOW, "2")
    assert models.current() is None and "version 2 has not passed the gates" in caplog.text
    refused = command("2")
    assert refused.startswith("2: ") and "release --shadow-first" in refused
    registry.tag("2", PASSED_FOR_SHADOW, {})
    assert "0: tweet-sentiment version 2 is the shadow version" in command("staging")
    model = models.current()
    assert model is not None and (model.version, model.alias) == ("2", "shadow")
    assert Description.read(model.folder).sha256 == sha256(BUNDLED / MODEL_FILE)
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "alias", no_answer)
        assert models.current() is model and "the registry is down" in caplog.text

    models.pause(model, ValueError("no memory"))
    assert models.current() is None and "shadow version 2 failed" in caplog.text and "no memory" in caplog.text
    monkeypatch.setattr("spark_apps.gold.shadow_model._PAUSE_SECONDS", 0.0)
    models.pause(model, ValueError("no memory"))
    assert models.current() is not None

    in_production, unknown = command("1"), command("7")
    assert in_production.startswith("2: ") and "version 1 is in production" in in_production
    assert unknown.startswith("2: ") and "no version '7'" in unknown
    assert command().startswith("2: ") and command("2", "--clear").startswith("2: ")
    assert registry.alias(SHADOW) == "2"
    assert command("--clear").startswith("0: ") and models.current() is None
    assert command("--clear").startswith("0: ")

    # A version that cannot be downloaded is reported once.
    registry.set_alias(SHADOW, "2")
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "download", no_answer)
        caplog.clear()
        assert models.current() is None and models.current() is None
        assert caplog.text.count("version 2 cannot be used: the registry is down") == 1
    assert models.current() is not None
    assert ShadowScorer.from_settings(Settings(registry=uri)) is not None
    assert ShadowScorer.from_settings(Settings()) is None
