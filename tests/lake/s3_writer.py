"""A process that appends rows to a Delta table, one commit per row, as a driver on S3 does.

It reads lines `<URI of the table> <first id> <number of rows>` from stdin, and prints a line after each of them.
"""

import sys

from spark_apps.session import make_session
from spark_apps.settings import Settings


def main() -> None:
    spark = make_session(Settings(lake="s3a://lake/any", cores=1))
    print("ready", flush=True)
    for line in sys.stdin:
        table, first, count = line.split()
        for id in range(int(first), int(first) + int(count)):
            spark.range(id, id + 1, 1, 1).write.format("delta").mode("append").save(table)
        print("done", flush=True)


if __name__ == "__main__":
    main()
