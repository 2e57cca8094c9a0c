"""The cost of a commit that refuses to follow the commit of another writer."""

from collections.abc import Callable
from time import perf_counter

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.lake import delta_tables
from spark_apps.lake.transaction import Transaction
from spark_apps.session import make_session
from spark_apps.tables import BRONZE_TWEETS
from tests.benchmarks.gold_lake import jvm_cpu_seconds
from tests.benchmarks.result import Line, Result
from tests.benchmarks.streams import lake_settings

_ROWS, _COMMITS, _WARM_UP = 200, 90, 30

Append = Callable[[DataFrame, str, int], None]


def commits() -> Result:
    """Appends of 200 rows: without a fence, with Delta's public options, and with the transaction of the writer."""
    with lake_settings() as settings:
        spark = make_session(settings)
        try:
            measured = _measure(spark, str(settings.lake))
        finally:
            spark.stop()
    medians = {name: np.median(times[_WARM_UP:], axis=0) for name, times in measured.items()}
    plain = medians["no fence"][0]
    lines = [
        Line(f"commit with {name}", f"{cpu:.2f} s CPU, {seconds:.2f} s", f"{cpu / plain:.2f} × the CPU time")
        for name, (cpu, seconds) in medians.items()
    ]
    return Result(lines, {name: {"cpu": cpu, "seconds": seconds} for name, (cpu, seconds) in medians.items()})


def _measure(spark: SparkSession, lake: str) -> dict[str, list[tuple[float, float]]]:
    """Return the CPU seconds of the JVM and the seconds of each append, by kind; the kinds take turns."""
    kinds: dict[str, Append] = {"no fence": _append, "txnAppId": _append_with_options, "a transaction": _append_fenced}
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for name in kinds:
        delta_tables.create_or_evolve(spark, f"{lake}/{name}", BRONZE_TWEETS, retention=3600)
    columns = [F.lit(None).cast(column.type).alias(column.name) for column in BRONZE_TWEETS.data_columns]
    for number in range(_COMMITS):
        for name, append in reversed(kinds.items()) if number % 2 else kinds.items():
            rows = spark.range(_ROWS).select(*columns, F.current_date().alias(str(BRONZE_TWEETS.partition)))
            cpu, began = jvm_cpu_seconds(spark), perf_counter()
            append(rows, BRONZE_TWEETS.path(f"{lake}/{name}"), number)
            measured[name].append((jvm_cpu_seconds(spark) - cpu, perf_counter() - began))
    return measured


def _append(rows: DataFrame, path: str, _: int) -> None:
    rows.write.format("delta").mode("append").save(path)


def _append_with_options(rows: DataFrame, path: str, number: int) -> None:
    writer = rows.write.format("delta").mode("append")
    writer.option("txnAppId", "bench").option("txnVersion", number).save(path)


def _append_fenced(rows: DataFrame, path: str, number: int) -> None:
    Transaction(rows.sparkSession, path).write(rows, "Append", {}, number)
