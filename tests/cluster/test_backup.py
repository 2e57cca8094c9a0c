"""Backups of both namespaces while tweets land, and restores of them to other places."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.expected_totals import ExpectedTotals
from tests.cluster.installation import CHART, TEST_VALUES, Installation
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

DRILL = Path(__file__).parents[2] / "helm" / "restore-drill"
# The drill of the lake, with output that the test can compare.
CHECKED_DRILL = """
tweet-sentiment restore --from "$BACKUPS" --lake "$TARGET"
tweet-sentiment tables --json --quick --lake "$TARGET"
python - <<'PYTHON'
import json, os, pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
for name in ("silver/tweets", "gold/sentiment"):
    table = DeltaTable(os.environ["TARGET"] + "/" + name)
    ids = QueryBuilder().register("t", table).execute("SELECT count(*), count(DISTINCT id) FROM t")
    print(json.dumps([column.to_pylist()[0] for column in pa.table(ids).columns]))
PYTHON
"""


@pytest.fixture
def backups(installation: Installation, expected: ExpectedTotals) -> Iterator[None]:
    """CronJobs of backups. Their volumes go with the CronJobs, although the chart keeps them."""
    assert expected.totals["gold"]
    installation.helm("upgrade", str(CHART), *TEST_VALUES, "--set", "backup.enabled=true")
    yield
    installation.helm("upgrade", str(CHART), *TEST_VALUES)
    for platform in (True, False):
        installation.kubectl("delete", "job,pvc", "backup", "--ignore-not-found", "--wait=false", platform=platform)


def ended(installation: Installation, job: str, platform: bool) -> bool:
    """Return whether a Job has succeeded; fail with the log of its pods if it has failed."""
    status = installation.get("job", job, platform=platform)["status"]
    conditions = {found["type"] for found in status.get("conditions", []) if found["status"] == "True"}
    if "Failed" in conditions:
        logs = installation.kubectl("logs", f"job/{job}", "--all-containers", platform=platform, check=False)
        pytest.fail(f"{job} has failed: {logs}")
    return "Complete" in conditions


def start_checked_drill(installation: Installation) -> None:
    job = ["create", "job", "checked-drill", "--from=cronjob/restore-drill", "--dry-run=client", "-o", "json"]
    manifest = json.loads(installation.kubectl(*job))
    manifest["spec"]["template"]["spec"]["containers"][0]["args"][-1] = CHECKED_DRILL
    installation.kubectl("create", "-f", "-", stdin=json.dumps(manifest))


def counts(tables: dict[str, Any]) -> dict[str, int]:
    """Return the counts that only grow: of documents, tweets, rejected records and labels."""
    totals = {name: table["totals"] for name, table in tables.items()}
    return {
        "documents": totals["bronze/tweets"]["rows"],
        "read": totals["silver/tweets"]["documents"],
        "tweets": totals["silver/tweets"]["rows"],
        "duplicates": totals["silver/tweets"]["duplicates"],
        "quarantine": sum(totals["silver/quarantine"].values()),
        "gold": totals["gold/sentiment"]["rows"],
        "trends": totals["gold/trends"]["rows"],
    }


@pytest.mark.usefixtures("backups")
def test_a_backup_under_load_is_restored_to_other_places(installation: Installation, expected: ExpectedTotals) -> None:
    """The tweets that land meanwhile are awaited by the next test."""
    started = time.monotonic()
    before = counts(installation.tables())
    for platform in (True, False):
        installation.kubectl("create", "job", "backup", "--from=cronjob/backup", platform=platform)
    while not all(ended(installation, "backup", platform) for platform in (True, False)):
        expected.land()
        assert time.monotonic() - started < 180, "the backups have not ended after three minutes"
    after = counts(installation.tables())
    print(f"\nboth backups: {time.monotonic() - started:.0f} s", flush=True)

    start_checked_drill(installation)
    drill = subprocess.run([DRILL, installation.platform, "180"], capture_output=True, text=True, check=False)
    assert drill.returncode == 0, drill.stdout + drill.stderr
    assert "restored drill_mlflow: " in drill.stdout and "restored drill_airflow: " in drill.stdout
    until(lambda: ended(installation, "checked-drill", False), 180, "the end of the checked drill", every=1)
    log = installation.kubectl("logs", "job/checked-drill")
    installation.kubectl("delete", "job", "checked-drill", "--wait=false")
    print(f"with the restores: {time.monotonic() - started:.0f} s", flush=True)

    status, *ids = [json.loads(line) for line in log.splitlines() if line.startswith(("{", "["))]
    tables, restored = status["tables"], counts(status["tables"])
    assert all(before[name] <= restored[name] <= after[name] for name in before), (before, restored, after)
    assert status["lag"].keys() == {"silver", "gold", "aggregates"} and min(status["lag"].values()) >= 0
    assert restored["documents"] - restored["read"] == status["lag"]["silver"]
    for name, (rows, distinct) in zip(("silver/tweets", "gold/sentiment"), ids, strict=True):
        written = tables[name]["totals"]["rows"] - tables[name]["totals"].get("deleted", 0)
        assert rows == distinct == tables[name]["rows"] == written, name
    assert tables["bronze/tweets"]["rows"] == restored["documents"]
    assert tables["silver/quarantine"]["rows"] == restored["quarantine"]
