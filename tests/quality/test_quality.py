"""A stream against its limits: each crossed and kept, drift by language, baselines, and what becomes of findings."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable
from deltalake.schema import Field, PrimitiveType

from spark_apps.gold.production_model import ProductionModel
from spark_apps.registry.client import Registry
from spark_apps.tables import GOLD_SENTIMENT
from tests.quality.streams import GRIM, Lake, check, over, quality, release


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture(scope="module")
def first_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with version 1 in production: MLflow takes two seconds to make one."""
    file = tmp_path_factory.mktemp("registry") / "registry.db"
    assert release(f"sqlite:///{file}") == "1"
    return file


@pytest.fixture
def registry(first_release: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copyfile(first_release, tmp_path / 'registry.db')}"


def baselines(registry: str, version: str) -> dict[str, str]:
    tags = Registry(registry, 60).version(version).tags
    return {key: text for key, text in tags.items() if key.startswith("baseline ")}


def test_a_stream_in_order(lake: Lake) -> None:
    lake.flow(rejected=3)
    code, found = check(lake)
    assert code == 0 and found["findings"] == found["open"] == [] and found["version"] is None
    assert {one["name"]: one["figure"] for one in found["checks"]} == {
        "freshness of silver": 0, "freshness of gold": 0, "throughput": 10, "quarantine share": 3 / 603,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "name"),
    [
        ({"FRESHNESS_SECONDS": "60"}, "freshness of gold"),
        ({"TWEETS_PER_MINUTE": "10.1"}, "throughput"),
        ({"QUARANTINE_SHARE": "0.2"}, "quarantine share"),
    ],
)
def test_each_limit_fails_by_its_name(lake: Lake, limit: dict[str, str], name: str) -> None:
    lake.flow(rejected=200)
    lake.flow(100, scored=False)
    lake.age("silver/tweets", timedelta(minutes=10))
    assert check(lake)[0] == 0
    env = {f"TWEETS_QUALITY_{key}": value for key, value in limit.items()}
    code, found = check(lake, **env)
    assert (code, over(found), found["open"]) == (3, {name}, [name])
    told = quality("check", "--lake", lake.path, **env)
    assert f"found {name}, since " in told.stderr and "the limit is" in told.stderr and name in told.stdout


def test_freshness_counts_from_the_oldest_that_waits(lake: Lake) -> None:
    lake.flow()
    lake.age("silver/tweets", timedelta(hours=9))
    for minutes in (30, 20, 10):
        lake.flow(100, scored=False)
        lake.age("silver/tweets", timedelta(minutes=minutes))
    code, found = check(lake)
    (gold,) = (one for one in found["checks"] if one["name"] == "freshness of gold")
    assert code == 3 and 1800 <= gold["figure"] < 1860
    lake.flow(1)
    assert check(lake)[0] == 0, "Gold has read all"


def test_what_was_written_before_the_window_does_not_count(lake: Lake) -> None:
    lake.flow(ago=timedelta(hours=2), rejected=600)
    lake.age("silver/tweets", timedelta(hours=2))
    lake.age("silver/quarantine", timedelta(hours=2))
    lake.flow(60)
    code, found = check(lake)
    assert code == 0
    figures = {one["name"]: one["figure"] for one in found["checks"]}
    assert (figures["throughput"], figures["quarantine share"]) == (1, 0)
    assert check(lake, TWEETS_QUALITY_WINDOW_MINUTES="180")[0] == 3


def test_the_share_of_a_few_records_says_nothing(lake: Lake) -> None:
    lake.flow(10, rejected=9)
    assert "quarantine share" not in {one["name"] for one in check(lake)[1]["checks"]}
    lake.flow(1)
    assert over(check(lake)[1]) == {"quarantine share"}


def test_drift_is_found_by_language(lake: Lake, registry: str) -> None:
    for lang in ("en", "es"):
        lake.flow(lang=lang, ago=timedelta(minutes=50))
    lake.flow(400, "ja", ago=timedelta(minutes=50))
    code, found = check(lake, registry)
    assert code == 0 and found["version"] == "1"
    assert baselines(registry, "1").keys() == {"baseline en", "baseline es"}, "too few in ja"
    for lang in ("en", "es"):
        lake.flow(lang=lang, shares=GRIM if lang == "es" else (0.3, 0.4, 0.3))
    lake.flow(400, "ja", shares=GRIM)
    code, found = check(lake, registry, TWEETS_QUALITY_WINDOW_MINUTES="30")
    assert (code, over(found)) == (3, {"label drift in es"})
    (finding,) = found["findings"]
    assert "negative: 9" in finding["says"] and "of 600 in the baseline" in finding["says"]
    assert (finding["version"], finding["acknowledged"]) == ("1", None)


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("it is what it is, as far as I can tell from here", {"length"}),
        ("see http://t.co/abc", {"link"}),
        ("it is so, as @ann s", {"mention"}),
        ("it is wh#t it #is so", {"hashtag"}),
        ("it is whät it is", {"non_ascii"}),
        ("it is what @ it is", set()),
    ],
)
def test_drift_of_texts(lake: Lake, registry: str, text: str, figures: set[str]) -> None:
    lake.flow(ago=timedelta(minutes=50))
    assert check(lake, registry)[0] == 0
    lake.flow(text=text)
    code, found = check(lake, registry, TWEETS_QUALITY_WINDOW_MINUTES="30")
    assert over(found) == {f"{figure} drift in en" for figure in figures} and code == (3 if figures else 0)


def test_a_baseline_is_recorded_once_after_a_whole_window(lake: Lake, registry: str) -> None:
    lake.flow()
    check(lake, registry)
    first = baselines(registry, "1")
    assert json.loads(first["baseline en"])["tweets"] == 600
    lake.flow(5000, shares=GRIM)
    assert check(lake, registry)[0] == 3
    assert baselines(registry, "1") == first
    assert release(registry, ago=timedelta(minutes=59)) == "2"
    lake.flow(5000, version="2")
    check(lake, registry)
    assert baselines(registry, "2") == {}, "moods come in bursts"
    check(lake, registry, TWEETS_QUALITY_WINDOW_MINUTES="58")
    assert baselines(registry, "2").keys() == {"baseline en"}


def test_what_is_no_language_is_unknown(lake: Lake, registry: str) -> None:
    lake.flow(lang="'; DROP TABLE gold; --" * 20)
    check(lake, registry)
    assert baselines(registry, "1").keys() == {"baseline und"}


def test_a_release_that_shifts_the_labels_is_found(lake: Lake, registry: str) -> None:
    lake.flow()
    assert check(lake, registry)[0] == 0
    assert release(registry) == "2"
    assert check(lake, registry)[0] == 0, "version 2 has labelled nothing yet"
    lake.flow(version="2", shares=GRIM)
    code, found = check(lake, registry)
    assert (code, over(found)) == (3, {"label shift in en"})
    assert "of 600 tweets" in found["findings"][0]["says"], "the rows of version 1 in the window do not count"
    assert quality("acknowledge", "--why", "meant", "--registry", registry).exit_code == 0
    lake.flow(version="2", shares=GRIM)
    assert check(lake, registry)[0] == 0, "found once, and acknowledged as long as version 2 is in production"
    # A finding of a version goes with it.
    assert release(registry) == "3"
    assert check(lake, registry)[1]["findings"] == []


def test_rows_that_a_rescore_rewrote_are_not_what_a_version_did(lake: Lake, registry: str) -> None:
    lake.flow(version="0", shares=GRIM)
    gold = DeltaTable(GOLD_SENTIMENT.path(str(lake.path)))
    if "rescored_at" not in {field.name for field in gold.schema().fields}:
        gold.alter.add_columns([Field("rescored_at", PrimitiveType("timestamp"))])
    gold.update({"rescored_at": f"TIMESTAMP '{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}'", "model_version": "'1'"})
    check(lake, registry)
    assert baselines(registry, "1") == {}
    gold.update({"rescored_at": "NULL"})
    check(lake, registry)
    assert baselines(registry, "1").keys() == {"baseline en"}


def test_a_finding_stands_is_acknowledged_passes_and_comes_back(lake: Lake, registry: str) -> None:
    strict = {"TWEETS_QUALITY_QUARANTINE_SHARE": "0.1", "TWEETS_QUALITY_FRESHNESS_SECONDS": "60"}
    lake.flow(rejected=100)
    lake.flow(10, scored=False)
    lake.age("silver/tweets", timedelta(minutes=10))
    code, first = check(lake, registry, **strict)
    names = ["freshness of gold", "quarantine share"]
    assert code == 3 and first["open"] == names
    code, second = check(lake, registry, **strict)
    assert code == 3 and [one["since"] for one in second["findings"]] == [one["since"] for one in first["findings"]]

    unknown = quality("acknowledge", "throughput", "--why", "so", "--registry", registry)
    assert unknown.exit_code == 2 and "there are: freshness of gold, quarantine share" in unknown.output
    assert quality("acknowledge", "--why", " ", "--registry", registry).exit_code == 2
    done = quality("acknowledge", names[1], "--why", "a test [of ours]", "--by", "bob", "--registry", registry)
    assert done.stdout == "acknowledged: quarantine share\n"
    code, found = check(lake, registry, **strict)
    assert code == 3 and found["open"] == names[:1]
    told = quality("check", "--lake", lake.path, "--registry", registry, **strict)
    assert "by bob: a test [of ours]" in told.stdout and "found quarantine share" not in told.stderr
    assert quality("acknowledge", "--why", "the rest", "--registry", registry).stdout == f"acknowledged: {names[0]}\n"
    code, found = check(lake, registry, **strict)
    assert code == 0 and len(found["findings"]) == 2 and found["open"] == []

    assert check(lake, registry)[1]["findings"] == [], "both are within the limits of today"
    assert not [key for key in Registry(registry, 60).model_tags() if "quarantine share" in key]
    code, found = check(lake, registry, **strict)
    assert code == 3 and found["open"] == names, "what comes back is new"
    assert found["findings"][0]["since"] > first["findings"][0]["since"]


def test_gold_tells_how_many_stand(lake: Lake, registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.flow(rejected=600)
    assert check(lake, registry)[0] == 3
    monkeypatch.setattr("spark_apps.gold.production_model._FINDINGS_SECONDS", 0)
    kept = Registry(registry, 60)
    monkeypatch.setattr(kept, "download", lambda _version, folder: folder)
    model = ProductionModel(kept, tmp_path)
    assert model.current() is not None and model.findings == 1
    # A tag that somebody has edited by hand must not keep Gold from scoring.
    kept.tag_model("finding: quarantine share", "gone")
    assert model.current() is not None and (model.findings, model.problem) == (1, "")
    edited = quality("acknowledge", "--why", "so", "--registry", registry)
    assert edited.exit_code == 2 and "'finding: quarantine share'" in edited.output and "delete both" in edited.output
    kept.untag_model("finding: quarantine share")
    assert model.current() is not None and model.findings == 0


def test_what_is_not_measured_stands_as_it_did(lake: Lake, registry: str) -> None:
    lake.flow(20, rejected=300)
    assert check(lake, registry)[0] == 3
    code, found = check(lake, registry, TWEETS_QUALITY_WINDOW_MINUTES="0.0001")
    assert code == 3 and "quarantine share" not in {one["name"] for one in found["checks"]}
    assert found["open"] == ["quarantine share"]


def test_a_registry_without_a_model(lake: Lake, tmp_path: Path) -> None:
    lake.flow(rejected=600)
    code, found = check(lake, f"sqlite:///{tmp_path / 'empty.db'}")
    assert code == 3 and found["version"] is None and found["open"] == ["quarantine share"]


def test_what_cannot_be_measured_is_said(lake: Lake, tmp_path: Path) -> None:
    wrong = quality("check", TWEETS_QUALITY_DRIFT="much", TWEETS_QUALITY_WINDOW_MINUTES="0")
    assert (
        wrong.exit_code == 2
        and "TWEETS_QUALITY_DRIFT" in wrong.output
        and "TWEETS_QUALITY_WINDOW_MINUTES" in wrong.output
    )
    none = quality("check", "--lake", tmp_path / "none")
    assert none.exit_code == 2 and "bronze/tweets is not there" in none.output
    lake.flow()
    away = quality("check", "--lake", lake.path, "--registry", "http://127.0.0.1:9", TWEETS_REGISTRY_TIMEOUT="1")
    assert away.exit_code == 2 and "http://127.0.0.1:9" in away.output
    for file in (lake.path / "gold" / "sentiment").rglob("*.parquet"):
        file.unlink()
    broken = quality("check", "--lake", lake.path)
    assert broken.exit_code == 2 and "gold/sentiment cannot be read" in broken.output


def test_the_image_of_the_dashboard_can_run_it(lake: Lake, registry: str) -> None:
    lake.flow()
    words = ["tweet-sentiment", "quality", "check", "--lake", str(lake.path), "--registry", registry]
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {{"pyspark", "delta", "onnxruntime", "tokenizers", "torch", "matplotlib", "sklearn"}}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
sys.argv = {words!r}
from spark_apps.cli.main import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "freshness of gold" in done.stdout and "version 1 is in production" in done.stdout
