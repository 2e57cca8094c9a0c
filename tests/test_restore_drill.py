"""helm/restore-drill with a fake kubectl: the drills of both namespaces, failures, and namespaces without backups."""

import os
import subprocess
from pathlib import Path

import pytest

DRILL = Path(__file__).parents[1] / "helm" / "restore-drill"
# STATES has the conditions of the Job in each namespace that has backups, as `namespace condition…`.
FAKE_KUBECTL = """#!/bin/bash
echo "$*" >> "$CALLS"
state=$(grep "^$2 " "$STATES") || { [[ $* == *"get cronjob"* ]] && exit 0; exit 1; }
case "$*" in
  *"get cronjob"*) echo cronjob.batch/restore-drill ;;
  *"get job"*) echo "${state#* }" ;;
  *logs*) echo "the log in $2" ;;
esac
"""


def drill(folder: Path, *states: str, seconds: str = "60") -> subprocess.CompletedProcess[str]:
    (folder / "kubectl").write_text(FAKE_KUBECTL)
    (folder / "kubectl").chmod(0o755)
    (folder / "states").write_text("".join(f"{state}\n" for state in states))
    (folder / "calls").touch()
    env = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "STATES": str(folder / "states"),
        "CALLS": str(folder / "calls"),
    }
    return subprocess.run([DRILL, "tweets", seconds], env=env, capture_output=True, text=True, check=False)


def test_the_backups_of_both_namespaces_are_restored(tmp_path: Path) -> None:
    done = drill(tmp_path, "tweets-streams SuccessCriteriaMet Complete ", "tweets Complete ")
    assert (done.returncode, done.stderr) == (0, "")
    assert "the log in tweets-streams" in done.stdout and "the log in tweets\n" in done.stdout
    calls = (tmp_path / "calls").read_text()
    for namespace in ("tweets", "tweets-streams"):
        assert f"-n {namespace} create job restore-drill --from=cronjob/restore-drill" in calls
        assert calls.count(f"-n {namespace} delete job restore-drill") == 2


@pytest.mark.parametrize("failed", ["tweets-streams", "tweets"])
def test_a_failed_drill_is_named_and_its_job_stays(tmp_path: Path, failed: str) -> None:
    states = {"tweets-streams": "Complete", "tweets": "Complete"} | {failed: "FailureTarget Failed"}
    done = drill(tmp_path, *(f"{namespace} {state} " for namespace, state in states.items()))
    assert done.returncode == 1 and f"the drill in {failed} has failed" in done.stderr
    assert (tmp_path / "calls").read_text().count(f"-n {failed} delete job") == 1


def test_a_drill_that_does_not_end_is_reported_with_the_next_command(tmp_path: Path) -> None:
    done = drill(tmp_path, "tweets-streams ", seconds="0")
    assert done.returncode == 1 and "kubectl -n tweets-streams describe pods -l job-name=restore-drill" in done.stderr


def test_without_backups_the_value_is_named(tmp_path: Path) -> None:
    done = drill(tmp_path, "tweets Complete ")
    assert done.returncode == 2 and "set backup.enabled in the values" in done.stderr


def test_a_release_without_databases_and_model_files_has_only_the_drill_of_the_lake(tmp_path: Path) -> None:
    assert drill(tmp_path, "tweets-streams Complete ").returncode == 0
