"""A finding stays open until a person acknowledges it."""

from datetime import timedelta
from pathlib import Path

import pytest

from spark_apps.gold.production_model import ProductionModel
from spark_apps.registry.client import Registry
from tests.quality.streams import Lake, check, run_quality


def test_a_finding_stays_open_until_acknowledged_and_returns_as_a_new_finding(lake: Lake, registry: str) -> None:
    strict = {"TWEETS_QUALITY_QUARANTINE_SHARE": "0.1", "TWEETS_QUALITY_FRESHNESS_SECONDS": "60"}
    lake.add_tweets(rejected=100)
    lake.add_tweets(10, scored=False)
    lake.age("silver/tweets", timedelta(minutes=10))
    code, first = check(lake, registry, **strict)
    names = ["freshness of gold", "quarantine share"]
    assert code == 3 and first["open"] == names
    code, second = check(lake, registry, **strict)
    assert code == 3 and [finding["since"] for finding in second["findings"]] == [
        finding["since"] for finding in first["findings"]
    ]

    unknown = run_quality("acknowledge", "throughput", "--why", "so", "--registry", registry)
    assert unknown.exit_code == 2 and "the findings are freshness of gold, quarantine share" in unknown.output
    assert run_quality("acknowledge", "--why", " ", "--registry", registry).exit_code == 2
    done = run_quality("acknowledge", names[1], "--why", "a test [in brackets]", "--by", "bob", "--registry", registry)
    assert done.stdout == "acknowledged: quarantine share\n"
    code, result = check(lake, registry, **strict)
    assert code == 3 and result["open"] == names[:1]
    shown = run_quality("check", "--lake", lake.path, "--registry", registry, **strict)
    assert "by bob: a test [in brackets]" in shown.stdout and "finding quarantine share" not in shown.stderr
    done = run_quality("acknowledge", "--why", "the rest", "--registry", registry)
    assert done.stdout == f"acknowledged: {names[0]}\n"
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
    lake.add_tweets(rejected=600)
    assert check(lake, registry)[0] == 3
    monkeypatch.setattr("spark_apps.gold.production_model._FINDINGS_SECONDS", 0)
    client = Registry(registry, 60)
    monkeypatch.setattr(client, "download", lambda _version, folder: folder)
    model = ProductionModel(client, tmp_path)
    assert model.current() is not None and model.findings == 1
    # An invalid tag, edited by hand, must not stop Gold.
    client.tag_model("finding: quarantine share", "gone")
    assert model.current() is not None and (model.findings, model.problem) == (1, "")
    edited = run_quality("acknowledge", "--why", "so", "--registry", registry)
    assert (
        edited.exit_code == 2 and "'finding: quarantine share'" in edited.output and "delete both tags" in edited.output
    )
    client.untag_model("finding: quarantine share")
    assert model.current() is not None and model.findings == 0


def test_a_finding_that_is_not_measured_stays_open(lake: Lake, registry: str) -> None:
    lake.add_tweets(20, rejected=300)
    assert check(lake, registry)[0] == 3
    code, result = check(lake, registry, TWEETS_QUALITY_WINDOW_MINUTES="0.0001")
    assert code == 3 and "quarantine share" not in {row["name"] for row in result["checks"]}
    assert result["open"] == ["quarantine share"]


def test_a_check_works_with_an_empty_registry(lake: Lake, tmp_path: Path) -> None:
    lake.add_tweets(rejected=600)
    code, result = check(lake, f"sqlite:///{tmp_path / 'empty.db'}")
    assert code == 3 and result["version"] is None and result["open"] == ["quarantine share"]
