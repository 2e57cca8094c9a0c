"""A process that writes Delta tables on S3, as a driver does.

Each line of stdin is a command, and each line of stdout its result. `append TABLE FIRST COUNT` appends rows with the
ids from FIRST, one commit per row; `ids TABLE` returns the ids of all rows.
"""

import sys

from pyspark.sql import SparkSession

from spark_apps.session import make_session
from spark_apps.settings import Settings


def execute(spark: SparkSession, command: str, table: str, first: str = "0", count: str = "0") -> str:
    if command == "ids":
        return " ".join(sorted(str(row["id"]) for row in spark.read.format("delta").load(table).collect()))
    for row_id in range(int(first), int(first) + int(count)):
        spark.range(row_id, row_id + 1, 1, 1).write.format("delta").mode("append").save(table)
    return "done"


def main() -> None:
    spark = make_session(Settings(lake="s3a://lake/any", cores=1))
    print("started", flush=True)
    for line in sys.stdin:
        try:
            result = execute(spark, *line.split())
        except Exception as error:  # the test reads it
            result = f"error: {error}"
        print(" ".join(result.split()), flush=True)


if __name__ == "__main__":
    main()
