"""Which files a RESTORE has put back, by the log of a table."""

from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import DataFrame

from spark_apps.lake.commits import LakeError
from spark_apps.lake.restored_files import RestoredFiles, restored_files
from spark_apps.streaming.restored_rows import without_restored
from spark_apps.streaming.stream import Stream, always_ready
from spark_apps.tables import BRONZE_TWEETS, SILVER_TWEETS


@pytest.fixture
def lake(tmp_path: Path) -> str:
    """Versions 0 to 2 append a file each, and version 3 deletes all. Version 4 restores 2, and version 5 restores 1."""
    path = BRONZE_TWEETS.path(str(tmp_path))
    for number in range(3):
        write_deltalake(path, pa.table({"number": [number]}), mode="append")
    table = DeltaTable(path)
    table.delete()
    for version in (2, 1):
        table.restore(version)
    return str(tmp_path)


def file_of(lake: str, version: int) -> str:
    """Return the name of the file that a version has added to the table."""
    names = [
        {Path(uri).name for uri in DeltaTable(BRONZE_TWEETS.path(lake), version=number).file_uris()}
        for number in (version - 1, version)
        if number >= 0
    ]
    (name,) = names[-1] - (names[0] if version else set())
    return name


def test_files_of_a_restore_that_only_adds_are_found(lake: str) -> None:
    first, second, third = (file_of(lake, version) for version in range(3))
    assert not restored_files(lake, BRONZE_TWEETS, range(4))
    # Version 5 removes a file: streams skip it.
    assert not restored_files(lake, BRONZE_TWEETS, [5, 6])
    for versions in (range(3, 5), range(3, 7)):
        assert restored_files(lake, BRONZE_TWEETS, versions) == RestoredFiles(
            frozenset({first, second, third}), frozenset()
        )
    # A stream that has read versions 0 and 1 only.
    found = restored_files(lake, BRONZE_TWEETS, range(2, 5))
    assert found == RestoredFiles(frozenset({first, second}), frozenset({third}))


def test_a_restore_during_the_first_reading_is_refused(lake: str) -> None:
    stream = Stream(
        "silver", lambda: rows, (BRONZE_TWEETS,), (SILVER_TWEETS,), always_ready(lambda _: pytest.fail("not called"))
    )
    rows = cast(DataFrame, object())

    def offset(version: int, index: int = -1, is_starting: bool = False) -> dict[str, object]:
        return {"reservoirVersion": version, "index": index, "isStartingVersion": is_starting}

    starting = offset(2, 1, is_starting=True)
    for start, end in ((None, starting), (None, offset(5)), (starting, offset(2, 3, is_starting=True))):
        assert without_restored(rows, lake, stream, start, end) is rows
    # Version 4 is read only if the end has an index in it.
    assert without_restored(rows, lake, stream, starting, offset(4)) is rows
    assert without_restored(rows, lake, stream, offset(4, 1, is_starting=True), offset(5)) is rows
    for end in (offset(4, 0), offset(5)):
        with pytest.raises(LakeError, match=r"checkpoints/silver and .*silver/tweets to compute them again"):
            without_restored(rows, lake, stream, starting, end)
