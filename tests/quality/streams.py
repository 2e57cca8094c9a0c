"""Lakes and registries for the quality tests: rows like those of the streams, and model versions without artifacts."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from typer.testing import CliRunner, Result

from spark_apps.cli.main import app
from spark_apps.registry.client import Registry
from spark_apps.registry.production import promote
from spark_apps.settings import MODEL_NAME
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT, QUARANTINE, SILVER_TWEETS
from tests import lakes

MIXED = (0.3, 0.4, 0.3)
NEGATIVE = (0.9, 0.05, 0.05)


class Lake:
    """A lake with the tables, and the counts in their commits, that the quality checks read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._totals = {"documents": 0, "rows": 0}
        self._seed = 0

    def add_tweets(
        self,
        tweets: int = 600,
        lang: str = "en",
        shares: tuple[float, float, float] = MIXED,
        version: str = "1",
        ago: timedelta = timedelta(minutes=5),
        text: str = "it is what it is",
        scored: bool = True,
        rejected: int = 0,
    ) -> None:
        """Write tweets of one language to the tables of all layers; they were scored `ago` before now."""
        self._seed += 1
        rows = lakes.gold_rows(tweets, timedelta(minutes=1), self._seed)
        labels = np.random.default_rng(self._seed).choice(3, tweets, p=list(shares))
        at = datetime.now(UTC) - ago
        rows = rows.assign(lang=lang, label=lakes.LABELS[labels], model_version=version, full_text=text, scored_at=at)
        self._totals = {key: total + tweets for key, total in self._totals.items()}
        empty = pd.DataFrame({"ingest_date": [datetime.now(UTC).date()]})
        self._totals["documents"] += rejected
        lakes.put(self.path, BRONZE_TWEETS, empty, rows=self._totals["documents"])
        lakes.put(self.path, SILVER_TWEETS, rows.head(1), **self._totals)
        self._recount(SILVER_TWEETS.path(str(self.path)), {"rows": tweets, "documents": tweets})
        if rejected:
            lakes.put(self.path, QUARANTINE, empty.assign(reason="not_json"), not_json=rejected)
        if scored:
            lakes.put(self.path, GOLD_SENTIMENT, rows, rows=self._totals["rows"])

    def _recount(self, table: str, counts: dict[str, int]) -> None:
        """Replace the counts in the batch metadata of the last commit; its totals stay."""

        def change(info: dict[str, Any]) -> None:
            metadata = json.loads(info["userMetadata"])
            info["userMetadata"] = json.dumps({**metadata, "counts": counts})

        change_last_commit(Path(table), change)

    def age(self, table: str, by: timedelta) -> None:
        """Move the last commit of a table into the past `by` a time span."""

        def change(info: dict[str, Any]) -> None:
            info["timestamp"] -= int(by.total_seconds() * 1000)

        change_last_commit(self.path / table, change)


def change_last_commit(table: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Apply `change` to the `commitInfo` of the last commit of a table."""
    file = max((table / "_delta_log").glob("*.json"))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        if "commitInfo" in line:
            change(line["commitInfo"])
    file.write_text("\n".join(json.dumps(line) for line in lines))


def release(uri: str, ago: timedelta = timedelta(hours=2)) -> str:
    """Put a new version without artifacts in production, as if it were released `ago` before now."""
    registry, at = Registry(uri, 60), datetime.now(UTC) - ago

    def create(client: Any) -> str:
        if not client.search_registered_models():
            client.create_registered_model(MODEL_NAME)
        return str(client.create_model_version(MODEL_NAME, "s3://nowhere/model").version)

    with patch("spark_apps.registry.production._now", lambda: at.isoformat().replace("+00:00", "Z")):
        return promote(registry, registry._requests.run(create), "ann", "")


def run_quality(command: str, *arguments: str | Path, **env: str) -> Result:
    """Run `tweet-sentiment quality <command>` in this process."""
    words = ["quality", command, *map(str, arguments)]
    return CliRunner().invoke(app, words, env={"TWEETS_REGISTRY_TIMEOUT": "60", "COLUMNS": "200", **env})


def check(lake: Lake, registry: str | None = None, **env: str) -> tuple[int, dict[str, Any]]:
    """Run `quality check`; return the exit code and the result."""
    options = ("--registry", registry) if registry else ()
    done = run_quality("check", "--lake", lake.path, *options, "--json", **env)
    assert done.exit_code in (0, 3), done.output
    return done.exit_code, json.loads(done.stdout)


def exceeded(result: dict[str, Any]) -> set[str]:
    """Return the names of the checks that exceed their limits."""
    return {check["name"] for check in result["checks"] if not check["passed"]}
