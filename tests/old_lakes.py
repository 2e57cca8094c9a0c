"""Turns a lake into one of an earlier schema version, by a description of what that version did not write yet."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from spark_apps.tables import (
    ERASURES,
    GOLD_SENTIMENT,
    GOLD_SHADOW,
    SCHEMA_VERSION_PROPERTY,
    SILVER_TWEETS,
    TABLES,
    Table,
)

_RETWEET_COLUMNS = {"retweet_of", "retweet_of_user"}


@dataclass(frozen=True)
class Addition:
    """What a schema version has added: tables, columns by the name of their table, and keys of the batch metadata."""

    tables: tuple[Table, ...] = ()
    columns: dict[str, set[str]] = field(default_factory=dict)
    metadata: set[str] = field(default_factory=set)


ADDITIONS = {
    2: Addition(columns={GOLD_SENTIMENT.name: {"rescored_at"}}),
    3: Addition(metadata={"offset"}),
    # The version of the first program with gold/shadow: older programs ignore that table.
    4: Addition(
        tables=(ERASURES, GOLD_SHADOW),
        columns={SILVER_TWEETS.name: _RETWEET_COLUMNS, GOLD_SENTIMENT.name: _RETWEET_COLUMNS},
        metadata={"erased", "expired"},
    ),
}


def downgrade(lake: Path, version: int) -> None:
    """Remove from a lake what schema versions after `version` have added; ids, versions and checkpoints stay.

    The streams must not run, and the log of no table may have a checkpoint yet.
    """
    later = [addition for number, addition in ADDITIONS.items() if number > version]
    missing = {table for addition in later for table in addition.tables}
    keys = {key for addition in later for key in addition.metadata}
    for table in missing:
        shutil.rmtree(table.path(str(lake)))
    for table in set(TABLES) - missing:
        columns = {name for addition in later for name in addition.columns.get(table.name, ())}
        _downgrade_table(Path(table.path(str(lake))), version, columns, keys)
    for identity in lake.glob("checkpoints/*/identity.json"):
        saved = json.loads(identity.read_text())
        saved["tables"] = {name: id_ for name, id_ in saved["tables"].items() if name not in {t.name for t in missing}}
        identity.write_text(json.dumps(saved))


def _downgrade_table(folder: Path, version: int, columns: set[str], keys: set[str]) -> None:
    if columns:
        for file in folder.rglob("*.parquet"):
            rows = pq.read_table(file, partitioning=None)
            kept = rows.select([name for name in rows.column_names if name not in columns]).replace_schema_metadata(
                None
            )
            # As Spark writes timestamps.
            pq.write_table(kept, file, use_deprecated_int96_timestamps=True)
    log = folder / "_delta_log"
    assert not list(log.glob("*.checkpoint*")), f"{log} has a checkpoint: downgrade the lake after fewer commits"
    for checksum in (*log.glob("*.crc"), *log.glob(".*.crc")):
        checksum.unlink()
    for entry in log.glob("*.json"):
        actions = [json.loads(line) for line in entry.read_text().splitlines()]
        for action in actions:
            _downgrade_action(folder, action, version, columns, keys)
        entry.write_text("".join(f"{json.dumps(action)}\n" for action in actions))


def _downgrade_action(folder: Path, action: dict[str, Any], version: int, columns: set[str], keys: set[str]) -> None:
    if table := action.get("metaData"):
        _edit(table, "schemaString", lambda schema: _without_columns(schema, columns))
        table["configuration"][SCHEMA_VERSION_PROPERTY] = str(version)
    if "userMetadata" in (info := action.get("commitInfo", {})):
        _edit(info, "userMetadata", lambda found: {key: value for key, value in found.items() if key not in keys})
    if (file := action.get("add")) and (path := folder / file["path"]).exists():
        file["size"] = path.stat().st_size


def _without_columns(schema: dict[str, Any], columns: set[str]) -> dict[str, Any]:
    return schema | {"fields": [column for column in schema["fields"] if column["name"] not in columns]}


def _edit(action: dict[str, Any], key: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    action[key] = json.dumps(change(json.loads(action[key])))
