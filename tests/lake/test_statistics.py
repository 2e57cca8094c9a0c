"""The files that may contain a value, by the statistics in the Delta log."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from spark_apps.lake.statistics import files_with

FILES = (["100", "150"], ["160", "199"], ["20", "21"], [None, None])


@pytest.fixture
def table(tmp_path: Path) -> DeltaTable:
    """Return a table with one file for each list of ids."""
    for ids in FILES:
        write_deltalake(tmp_path, pa.table({"id": pa.array(ids, pa.string())}), mode="append")
    return DeltaTable(tmp_path)


def ids_in(delta: DeltaTable, paths: list[str]) -> set[str | None]:
    folder = Path(delta.table_uri.removeprefix("file://"))
    return {id_ for path in paths for id_ in pq.read_table(folder / path)["id"].to_pylist()}


@pytest.mark.parametrize(
    ("ranges", "found"),
    [
        ([("151", "159")], set()),
        ([("150", "150")], {"100", "150"}),
        ([("120", "130")], {"100", "150"}),
        ([("155", "170"), ("21", "3")], {"160", "199", "20", "21"}),
        ([("0", "9")], {"100", "150", "160", "199", "20", "21"}),
    ],
)
def test_files_outside_of_all_ranges_are_left_out(
    table: DeltaTable, ranges: list[tuple[str, str]], found: set[str]
) -> None:
    # A file without a value has no minimum: it is not left out.
    assert ids_in(table, files_with(table, "id", ranges)) == found | {None}


def test_files_without_statistics_may_contain_any_value(tmp_path: Path) -> None:

    configuration = {"delta.dataSkippingNumIndexedCols": "0"}
    data = pa.table({"id": ["1", "2"]})
    write_deltalake(tmp_path, data, configuration=configuration)
    assert len(files_with(DeltaTable(tmp_path), "id", [("7", "8")])) == 1


def test_an_empty_table_has_no_files(tmp_path: Path) -> None:
    delta = DeltaTable.create(tmp_path, pa.schema([("id", pa.string())]))
    assert files_with(delta, "id", [("1", "2")]) == []
