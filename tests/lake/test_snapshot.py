"""A snapshot has all tables at one instant, although another process writes them meanwhile."""

import threading
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from spark_apps import storage
from spark_apps.lake import snapshot
from spark_apps.lake.commits import LakeError, open_table
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS, Table


def write(lake: str, *tables: Table) -> None:
    """Commit one row to each table."""
    for table in tables:
        write_deltalake(table.path(lake), pa.table({"number": [1]}), mode="append")


def test_all_tables_are_of_one_instant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream commits two batches to two tables, after one table was opened and before the other."""
    lake, mentions_are_open, written = str(tmp_path), threading.Event(), threading.Event()
    write(lake, GOLD_TRENDS, GOLD_MENTIONS)

    def open_slowly(lake: str, table: Table) -> DeltaTable | None:
        in_round = threading.current_thread() is not threading.main_thread()
        if in_round and table is GOLD_TRENDS:
            assert mentions_are_open.wait(60)
            write(lake, *2 * (GOLD_TRENDS, GOLD_MENTIONS))
            written.set()
        delta = open_table(lake, table)
        if in_round and table is GOLD_MENTIONS:
            mentions_are_open.set()
        return delta

    monkeypatch.setattr(snapshot, "open_table", open_slowly)
    assert snapshot.read_snapshot(lake).versions == {GOLD_TRENDS.name: 2, GOLD_MENTIONS.name: 2}
    assert written.is_set()


def test_later_commits_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, names = str(tmp_path), storage.names
    write(lake, *3 * (GOLD_TRENDS, GOLD_MENTIONS))
    DeltaTable(GOLD_TRENDS.path(lake)).create_checkpoint()

    def names_after_a_commit(folder: str) -> list[str]:
        if folder.endswith("_delta_log"):
            write(lake, GOLD_TRENDS, GOLD_MENTIONS)
        return names(folder)

    monkeypatch.setattr(storage, "names", names_after_a_commit)
    files = snapshot.read_snapshot(lake).files
    log = sorted(name for name in files if name.startswith(f"{GOLD_TRENDS.name}/_delta_log/"))
    names_of_log = [name.rpartition("/")[2][19:] for name in log]
    assert names_of_log == ["0.json", "1.json", "2.checkpoint.parquet", "2.json"]
    assert len([name for name in files if name.startswith(f"{GOLD_TRENDS.name}/part-")]) == 3


def test_replaced_files_are_kept_for_a_stream_that_has_not_read_them(tmp_path: Path) -> None:
    lake = str(tmp_path)
    write(lake, *2 * (GOLD_SENTIMENT, GOLD_TRENDS))
    for table in (GOLD_SENTIMENT, GOLD_TRENDS):
        DeltaTable(table.path(lake)).optimize.compact()

    def data_files(table: Table) -> int:
        return sum(name.startswith(f"{table.name}/part-") for name in snapshot.read_snapshot(lake).files)

    assert (data_files(GOLD_SENTIMENT), data_files(GOLD_TRENDS)) == (3, 1)
    replaced = set(Path(GOLD_SENTIMENT.path(lake)).glob("part-*")) - {
        Path(GOLD_SENTIMENT.path(lake), path) for path in DeltaTable(GOLD_SENTIMENT.path(lake)).file_uris()
    }
    replaced.pop().unlink()
    assert data_files(GOLD_SENTIMENT) == 2


def test_a_lake_that_changes_all_the_time_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, names = str(tmp_path), storage.names
    write(lake, GOLD_TRENDS)

    def names_and_a_commit(folder: str) -> list[str]:
        write(lake, GOLD_TRENDS)
        return names(folder)

    monkeypatch.setattr(storage, "names", names_and_a_commit)
    monkeypatch.setattr(snapshot, "_MAX_ROUNDS", 5)
    with pytest.raises(LakeError, match="change too often to be read together: stop the streams"):
        snapshot.read_snapshot(lake)
