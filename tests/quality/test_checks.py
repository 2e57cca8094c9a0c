"""Quality checks of a stream: each limit, the window, and sources that do not work."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.quality.streams import Lake, check, exceeded, run_quality


def test_a_healthy_stream_passes_all_checks(lake: Lake) -> None:
    lake.add_tweets(rejected=3)
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
    lake.add_tweets(rejected=200)
    lake.add_tweets(100, scored=False)
    lake.age("silver/tweets", timedelta(minutes=10))
    assert check(lake)[0] == 0
    env = {f"TWEETS_QUALITY_{key}": value for key, value in limit.items()}
    code, result = check(lake, **env)
    assert (code, exceeded(result), result["open"]) == (3, {name}, [name])
    shown = run_quality("check", "--lake", lake.path, **env)
    assert f"finding {name}, since " in shown.stderr and "the limit is" in shown.stderr and name in shown.stdout


def test_freshness_is_the_age_of_the_oldest_unscored_tweets(lake: Lake) -> None:
    lake.add_tweets()
    lake.age("silver/tweets", timedelta(hours=9))
    for minutes in (30, 20, 10):
        lake.add_tweets(100, scored=False)
        lake.age("silver/tweets", timedelta(minutes=minutes))
    code, result = check(lake)
    (gold,) = (row for row in result["checks"] if row["name"] == "freshness of gold")
    assert code == 3 and 1800 <= gold["figure"] < 1860
    lake.add_tweets(1)
    assert check(lake)[0] == 0, "Gold has scored all tweets"


def test_rows_before_the_window_do_not_count(lake: Lake) -> None:
    lake.add_tweets(ago=timedelta(hours=2), rejected=600)
    lake.age("silver/tweets", timedelta(hours=2))
    lake.age("silver/quarantine", timedelta(hours=2))
    lake.add_tweets(60)
    code, result = check(lake)
    assert code == 0
    figures = {row["name"]: row["figure"] for row in result["checks"]}
    assert (figures["throughput"], figures["quarantine share"]) == (1, 0)
    assert check(lake, TWEETS_QUALITY_WINDOW_MINUTES="180")[0] == 3


def test_a_share_of_few_records_is_not_checked(lake: Lake) -> None:
    lake.add_tweets(10, rejected=9)
    assert "quarantine share" not in {row["name"] for row in check(lake)[1]["checks"]}
    lake.add_tweets(1)
    assert exceeded(check(lake)[1]) == {"quarantine share"}


def test_invalid_settings_and_unreadable_sources_are_named(lake: Lake, tmp_path: Path) -> None:
    wrong = run_quality("check", TWEETS_QUALITY_DRIFT="much", TWEETS_QUALITY_WINDOW_MINUTES="0")
    assert (
        wrong.exit_code == 2
        and "TWEETS_QUALITY_DRIFT" in wrong.output
        and "TWEETS_QUALITY_WINDOW_MINUTES" in wrong.output
    )
    none = run_quality("check", "--lake", tmp_path / "none")
    assert none.exit_code == 2 and "bronze/tweets does not exist" in none.output
    lake.add_tweets()
    away = run_quality("check", "--lake", lake.path, "--registry", "http://127.0.0.1:9", TWEETS_REGISTRY_TIMEOUT="1")
    assert away.exit_code == 2 and "http://127.0.0.1:9" in away.output
    for file in (lake.path / "gold" / "sentiment").rglob("*.parquet"):
        file.unlink()
    broken = run_quality("check", "--lake", lake.path)
    assert broken.exit_code == 2 and "gold/sentiment cannot be read" in broken.output


def test_the_check_runs_with_the_packages_of_the_dashboard_image(lake: Lake, registry: str) -> None:
    lake.add_tweets()
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
