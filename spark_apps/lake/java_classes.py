"""Compiles the Java classes of this folder: log stores of Delta, and a Hadoop file system.

Delta's own log stores do not create commits atomically. Hadoop's own file system for folders starts a program for each
new file.

Janino, the compiler of Spark's generated code, is part of pyspark: set-up needs no JDK.
"""

import hashlib
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pyspark

from spark_apps.settings import SettingsError

_PACKAGE = "tweet_sentiment"
LOCAL_LOG_STORE = "LocalLogStore"
S3_LOG_STORE = "S3ConditionalLogStore"
FILE_SYSTEM = "PosixFileSystem"
SPARK_CONF = {
    "spark.delta.logStore.file.impl": f"{_PACKAGE}.{LOCAL_LOG_STORE}",
    "spark.delta.logStore.s3a.impl": f"{_PACKAGE}.{S3_LOG_STORE}",
    "spark.hadoop.fs.file.impl": f"{_PACKAGE}.{FILE_SYSTEM}",
}
_SOURCES = Path(__file__).parent
_COMPILER = "org.codehaus.commons.compiler.samples.CompilerDemo"  # Janino's command line, despite the name


def ensure_compiled(name: str, jars: Path, dependencies: Sequence[Path], java: str) -> Path:
    """Compile a class, unless the jar of its source and its dependencies exists.

    Args:
        name: LOCAL_LOG_STORE, S3_LOG_STORE or FILE_SYSTEM.
        jars: folder of all jars.
        dependencies: the folders in it with the jars that the class needs.
        java: path of the java command.

    Returns:
        The folder of the jar.

    Raises:
        SettingsError: the source does not compile, or `jars` is not writable.
    """
    source = _SOURCES / f"{name}.java"
    inputs = source.read_bytes() + " ".join(folder.name for folder in dependencies).encode()
    folder = jars / f"{name}-{hashlib.sha256(inputs).hexdigest()[:12]}"
    jar = folder / f"{name}.jar"
    if not jar.exists():
        try:
            with tempfile.TemporaryDirectory(prefix=name, suffix=".partial", dir=jars) as work:
                partial = _compile(source, Path(work), dependencies, java)
                folder.mkdir(exist_ok=True)
                # Atomic: another process may compile the same source, or already use the jar.
                partial.replace(jar)
        except OSError as error:
            raise SettingsError(f"cannot write {jar} ({error}): make {jars} writable for the first start") from error
    return folder


def _compile(source: Path, work: Path, dependencies: Sequence[Path], java: str) -> Path:
    spark = Path(pyspark.__path__[0]) / "jars"
    class_path = os.pathsep.join(str(jar) for folder in (spark, *dependencies) for jar in sorted(folder.glob("*.jar")))
    classes = work / "classes"
    options = ["-g", "-d", str(classes), "-classpath", class_path]
    command = [java, "-cp", f"{spark}/*", _COMPILER, *options, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = next(iter(done.stderr.splitlines()), "no error message")
        raise SettingsError(f"cannot compile {source} ({reason}): delete {work.parent}, and repeat the set-up")
    jar = work / f"{source.stem}.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for file in classes.rglob("*.class"):
            archive.write(file, file.relative_to(classes))
    return jar
