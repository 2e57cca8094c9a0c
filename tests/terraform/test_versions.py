"""The table of versions in terraform/README.md names the versions in the code; `check_versions.py` reads its dates."""

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from terraform import check_versions
from terraform.check_versions import README, WARN_DAYS, TableError, Version, versions, warnings
from tests.terraform.terraform_cli import SOURCE

pytestmark = pytest.mark.terraform

TABLE = """# Terraform

## Versions

Checked on 2026-12-01. Text.

| Component | Version | Tested | Support ends |
|---|---|---|---|
| Kubernetes on EKS | 1.35 | all tests | 2027-03-27 |
| Kubernetes on EKS | 1.34 | all tests | 2027-12-02, extended support |
| Chart prometheus | 1.2.3 | not run | – |

## Tests

| Component | Version | Tested | Support ends |
|---|---|---|---|
| Other | 1 | no | 2020-01-01 |
"""


def _in_code(file: str, pattern: str) -> list[Any]:
    return re.findall(pattern, (SOURCE / file).read_text())


def _in_table(component: str) -> list[str]:
    return [row.version for row in versions(README.read_text()) if row.component == component]


def test_the_table_is_read_up_to_the_next_section() -> None:
    assert versions(TABLE) == [
        Version("Kubernetes on EKS", "1.35", date(2027, 3, 27)),
        Version("Kubernetes on EKS", "1.34", date(2027, 12, 2)),
        Version("Chart prometheus", "1.2.3", None),
    ]


def test_a_version_is_reported_from_sixty_days_before_its_end() -> None:
    end = date(2027, 3, 27)
    assert list(warnings(TABLE, end - timedelta(days=WARN_DAYS + 1))) == []
    assert list(warnings(TABLE, end - timedelta(days=WARN_DAYS))) == [
        "Kubernetes on EKS 1.35 leaves support on 2027-03-27, in 60 days: upgrade"
    ]
    assert list(warnings(TABLE, end)) == ["Kubernetes on EKS 1.35 leaves support on 2027-03-27, in 0 days: upgrade"]
    assert list(warnings(TABLE, end + timedelta(days=1))) == [
        "Kubernetes on EKS 1.35 left support on 2027-03-27: upgrade, and remove the version from the table"
    ]


def test_an_old_table_is_reported() -> None:
    table = TABLE.replace("2027-03-27", "2029-01-01").replace("2027-12-02", "2029-01-01")
    assert list(warnings(table, date(2026, 12, 1) + timedelta(days=180))) == []
    assert list(warnings(table, date(2026, 12, 1) + timedelta(days=181))) == [
        "the table was checked 181 days ago: look for newer versions, and update its date"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# Terraform\n", "section"),
        (re.sub(r"2027-\d\d-\d\d", "soon", TABLE), "no end of support"),
        (TABLE.replace("Checked on", "Seen on"), "Checked on"),
    ],
)
def test_a_table_without_dates_is_an_error(text: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        list(warnings(text, date(2026, 12, 1)))


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (TABLE.replace("2027-03-27", "2026-11-30"), 1, "warning: Kubernetes on EKS 1.35 left support on 2026-11-30"),
        (re.sub(r"20\d\d-\d\d-\d\d", "2999-12-31", TABLE), 0, ""),
        ("# Terraform\n", 2, "error: "),
    ],
)
def test_the_exit_code_says_whether_a_version_leaves_support(
    text: str,
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "README.md").write_text(text)
    monkeypatch.setattr(check_versions, "README", tmp_path / "README.md")
    assert check_versions.main() == code
    assert capsys.readouterr().err.startswith(message)


def test_the_table_lists_the_versions_that_the_modules_accept() -> None:
    for component, module, variable in (
        ("Kubernetes on EKS", "cluster", "kubernetes_version"),
        ("Postgres on RDS", "database", "postgres_version"),
    ):
        (accepted,) = _in_code(f"modules/{module}/variables.tf", rf"contains\(\[(.*)\], var\.{variable}\)")
        assert sorted(_in_table(component)) == sorted(re.findall(r'"([\d.]+)"', accepted))


def test_the_table_lists_the_charts_that_the_script_installs() -> None:
    pins = dict(_in_code("scripts/cluster.sh", r"(?m)^(\w+)=([\d.]+)$"))
    installed = _in_code(
        "scripts/cluster.sh", r"helm upgrade --install \S+ (\S+)(?: \\\n)? +--repo \S+ (?:\\\n +)?--version \"\$(\w+)\""
    )
    assert len(installed) == len(pins) == 4
    table = {row.component: row.version for row in versions(README.read_text()) if row.component.startswith("Chart ")}
    assert table == {f"Chart {chart}": pins[variable] for chart, variable in installed}


def test_the_table_has_the_version_of_terraform_that_the_workflow_runs() -> None:
    workflow = (SOURCE.parent / ".github/workflows/test.yaml").read_text()
    assert re.findall(r'terraform_version: "(.*)"', workflow) == _in_table("Terraform")
