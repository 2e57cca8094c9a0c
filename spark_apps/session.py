"""Creates the SparkSession, and downloads or compiles the jars that it needs."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from pyspark.sql import SparkSession

from spark_apps.errors import UserError
from spark_apps.lake import java_classes
from spark_apps.settings import Settings, SettingsError
from spark_apps.storage import CONNECT_TIMEOUT_SECONDS, S3_ENDPOINT_ENV, TIMEOUT_SECONDS, is_s3

# The pyspark package contains neither Delta nor S3A. Their jars are downloaded once, at set-up or in an image build.
JARS = Path(os.environ.get("TWEETS_JARS", Path(__file__).parents[1] / ".jars"))
_DELTA_PACKAGE = f"io.delta:delta-spark_4.2_2.13:{version('delta-spark')}"
# The version must be the Hadoop release inside pyspark.
_S3A_PACKAGE = "org.apache.hadoop:hadoop-aws:3.5.0"
# Dependencies that pyspark already contains. With a second Hadoop or Jackson on the class path, the order of the jars
# would decide which version is loaded.
_DELTA_EXCLUDES = "org.*:*,com.fasterxml.*:*,com.github.*:*,com.google.*:*,commons-*:*,io.airlift:*,javax.*:*"
_S3A_EXCLUDES = "org.apache.logging*:*,org.slf4j:*,com.fasterxml.*:*,com.google.*:*,commons-*:*,org.xerial.*:*"
_JAVA_VERSIONS = {17, 21}
_LOG4J = Path(__file__).with_name("log4j2.properties")
_SPARK_CONF = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    # The warehouse stays empty, but Spark creates the folder, by default in the working directory.
    "spark.sql.warehouse.dir": tempfile.gettempdir(),
    # With the default of 50 tasks, reading a table's log takes most of the time of a small micro-batch.
    "spark.databricks.delta.snapshotPartitions": "2",
    # `Table.file_bytes` of most tables; Delta compacts files below half of this size. With the default of 128 MB, each
    # file of a table without partitions would have the tweets of many days.
    "spark.databricks.delta.autoCompact.maxFileSize": str(32 * 2**20),
    "spark.databricks.delta.vacuum.parallelDelete.enabled": "true",
    # Number of tasks in which VACUUM lists the files of a table. With the default of 10,000, VACUUM takes two minutes.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "8",
    # The default local file system adds a checksum file to each file, and fails on a colon in a file name. Java classes
    # of this project replace it for Hadoop's first interface (`java_classes.SPARK_CONF`), this class for the second.
    "spark.hadoop.fs.AbstractFileSystem.file.impl": "org.apache.hadoop.fs.local.RawLocalFs",
    # By default, S3A buffers uploads through the default local file system.
    "spark.hadoop.fs.s3a.fast.upload.buffer": "bytebuffer",
    "spark.hadoop.fs.s3a.multipart.size": "16M",
    # S3A tries a request `retry.limit` + 1 times, and the SDK tries each of these `attempts.maximum` times. With the
    # defaults, a request without a response fails after many minutes. Airflow would restart the driver for its lack of
    # progress, although the driver itself waits for the end of an outage.
    "spark.hadoop.fs.s3a.connection.establish.timeout": f"{CONNECT_TIMEOUT_SECONDS}s",
    "spark.hadoop.fs.s3a.connection.timeout": f"{TIMEOUT_SECONDS}s",
    "spark.hadoop.fs.s3a.attempts.maximum": "2",
    "spark.hadoop.fs.s3a.retry.limit": "2",
    "spark.hadoop.fs.s3a.retry.throttle.limit": "4",
    # Keep tasks short: each finished task counts as progress of the batch, and without progress /healthz fails.
    "spark.sql.files.maxPartitionBytes": "64m",
    "spark.sql.files.openCostInBytes": "64k",
    # Size of the Arrow batches for Python workers. Each batch that a worker returns also counts as progress.
    "spark.sql.execution.arrow.maxBytesPerBatch": "8m",
    # Batches are small and their plans are known: re-planning between stages costs more time than it saves.
    "spark.sql.adaptive.enabled": "false",
    # The plans of three layers have about 250 classes. With the default of 100, each round of batches compiles most of
    # them again.
    "spark.sql.codegen.cache.maxEntries": "1000",
    "spark.sql.streaming.noDataMicroBatches.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # `query.stop()` waits this long for an interrupted batch, because Python workers do not stop at once.
    "spark.sql.streaming.stopTimeout": "30s",
}


# Settings for a lake in a folder.
_FOLDER_CONF = {
    # Writes the files of checkpoints, and the checksums of Delta's logs. In a folder, the default manager starts the
    # program readlink four times for each file.
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
    ),
}


class JavaError(UserError):
    """Java is missing, or Spark does not support its version."""


def _java() -> str | None:
    """Return the path of the java command that Spark runs."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else shutil.which("java")


def check_java() -> None:
    """Check the version of Java, because Spark's own error is fifty lines long.

    Raises:
        JavaError: Java is missing, or is not version 17 or 21.
    """
    java = _java()
    remedy = (
        "install a Java 17 or 21 runtime (Debian: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17)"
    )
    if java is None or not Path(java).exists():
        home = os.environ.get("JAVA_HOME")
        reason = f"JAVA_HOME is {home}, which has no bin/java" if home else "no java is on the PATH"
        raise JavaError(f"Spark needs Java, and {reason}: {remedy}, or set JAVA_HOME to such a runtime")
    output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    major = re.search(r'version "(\d+)', output)
    if not major or int(major[1]) not in _JAVA_VERSIONS:
        first_line = output.splitlines()[0] if output else ""
        raise JavaError(
            f"Spark 4.2 runs on Java 17 or 21, but `{java} -version` prints {first_line!r}: {remedy}, and set "
            "JAVA_HOME to that runtime"
        )


def _download(folder: Path, package: str, excludes: str) -> None:
    """Download the jars of a Maven package and its dependencies; create `folder` only once all are downloaded."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    script = "from pyspark.sql import SparkSession as S; S.builder.getOrCreate().stop()"
    conf = {
        "spark.jars.packages": package,
        "spark.jars.excludes": excludes,
        "spark.jars.ivy": str(partial),
        "spark.ui.enabled": "false",
        "spark.master": "local[1]",
    }
    arguments = " ".join(f'--conf "{key}={value}"' for key, value in conf.items()) + " pyspark-shell"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script],
        # In an image build, the host name may not resolve.
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_SUBMIT_ARGS": arguments},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(partial, ignore_errors=True)
        reason = next((line for line in done.stderr.splitlines() if "unresolved" in line or "Exception" in line), "")
        raise SettingsError(
            f"cannot download {package} from Maven Central ({reason.strip()}): connect to the network for the first "
            "start, or set spark.jars.ivySettings in SPARK_CONF_DIR to your own mirror"
        )
    _verify(partial / "jars", Path(__file__).with_name(f"{folder.name.partition('-')[0]}.sha256"))
    (partial / "jars").rename(folder)
    shutil.rmtree(partial, ignore_errors=True)


def _verify(folder: Path, sums: Path) -> None:
    """Compare the jars of a folder with a list of names and checksums, in the format of sha256sum.

    Raises:
        SettingsError: a jar differs, is missing, or is not in the list.
    """
    expected = {name: digest for digest, name in map(str.split, sums.read_text().splitlines())}
    found = {}
    for jar in folder.glob("*.jar"):
        with jar.open("rb") as content:
            found[jar.name] = hashlib.file_digest(content, "sha256").hexdigest()
    if wrong := sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)):
        raise SettingsError(
            f"{', '.join(wrong)}: the downloaded jars are not those of {sums}. If you have changed a version, write "
            "the checksums again (sha256sum *.jar); otherwise check your mirror of Maven Central"
        )


def ensure_jars(s3: bool) -> str:
    """Download or compile missing jars. Downloaded jars must have the checksums in `delta.sha256` and `s3.sha256`.

    Args:
        s3: whether S3A and the log store for S3 are needed too.

    Returns:
        The class path of the jars.

    Raises:
        SettingsError: Maven Central is not reachable, a jar has another checksum, or a Java class does not compile.
    """
    JARS.mkdir(parents=True, exist_ok=True)
    wanted = [("delta", _DELTA_PACKAGE, _DELTA_EXCLUDES)] + ([("s3", _S3A_PACKAGE, _S3A_EXCLUDES)] if s3 else [])
    folders = []
    for name, package, excludes in wanted:
        folder = JARS / f"{name}-{package.rpartition(':')[2]}"
        if not folder.is_dir():
            _download(folder, package, excludes)
        folders.append(folder)
    classes = [(java_classes.LOCAL_LOG_STORE, folders[:1]), (java_classes.FILE_SYSTEM, [])]
    classes += [(java_classes.S3_LOG_STORE, folders)] if s3 else []
    folders += [java_classes.ensure_compiled(name, JARS, needed, _java() or "java") for name, needed in classes]
    return os.pathsep.join(f"{folder}/*" for folder in folders)


def make_session(settings: Settings) -> SparkSession:
    """Start Spark on this machine, or as spark-submit has configured it.

    Raises:
        JavaError: Java is missing or unsupported.
        SettingsError: jars are missing and cannot be downloaded.
    """
    check_java()
    # By default, workers run the python3 on the PATH.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    # spark-submit sets the first variable, the entry point of the project's image the second.
    is_submitted = not os.environ.keys().isdisjoint({"PYSPARK_GATEWAY_PORT", "PYSPARK_SUBMIT_ARGS"})
    conf = _SPARK_CONF | java_classes.SPARK_CONF | ({} if is_submitted else _local_conf(settings))
    if not is_s3(settings.lake or ""):
        conf |= _FOLDER_CONF
    if endpoint := os.environ.get(S3_ENDPOINT_ENV):
        conf |= {"spark.hadoop.fs.s3a.endpoint": endpoint, "spark.hadoop.fs.s3a.path.style.access": "true"}
    builder = SparkSession.builder
    for key, value in conf.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def _local_conf(settings: Settings) -> dict[str, str]:
    """Return the configuration of Spark on this machine; download or compile missing jars."""
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    s3 = any(is_s3(uri) for uri in (settings.landing, settings.lake) if uri)
    return {
        "spark.master": f"local[{settings.cores or '*'}]",
        "spark.app.name": "tweet-sentiment",
        "spark.driver.extraClassPath": ensure_jars(s3),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": settings.memory,
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={_LOG4J.as_uri()}",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": str(settings.cores or os.cpu_count() or 1),
    }


def _set_up() -> None:
    """Download and compile the jars, so that later starts need no network; `--s3` adds the jars for S3."""
    try:
        check_java()
        ensure_jars("--s3" in sys.argv)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    _set_up()
