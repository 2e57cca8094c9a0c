"""The only maker of a SparkSession, and of the jars that it needs."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from pyspark.sql import SparkSession

from spark_apps.errors import UserError
from spark_apps.settings import Settings, SettingsError
from spark_apps.storage import S3_ENDPOINT_ENV, is_s3

# A pip pyspark brings neither Delta nor S3A. Both are resolved once, at set-up or when an image is built.
JARS = Path(os.environ.get("TWEETS_JARS", Path(__file__).parents[1] / ".jars"))
_DELTA = [f"io.delta:delta-spark_4.2_2.13:{version('delta-spark')}"]
# hadoop-aws must be of the Hadoop release inside pyspark.
_S3 = ["org.apache.hadoop:hadoop-aws:3.5.0"]
# pyspark ships all else that Delta asks for, in the versions that it was built with: a second Hadoop or
# Jackson on the class path would be chosen by chance.
_SHIPPED = "org.*:*,com.fasterxml.*:*,com.github.*:*,com.google.*:*,commons-*:*,io.airlift:*,javax.*:*"
_SHIPPED_BUT_AWS = "org.apache.logging*:*,org.slf4j:*,com.fasterxml.*:*,com.google.*:*,commons-*:*,org.xerial.*:*"
_JAVA = {17, 21}
_LOG4J = Path(__file__).with_name("log4j2.properties")


class JavaError(UserError):
    """Java is missing or of a release that Spark does not run on."""


def check_java() -> None:
    """Refuse a missing or wrong Java in one sentence, before Spark does so in fifty lines."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    remedy = (
        "install a Java 17 or 21 runtime (Debian: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17)"
    )
    if java is None or not Path(java).exists():
        where = f"JAVA_HOME is {home}, which has no bin/java" if home else "no java is on the PATH"
        raise JavaError(f"Spark needs Java, and {where}: {remedy}, or set JAVA_HOME to one")
    printed = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    found = re.search(r'version "(\d+)', printed)
    if not found or int(found[1]) not in _JAVA:
        says = printed.splitlines()[0] if printed else "nothing"
        raise JavaError(f"Spark 4.2 runs on Java 17 or 21, and {java} says {says!r}: {remedy}, and set JAVA_HOME to it")


def _resolve(folder: Path, packages: Sequence[str], excluded: str) -> None:
    half = folder.with_name(folder.name + ".half")
    shutil.rmtree(half, ignore_errors=True)
    script = "from pyspark.sql import SparkSession as S; S.builder.getOrCreate().stop()"
    conf = {
        "spark.jars.packages": ",".join(packages),
        "spark.jars.excludes": excluded,
        "spark.jars.ivy": str(half),
        "spark.ui.enabled": "false",
        "spark.master": "local[1]",
    }
    arguments = " ".join(f'--conf "{key}={value}"' for key, value in conf.items()) + " pyspark-shell"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script],
        # Where an image is built, the name of the machine may lead nowhere.
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_SUBMIT_ARGS": arguments},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(half, ignore_errors=True)
        reason = next((line for line in done.stderr.splitlines() if "unresolved" in line or "Exception" in line), "")
        raise SettingsError(
            f"cannot fetch {', '.join(packages)} from Maven Central ({reason.strip()}): connect to the network for the "
            "first start, or set spark.jars.ivySettings in SPARK_CONF_DIR to your own mirror"
        )
    (half / "jars").rename(folder)
    shutil.rmtree(half, ignore_errors=True)


def ensure_jars(s3: bool) -> str:
    """Resolve the jars that are not there yet; return the class path that holds them."""
    JARS.mkdir(parents=True, exist_ok=True)
    wanted = [("delta", _DELTA, _SHIPPED)] + ([("s3", _S3, _SHIPPED_BUT_AWS)] if s3 else [])
    for name, packages, excluded in wanted:
        folder = JARS / f"{name}-{packages[0].rpartition(':')[2]}"
        if not folder.is_dir():
            _resolve(folder, packages, excluded)
    return os.pathsep.join(f"{JARS}/{name}-{packages[0].rpartition(':')[2]}/*" for name, packages, _ in wanted)


def make_session(settings: Settings) -> SparkSession:
    """Start Spark: local on a laptop, or as spark-submit on a cluster says."""
    check_java()
    uris = [uri for uri in (settings.landing, settings.lake) if uri]
    # Workers would otherwise run the python3 of the PATH.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder
    # spark-submit sets the one, the entrypoint of our image the other.
    submitted = not os.environ.keys().isdisjoint({"PYSPARK_GATEWAY_PORT", "PYSPARK_SUBMIT_ARGS"})
    if not submitted:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        s3 = any(is_s3(uri) for uri in uris)
        builder = (
            builder.master(f"local[{settings.cores or '*'}]")
            .appName("tweet-sentiment")
            .config("spark.driver.extraClassPath", ensure_jars(s3))
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.memory", settings.memory)
            .config("spark.driver.extraJavaOptions", f"-Dlog4j2.configurationFile={_LOG4J.as_uri()}")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", settings.cores or os.cpu_count() or 1)
        )
    for key, value in _SPARK.items():
        builder = builder.config(key, value)
    endpoint = os.environ.get(S3_ENDPOINT_ENV)
    if endpoint:
        builder = builder.config("spark.hadoop.fs.s3a.endpoint", endpoint).config(
            "spark.hadoop.fs.s3a.path.style.access", "true"
        )
    return builder.getOrCreate()


_SPARK = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    # Nothing is kept there, but Spark makes the folder, by default where the user happens to be.
    "spark.sql.warehouse.dir": tempfile.gettempdir(),
    # Reading a table's log with the default of 50 tasks is most of a small micro-batch's time.
    "spark.databricks.delta.snapshotPartitions": "2",
    # The checksum files of the default local file system double the number of files, and break on a colon in a name.
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.hadoop.fs.AbstractFileSystem.file.impl": "org.apache.hadoop.fs.local.RawLocalFs",
    # S3A would buffer uploads through the local file system that the two settings above replace.
    "spark.hadoop.fs.s3a.fast.upload.buffer": "bytebuffer",
    "spark.hadoop.fs.s3a.multipart.size": "16M",
    # A task reads so many bytes at most, and many small files: it ends soon, which shows that its batch advances.
    "spark.sql.files.maxPartitionBytes": "64m",
    "spark.sql.files.openCostInBytes": "64k",
    # Batches are small and their plans are known: re-planning between stages costs more than it saves.
    "spark.sql.adaptive.enabled": "false",
    # The plans of three layers are some 250 classes: with room for 100, the default, each batch compiles its own anew.
    "spark.sql.codegen.cache.maxEntries": "1000",
    "spark.sql.streaming.noDataMicroBatches.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # A batch that is being stopped may finish its Python work in peace.
    "spark.sql.streaming.stopTimeout": "30s",
}


def _set_up() -> None:
    """Resolve the jars at set-up, so that no later start needs the network; `--s3` adds those of S3A."""
    try:
        check_java()
        ensure_jars("--s3" in sys.argv)
    except (JavaError, SettingsError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    _set_up()
