"""The Spark tasks of this process: their progress, and the Python workers that run them."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession

from spark_apps.spark_context import task_slots

# Number of SQL executions to search for running ones, newest first. `keep_workers_alive` starts executions too.
_EXECUTIONS = 50


def progress(spark: SparkSession) -> object:
    """Return a value that changes while tasks finish, fail, or read and write rows.

    Executors report the rows and bytes of running tasks every 10 s, so a task that runs for minutes shows progress too.
    """
    tracker = spark.sparkContext.statusTracker()
    stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    tasks = [(info.stageId, info.numCompletedTasks, info.numFailedTasks) for info in stages if info is not None]
    store = spark._jsparkSession.sharedState().statusStore()
    newest = store.executionsList(max(0, store.executionsCount() - _EXECUTIONS), _EXECUTIONS)
    executions = [newest.apply(number) for number in range(newest.size())]
    running = [execution.executionId() for execution in executions if execution.completionTime().isEmpty()]
    return tasks, [(id_, store.executionMetrics(id_).toString()) for id_ in running]


def keep_workers_alive(spark: SparkSession) -> None:
    """Run an empty Python task in each slot, so that no executor ends its idle workers."""

    def identity(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from batches

    slots = task_slots(spark)
    spark.range(slots, numPartitions=slots).mapInArrow(identity, "id LONG").collect()
