"""Small files beside the tables of a lake, through Spark's own file systems: a folder or S3 alike."""

from pyspark.sql import SparkSession


def read_text(spark: SparkSession, uri: str) -> str | None:
    """Return a small text file of the lake, or None where there is none."""
    files, path = hadoop(spark, uri)
    if not files.exists(path):
        return None
    stream = files.open(path)
    try:
        text: str = spark._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")  # type: ignore[union-attr]
        return text
    finally:
        stream.close()


def write_text(spark: SparkSession, uri: str, text: str) -> None:
    files, path = hadoop(spark, uri)
    stream = files.create(path, True)
    try:
        stream.write(bytearray(text.encode()))
    finally:
        stream.close()


def remove(spark: SparkSession, uri: str) -> None:
    files, path = hadoop(spark, uri)
    files.delete(path, False)


def exists(spark: SparkSession, uri: str) -> bool:
    files, path = hadoop(spark, uri)
    return bool(files.exists(path))


def hadoop(spark: SparkSession, uri: str):  # type: ignore[no-untyped-def]
    """Return the Hadoop file system of `uri`, and its path there."""
    path = spark._jvm.org.apache.hadoop.fs.Path(uri)  # type: ignore[union-attr]
    return path.getFileSystem(spark._jsc.hadoopConfiguration()), path
