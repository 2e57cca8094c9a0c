"""Find the landed files that end their task, and read a batch without these files."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_apps.bronze.reader import ReadLimits, read_files
from spark_apps.landing.landed_file import LandedFile
from spark_apps.map_in_arrow import ArrowFunction, arrow_schema
from spark_apps.streaming.poison import PoisonRow, find_poison_rows
from spark_apps.tables import BRONZE_TWEETS, ddl

# One column with the fields of a file as JSON: the name of a file may not be valid UTF-8.
_FILE = "file"


def find_poison_files(spark: SparkSession, files: Sequence[LandedFile], limits: ReadLimits) -> list[PoisonRow]:
    """Return the files that end a task of `read_files`, in the form that `read_batch` takes."""
    return find_poison_rows(_to_frame(spark, files), [_FILE], _reader(limits))


def poison_uris(poison: Sequence[PoisonRow]) -> list[str]:
    """Return the URIs of poison files."""
    return [LandedFile.from_json(json.loads(str(row.key[0]))).uri for row in poison]


def read_batch(
    spark: SparkSession, files: Sequence[LandedFile], poison: Sequence[PoisonRow], limits: ReadLimits
) -> DataFrame:
    """Read files into rows of BRONZE_TWEETS without its partition column; a poison file becomes an `internal_error`.

    The documents of a poison file that an earlier batch has read stay in Bronze; its rest is left out.
    """
    causes = {row.key[0]: f"reading the file ended its task: {row.cause}" for row in poison}
    marked = [
        replace(file, problem="internal_error", version=causes[_to_json(file)]) if _to_json(file) in causes else file
        for file in files
    ]
    return _to_frame(spark, marked).mapInArrow(_reader(limits), ddl(BRONZE_TWEETS.data_columns))


def _to_frame(spark: SparkSession, files: Sequence[LandedFile]) -> DataFrame:
    return spark.createDataFrame([(_to_json(file),) for file in files], f"{_FILE} STRING")


def _to_json(file: LandedFile) -> str:
    return json.dumps(file.to_json())


def _reader(limits: ReadLimits) -> ArrowFunction:
    schema = arrow_schema(BRONZE_TWEETS.data_columns)

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        texts = (text for batch in batches for text in batch.column(_FILE).to_pylist())
        return read_files((LandedFile.from_json(json.loads(text)) for text in texts), schema, limits)

    return read
