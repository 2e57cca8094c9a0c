"""Quality checks of a stream: each limit, drift by language, baselines, and the life of a finding."""

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
from tests.quality.streams import MIXED, NEGATIVE, Lake, check, over, quality, release


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture(scope="module")
def first_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with version 1 in production, to copy: MLflow takes two seconds to create one."""
    file = tmp_path_factory.mktemp("registry") / "registry.db"
    assert release(f"sqlite:///{file}") == "1"
    return file


@pytest.fixture
def registry(first_release: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copyfile(first_release, tmp_path / 'registry.db')}"


def baselines(registry: str, version: str) -> dict[str, str]:
    tags = Registry(registry, 60).version(version).tags
    return {key: text for key, text in tags.items() if key.startswith("baseline ")}


def test_a_healthy_stream_passes_all_checks(lake: Lake) -> None:
    lake.flow(rejected=3)
    code, result = check(lake)
    assert code == 0 and result["findings"] == result["open"] == [] and result["version"] is None
    assert {row["name"]: row["figure"] for row in result["checks"]} == {
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
def test_each_exceeded_limit_is_reported_by_name(lake: Lake, limit: dict[str, str], name: str) -> None:
    lake.flow(rejected=200)
    lake.flow(100, scored=False)
    lake.age("silver/tweets", timedelta(minutes=10))
    assert check(lake)[0] == 0
    env = {f"TWEETS_QUALITY_{key}": value for key, value in limit.items()}
    code, result = check(lake, **env)
    assert (code, over(result), result["open"]) == (3, {name}, [name])
    shown = quality("check", "--lake", lake.path, **env)
    assert f"finding {name}, since " in shown.stderr and "the limit is" in shown.stderr and name in shown.stdout


def test_freshness_is_the_age_of_the_oldest_unscored_tweets(lake: Lake) -> None:
    lake.flow()
    lake.age("silver/tweets", timedelta(hours=9))
    for minutes in (30, 20, 10):
        lake.flow(100, scored=False)
        lake.age("silver/tweets", timedelta(minutes=minutes))
    code, result = check(lake)
    (gold,) = (row for row in result["checks"] if row["name"] == "freshness of gold")
    assert code == 3 and 1800 <= gold["figure"] < 1860
    lake.flow(1)
    assert check(lake)[0] == 0, "Gold has scored all tweets"


def test_rows_before_the_window_do_not_count(lake: Lake) -> None:
    lake.flow(ago=timedelta(hours=2), rejected=600)
    lake.age("silver/tweets", timedelta(hours=2))
    lake.age("silver/quarantine", timedelta(hours=2))
    lake.flow(60)
    code, result = check(lake)
    assert code == 0
    figures = {row["name"]: row["figure"] for row in result["checks"]}
    assert (figures["throughput"], figures["quarantine share"]) == (1, 0)
    assert check(lake, TWEETS_QUALITY_WINDOW_MINUTES="180")[0] == 3


def test_a_share_of_few_records_is_not_checked(lake: Lake) -> None:
    lake.flow(10, rejected=9)
    assert "quarantine share" not in {row["name"] for row in check(lake)[1]["checks"]}
    lake.flow(1)
    assert over(check(lake)[1]) == {"quarantine share"}


def test_label_drift_is_checked_by_language(lake: Lake, registry: str) -> None:
    for lang in ("en", "es"):
        lake.flow(lang=lang, ago=timedelta(minutes=50))
    lake.flow(400, "ja", ago=timedelta(minutes=50))
    code, result = check(lake, registry)
    assert code == 0 and result["version"] == "1"
    assert baselines(registry, "1").keys() == {"baseline en", "baseline es"}, "ja has too few tweets"
    for lang in ("en", "es"):
        lake.flow(lang=lang, shares=NEGATIVE if lang == "es" else MIXED)
    lake.flow(400, "ja", shares=NEGATIVE)
    code, result = check(lake, registry, TWEETS_QUALITY_WINDOW_MINUTES="30")
    assert (code, over(result)) == (3, {"label drift in es"})
    (finding,) = result["findings"]
    assert "negative: 9" in finding["says"] and "of 600 in the baseline" in finding["says"]
    assert (finding["version"], finding["acknowledged"]) == ("1", None)


def test_a_change_of_the_texts_is_drift_of_the_changed_features(lake: Lake, registry: str) -> None:
    features = {
        "en": ("it is what it is, as far as I can tell from here", {"length"}),
        "es": ("see http://t.co/abc", {"link"}),
        "ja": ("it is so, as @ann s", {"mention"}),
        "de": ("it is wh#t it #is so", {"hashtag"}),
        "fr": ("it is whät it is", {"non_ascii"}),
        "pt": ("it is what @ it is", set[str]()),
    }
    for lang in features:
        lake.flow(lang=lang, ago=timedelta(minutes=50))
    assert check(lake, registry)[0] == 0
    for lang, (text, _) in features.items():
        lake.flow(lang=lang, text=text)
    code, result = check(lake, registry, TWEETS_QUALITY_WINDOW_MINUTES="30")
    assert code == 3
    assert over(result) == {f"{name} drift in {lang}" for lang, (_, names) in features.items() for name in names}


def test_a_baseline_is_recorded_once_after_a_whole_window(lake: Lake, registry: str) -> None:
    lake.flow()
    check(lake, registry)
    first = baselines(registry, "1")
    assert json.loads(first["baseline en"])["tweets"] == 600
    lake.flow(5000, shares=NEGATIVE)
    assert check(lake, registry)[0] == 3
    assert baselines(registry, "1") == first
    assert release(registry, ago=timedelta(minutes=59)) == "2"
    lake.flow(5000, version="2")
    check(lake, registry)
    assert baselines(registry, "2") == {}, "a part of a window is not a baseline"
    check(lake, registry, TWEETS_QUALITY_WINDOW_MINUTES="58")
    assert baselines(registry, "2").keys() == {"baseline en"}


def test_an_invalid_language_code_is_unknown(lake: Lake, registry: str) -> None:
    lake.flow(lang="'; DROP TABLE gold; --" * 20)
    check(lake, registry)
    assert baselines(registry, "1").keys() == {"baseline und"}


def test_a_label_shift_by_a_release_is_reported(lake: Lake, registry: str) -> None:
    lake.flow()
    assert check(lake, registry)[0] == 0
    assert release(registry) == "2"
    assert check(lake, registry)[0] == 0, "version 2 has not labelled any tweet yet"
    lake.flow(version="2", shares=NEGATIVE)
    code, result = check(lake, registry)
    assert (code, over(result)) == (3, {"label shift in en"})
    assert "of 600 tweets" in result["findings"][0]["says"], "the rows of version 1 in the window do not count"
    assert quality("acknowledge", "--why", "meant", "--registry", registry).exit_code == 0
    lake.flow(version="2", shares=NEGATIVE)
    assert check(lake, registry)[0] == 0, "an acknowledged finding stays acknowledged while version 2 is in production"
    # A new version in production removes the findings of the previous version.
    assert release(registry) == "3"
    assert check(lake, registry)[1]["findings"] == []


def test_rescored_rows_do_not_count_for_the_baseline_of_a_version(lake: Lake, registry: str) -> None:
    lake.flow(version="0", shares=NEGATIVE)
    gold = DeltaTable(GOLD_SENTIMENT.path(str(lake.path)))
    if "rescored_at" not in {field.name for field in gold.schema().fields}:
        gold.alter.add_columns([Field("rescored_at", PrimitiveType("timestamp"))])
    gold.update({"rescored_at": f"TIMESTAMP '{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}'", "model_version": "'1'"})
    check(lake, registry)
    assert baselines(registry, "1") == {}
    gold.update({"rescored_at": "NULL"})
    check(lake, registry)
    assert baselines(registry, "1").keys() == {"baseline en"}


def test_a_finding_stays_open_until_acknowledged_and_reopens_as_new(lake: Lake, registry: str) -> None:
    strict = {"TWEETS_QUALITY_QUARANTINE_SHARE": "0.1", "TWEETS_QUALITY_FRESHNESS_SECONDS": "60"}
    lake.flow(rejected=100)
    lake.flow(10, scored=False)
    lake.age("silver/tweets", timedelta(minutes=10))
    code, first = check(lake, registry, **strict)
    names = ["freshness of gold", "quarantine share"]
    assert code == 3 and first["open"] == names
    code, second = check(lake, registry, **strict)
    assert code == 3 and [finding["since"] for finding in second["findings"]] == [
        finding["since"] for finding in first["findings"]
    ]

    unknown = quality("acknowledge", "throughput", "--why", "so", "--registry", registry)
    assert unknown.exit_code == 2 and "the findings are freshness of gold, quarantine share" in unknown.output
    assert quality("acknowledge", "--why", " ", "--registry", registry).exit_code == 2
    done = quality("acknowledge", names[1], "--why", "a test [in brackets]", "--by", "bob", "--registry", registry)
    assert done.stdout == "acknowledged: quarantine share\n"
    code, result = check(lake, registry, **strict)
    assert code == 3 and result["open"] == names[:1]
    shown = quality("check", "--lake", lake.path, "--registry", registry, **strict)
    assert "by bob: a test [in brackets]" in shown.stdout and "finding quarantine share" not in shown.stderr
    assert quality("acknowledge", "--why", "the rest", "--registry", registry).stdout == f"acknowledged: {names[0]}\n"
    code, result = check(lake, registry, **strict)
    assert code == 0 and len(result["findings"]) == 2 and result["open"] == []

    assert check(lake, registry)[1]["findings"] == [], "both values are within the default limits"
    assert not [key for key in Registry(registry, 60).model_tags() if "quarantine share" in key]
    code, result = check(lake, registry, **strict)
    assert code == 3 and result["open"] == names, "a finding that returns is a new finding"
    assert result["findings"][0]["since"] > first["findings"][0]["since"]


def test_gold_reports_the_number_of_open_findings(
    lake: Lake, registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.flow(rejected=600)
    assert check(lake, registry)[0] == 3
    monkeypatch.setattr("spark_apps.gold.production_model._FINDINGS_SECONDS", 0)
    kept = Registry(registry, 60)
    monkeypatch.setattr(kept, "download", lambda _version, folder: folder)
    model = ProductionModel(kept, tmp_path)
    assert model.current() is not None and model.findings == 1
    # An invalid tag, edited by hand, must not stop Gold.
    kept.tag_model("finding: quarantine share", "gone")
    assert model.current() is not None and (model.findings, model.problem) == (1, "")
    edited = quality("acknowledge", "--why", "so", "--registry", registry)
    assert (
        edited.exit_code == 2 and "'finding: quarantine share'" in edited.output and "delete both tags" in edited.output
    )
    kept.untag_model("finding: quarantine share")
    assert model.current() is not None and model.findings == 0


def test_a_finding_that_is_not_measured_stays_open(lake: Lake, registry: str) -> None:
    lake.flow(20, rejected=300)
    assert check(lake, registry)[0] == 3
    code, result = check(lake, registry, TWEETS_QUALITY_WINDOW_MINUTES="0.0001")
    assert code == 3 and "quarantine share" not in {row["name"] for row in result["checks"]}
    assert result["open"] == ["quarantine share"]


def test_a_check_works_with_an_empty_registry(lake: Lake, tmp_path: Path) -> None:
    lake.flow(rejected=600)
    code, result = check(lake, f"sqlite:///{tmp_path / 'empty.db'}")
    assert code == 3 and result["version"] is None and result["open"] == ["quarantine share"]


def test_settings_and_sources_that_do_not_work_are_named(lake: Lake, tmp_path: Path) -> None:
    wrong = quality("check", TWEETS_QUALITY_DRIFT="much", TWEETS_QUALITY_WINDOW_MINUTES="0")
    assert (
        wrong.exit_code == 2
        and "TWEETS_QUALITY_DRIFT" in wrong.output
        and "TWEETS_QUALITY_WINDOW_MINUTES" in wrong.output
    )
    none = quality("check", "--lake", tmp_path / "none")
    assert none.exit_code == 2 and "bronze/tweets does not exist" in none.output
    lake.flow()
    away = quality("check", "--lake", lake.path, "--registry", "http://127.0.0.1:9", TWEETS_REGISTRY_TIMEOUT="1")
    assert away.exit_code == 2 and "http://127.0.0.1:9" in away.output
    for file in (lake.path / "gold" / "sentiment").rglob("*.parquet"):
        file.unlink()
    broken = quality("check", "--lake", lake.path)
    assert broken.exit_code == 2 and "gold/sentiment cannot be read" in broken.output


def test_the_check_runs_with_the_packages_of_the_dashboard_image(lake: Lake, registry: str) -> None:
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
