"""The table of the labels that people give: created, appended to by several processes, compacted and backed up."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spark_apps import tables
from spark_apps.lake import human_labels
from spark_apps.lake.backup import back_up, restore
from spark_apps.lake.commits import LakeError, open_existing_table
from spark_apps.lake.human_labels import HumanLabel, append
from spark_apps.lake.status import read_status
from spark_apps.tables import HUMAN_LABELS

LABEL = HumanLabel("1", "negative", "Ana", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "neutral", "7")


def rows(lake: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = open_existing_table(str(lake), HUMAN_LABELS).to_pyarrow_table().to_pylist()
    return found


def test_the_first_label_creates_the_table_with_its_schema(tmp_path: Path) -> None:
    append(str(tmp_path), LABEL)
    append(str(tmp_path), replace(LABEL, label=None, labelled_by=None))
    delta = open_existing_table(str(tmp_path), HUMAN_LABELS)
    comments = {field.name: field.metadata["comment"] for field in delta.schema().fields}
    assert comments == {column.name: column.comment for column in HUMAN_LABELS.columns}
    assert delta.metadata().description == HUMAN_LABELS.comment
    assert sorted(rows(tmp_path), key=lambda row: row["label"] is None) == [
        vars(LABEL),
        vars(replace(LABEL, label=None, labelled_by=None)),
    ]
    status = read_status(str(tmp_path)).tables[HUMAN_LABELS.name]
    assert (status.rows, status.newest, status.schema_version) == (2, LABEL.labelled_at, tables.SCHEMA_VERSION)


def test_labels_of_several_people_at_once_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(human_labels, "_COMPACTED_AFTER", 10)
    ids = [str(number) for number in range(40)]
    with ThreadPoolExecutor(4) as people:
        list(people.map(lambda id_: append(str(tmp_path), replace(LABEL, id=id_)), ids))
    assert sorted(str(row["id"]) for row in rows(tmp_path)) == sorted(ids)
    assert read_status(str(tmp_path)).tables[HUMAN_LABELS.name].files < 30


def test_a_table_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file instead of a folder")
    with pytest.raises(LakeError, match=r"human_labels cannot be written: .*: give the dashboard the permission"):
        append(str(tmp_path / "lake"), LABEL)


def test_a_backup_has_the_labels(tmp_path: Path) -> None:
    append(str(tmp_path / "lake"), LABEL)
    back_up(str(tmp_path / "lake"), str(tmp_path / "backup"))
    restore(str(tmp_path / "backup"), str(tmp_path / "restored"))
    assert rows(tmp_path / "restored") == [vars(LABEL)]
