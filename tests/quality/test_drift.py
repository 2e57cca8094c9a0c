"""Data drift by language, its baselines, and label shift by a release."""

import json
from datetime import UTC, datetime, timedelta

from deltalake import DeltaTable
from deltalake.schema import Field, PrimitiveType

from spark_apps.registry.client import Registry
from spark_apps.registry.production import roll_back
from spark_apps.tables import GOLD_SENTIMENT
from tests.quality.streams import MIXED, NEGATIVE, Lake, check, exceeded, release, run_quality


def baselines(registry: str, version: str) -> dict[str, str]:
    tags = Registry(registry, 60).version(version).tags
    return {key: text for key, text in tags.items() if key.startswith("baseline ")}


def test_label_drift_is_checked_by_language(lake: Lake, registry: str) -> None:
    for lang in ("en", "es"):
        lake.add_tweets(lang=lang, ago=timedelta(minutes=50))
    lake.add_tweets(400, "ja", ago=timedelta(minutes=50))
    code, result = check(lake, registry)
    assert code == 0 and result["version"] == "1"
    assert baselines(registry, "1").keys() == {"baseline en", "baseline es"}, "ja has too few tweets"
    for lang in ("en", "es"):
        lake.add_tweets(lang=lang, shares=NEGATIVE if lang == "es" else MIXED)
    lake.add_tweets(400, "ja", shares=NEGATIVE)
    code, result = check(lake, registry, TWEETS_QUALITY_WINDOW_MINUTES="30")
    assert (code, exceeded(result)) == (3, {"label drift in es"})
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
        lake.add_tweets(lang=lang, ago=timedelta(minutes=50))
    assert check(lake, registry)[0] == 0
    for lang, (text, _) in features.items():
        lake.add_tweets(lang=lang, text=text)
    code, result = check(lake, registry, TWEETS_QUALITY_WINDOW_MINUTES="30")
    assert code == 3
    assert exceeded(result) == {f"{name} drift in {lang}" for lang, (_, names) in features.items() for name in names}


def test_a_baseline_is_recorded_once_and_covers_a_whole_window(lake: Lake, registry: str) -> None:
    lake.add_tweets()
    check(lake, registry)
    first = baselines(registry, "1")
    assert json.loads(first["baseline en"])["tweets"] == 600
    lake.add_tweets(5000, shares=NEGATIVE)
    assert check(lake, registry)[0] == 3
    assert baselines(registry, "1") == first
    assert release(registry, ago=timedelta(minutes=59)) == "2"
    lake.add_tweets(5000, version="2")
    check(lake, registry)
    assert baselines(registry, "2") == {}, "a part of a window is not a baseline"
    check(lake, registry, TWEETS_QUALITY_WINDOW_MINUTES="58")
    assert baselines(registry, "2").keys() == {"baseline en"}


def test_a_version_that_returns_to_production_gets_no_baseline_from_its_first_minutes(
    lake: Lake, registry: str
) -> None:
    assert release(registry) == "2"
    assert roll_back(Registry(registry, 60), "1", "ann", "worse") == "1"
    lake.add_tweets()
    check(lake, registry)
    assert baselines(registry, "1") == {}, "version 1 has been in production again for seconds only"


def test_an_invalid_language_code_counts_as_und(lake: Lake, registry: str) -> None:
    lake.add_tweets(lang="'; DROP TABLE gold; --" * 20)
    check(lake, registry)
    assert baselines(registry, "1").keys() == {"baseline und"}


def test_a_release_that_shifts_the_labels_is_a_finding(lake: Lake, registry: str) -> None:
    lake.add_tweets()
    assert check(lake, registry)[0] == 0
    assert release(registry) == "2"
    assert check(lake, registry)[0] == 0, "version 2 has not labelled any tweet yet"
    lake.add_tweets(version="2", shares=NEGATIVE)
    code, result = check(lake, registry)
    assert (code, exceeded(result)) == (3, {"label shift in en"})
    assert "of 600 tweets" in result["findings"][0]["says"], "the rows of version 1 in the window do not count"
    assert run_quality("acknowledge", "--why", "meant", "--registry", registry).exit_code == 0
    lake.add_tweets(version="2", shares=NEGATIVE)
    assert check(lake, registry)[0] == 0, "an acknowledged finding stays acknowledged while version 2 is in production"
    # A new version in production removes the findings of the previous version.
    assert release(registry) == "3"
    assert check(lake, registry)[1]["findings"] == []


def test_rescored_rows_do_not_count_for_the_baseline_of_a_version(lake: Lake, registry: str) -> None:
    lake.add_tweets(version="0", shares=NEGATIVE)
    gold = DeltaTable(GOLD_SENTIMENT.path(str(lake.path)))
    if "rescored_at" not in {field.name for field in gold.schema().fields}:
        gold.alter.add_columns([Field("rescored_at", PrimitiveType("timestamp"))])
    gold.update({"rescored_at": f"TIMESTAMP '{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}'", "model_version": "'1'"})
    check(lake, registry)
    assert baselines(registry, "1") == {}
    gold.update({"rescored_at": "NULL"})
    check(lake, registry)
    assert baselines(registry, "1").keys() == {"baseline en"}
