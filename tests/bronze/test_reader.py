"""Landed files become rows of Bronze, even files that are not opened."""

from pathlib import Path

import pyarrow as pa

from spark_apps.bronze.reader import ReadLimits, read_files
from spark_apps.landing.landed_file import LandedFile
from spark_apps.tables import BRONZE_TWEETS

_TYPES = {"STRING": pa.string(), "BINARY": pa.binary(), "BIGINT": pa.int64(), "TIMESTAMP": pa.timestamp("us", "UTC")}
SCHEMA = pa.schema([(column.name, _TYPES[column.type]) for column in BRONZE_TWEETS.data_columns])
LIMITS = ReadLimits(document_bytes=1000, expansion=200, task_documents=1000, task_bytes=1 << 20)


def test_a_file_with_a_problem_is_not_opened() -> None:
    files = [LandedFile(1.5, "file:/x/.a.json", 3, "", "hidden"), LandedFile(2, "file:/x/b", 0, "denied", "unreadable")]
    (batch,) = read_files(files, SCHEMA, LIMITS)
    rows = batch.to_pylist()
    assert [(row["raw"], row["problem"]) for row in rows] == [(None, "hidden"), (None, "unreadable")]
    assert "rename it" in rows[0]["detail"] and rows[1]["detail"] == "denied"
    assert rows[0]["source_modified_at"].timestamp() == 1.5


def test_a_file_that_has_vanished_becomes_a_row(tmp_path: Path) -> None:
    (batch,) = read_files([LandedFile(1.0, f"file:{tmp_path}/gone.json", 3, "")], SCHEMA, LIMITS)
    assert [row["problem"] for row in batch.to_pylist()] == ["vanished"]


def test_a_name_that_is_not_valid_utf8_is_replaced_in_the_row(tmp_path: Path) -> None:
    (tmp_path / "\udcff.json").write_text('{"id": 1}')
    (batch,) = read_files([LandedFile(1.0, f"file:{tmp_path}/\udcff.json", 3, "")], SCHEMA, LIMITS)
    (row,) = batch.to_pylist()
    assert (row["raw"], row["source_file"]) == ('{"id": 1}', f"file:{tmp_path}/?.json")
