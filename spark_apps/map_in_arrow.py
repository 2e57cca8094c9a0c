"""Type and schema of the functions that Spark runs with `DataFrame.mapInArrow`."""

from collections.abc import Callable, Iterable, Iterator
from typing import cast

import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from spark_apps.tables import Column, ddl

ArrowFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema that Spark uses for `columns`; timestamps are in UTC. Needs an active Spark session."""
    return to_arrow_schema(cast(StructType, StructType.fromDDL(ddl(columns))), timezone="UTC")
