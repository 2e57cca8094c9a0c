"""SQL over Delta tables: values round-trip, and a value cannot change the statement."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.lake.commits import LakeError
from spark_apps.lake.query import LakeQuery, Statement, Value, literal
from spark_apps.tables import GOLD_SENTIMENT, GOLD_TRENDS
from tests.lakes import gold_rows, put

ECHO = {
    type_: Statement("SELECT $1 AS value", type_)
    for type_ in ("VARCHAR", "BIGINT", "DATE", "TIMESTAMP WITH TIME ZONE", "VARCHAR[]")
}
WITHOUT_TABLES = LakeQuery({})
SELECT_ID = Statement("SELECT id FROM tweets WHERE id = $1", "VARCHAR")
INJECTIONS = ["' OR '1'='1", "'); SELECT 1; --", "''", "\\'", "\\", "\x00'", "a''b", "$1", "%'; DROP TABLE tweets; --"]


def echo(type_: str, value: Value) -> Any:
    """Return the value that DataFusion reads for the parameter `value`."""
    return WITHOUT_TABLES.rows(ECHO[type_], value)[0]["value"]


@given(st.text() | st.sampled_from(INJECTIONS))
def test_any_string_round_trips(text: str) -> None:
    assert echo("VARCHAR", text) == text


@given(st.lists(st.text()))
def test_any_list_of_strings_round_trips(texts: list[str]) -> None:
    assert echo("VARCHAR[]", texts) == texts


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_64_bit_integer_round_trips(number: int) -> None:
    assert echo("BIGINT", number) == number


@given(st.dates())
def test_any_date_round_trips(day: date) -> None:
    assert echo("DATE", day) == day


# Microseconds since 1970: DataFusion reads timestamp literals in nanoseconds, which end in 1677 and 2262.
@given(st.integers(-9_200_000_000_000_000, 9_200_000_000_000_000), st.integers(-14, 14))
def test_any_aware_datetime_round_trips(microseconds: int, offset: int) -> None:
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    value = echo("TIMESTAMP WITH TIME ZONE", time.astimezone(timezone(timedelta(hours=offset))))
    assert pd.Timestamp(value, tz="UTC") == time


@pytest.mark.parametrize("type_", ECHO)
def test_none_is_null_of_each_type(type_: str) -> None:
    assert echo(type_, None) is None


def test_an_interval_is_rendered_in_seconds() -> None:
    assert literal(timedelta(minutes=5)) == "INTERVAL '300.000000 seconds'"


def test_a_datetime_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        literal(datetime(2026, 1, 1))  # noqa: DTZ001 - naive on purpose


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lake with gold/sentiment only."""
    folder = tmp_path_factory.mktemp("lake")
    rows = gold_rows(len(INJECTIONS) + 1, timedelta(minutes=1))
    put(folder, GOLD_SENTIMENT, rows.assign(id=[*INJECTIONS, "other"]))
    return str(folder)


@pytest.mark.parametrize("text", INJECTIONS)
def test_an_injection_selects_only_the_row_with_this_value(lake: str, text: str) -> None:
    query = LakeQuery.open(lake, tweets=GOLD_SENTIMENT)
    assert query is not None
    assert query.rows(SELECT_ID, text) == [{"id": text}]
    assert query.rows(SELECT_ID, text + " '") == []


@pytest.mark.parametrize("partition", [None, "tweet_date"])
def test_a_condition_on_the_day_skips_the_files_of_other_days(tmp_path: Path, partition: str | None) -> None:
    table = replace(GOLD_SENTIMENT, partition=partition)
    now = datetime.now(UTC)
    old = (now - timedelta(days=3)).date()
    put(tmp_path, table, gold_rows(10, timedelta(minutes=1)).assign(tweet_date=old))
    for file in (tmp_path / table.name).rglob("*.parquet"):
        file.unlink()
    put(tmp_path, table, gold_rows(10, timedelta(minutes=1)).assign(tweet_date=now.date()))
    statement = Statement("SELECT max(id) AS id FROM tweets WHERE $1 IS NULL OR tweet_date >= $1", "DATE")
    query = LakeQuery.open(str(tmp_path), tweets=table)
    assert query is not None
    assert query.rows(statement, now.date()) == [{"id": "9"}]
    with pytest.raises(LakeError, match="gold/sentiment cannot be read"):
        query.rows(statement, None)


def test_a_query_over_a_missing_table_is_none(lake: str) -> None:
    assert LakeQuery.open(lake, tweets=GOLD_SENTIMENT, trends=GOLD_TRENDS) is None
