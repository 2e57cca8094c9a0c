"""Reads and writes small files of the lake through Spark's Hadoop file systems: local folders and S3."""

from pyspark.sql import SparkSession


def read_text(spark: SparkSession, uri: str) -> str | None:
    """Return the content of a small UTF-8 file; None if the file does not exist."""
    fs, path = file_system(spark, uri)
    if not fs.exists(path):
        return None
    stream = fs.open(path)
    try:
        text: str = spark._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")  # type: ignore[union-attr]
        return text
    finally:
        stream.close()


def write_text(spark: SparkSession, uri: str, text: str) -> None:
    """Create or overwrite a UTF-8 file."""
    fs, path = file_system(spark, uri)
    stream = fs.create(path, True)
    try:
        stream.write(bytearray(text.encode()))
    finally:
        stream.close()


def remove(spark: SparkSession, uri: str) -> None:
    """Delete a file; do nothing if the file does not exist."""
    fs, path = file_system(spark, uri)
    fs.delete(path, False)


def exists(spark: SparkSession, uri: str) -> bool:
    """Return whether a file or a folder exists."""
    fs, path = file_system(spark, uri)
    return bool(fs.exists(path))


def file_system(spark: SparkSession, uri: str):  # type: ignore[no-untyped-def]
    """Return the Hadoop `FileSystem` of `uri`, and `uri` as a Hadoop `Path`."""
    path = spark._jvm.org.apache.hadoop.fs.Path(uri)  # type: ignore[union-attr]
    return path.getFileSystem(spark._jsc.hadoopConfiguration()), path
