"""The running Spark: how many tasks it runs at the same time, whether it is alive, and its end."""

from pyspark.sql import SparkSession


def task_slots(spark: SparkSession) -> int:
    """Return the number of tasks that run at the same time once all executors have started.

    Spark's `defaultParallelism` counts only the executors that have already started.
    """
    context = spark.sparkContext
    conf = context.getConf()
    configured = int(conf.get("spark.executor.instances", "0")) * int(conf.get("spark.executor.cores", "1"))
    return max(1, max(configured, context.defaultParallelism) // int(conf.get("spark.task.cpus", "1")))


def is_alive(spark: SparkSession) -> bool:
    """Return whether the JVM of the driver runs and Spark was not stopped."""
    try:
        return not spark.sparkContext._jsc.sc().isStopped()
    except Exception:
        return False


def stop(spark: SparkSession) -> None:
    """Stop Spark; do nothing if its JVM has ended, because the error of `spark.stop()` would hide the cause."""
    if is_alive(spark):
        spark.stop()
