"""Compiles the Delta log store for S3: Delta's own log store does not create commits atomically.

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

LOG_STORE_CLASS = "tweet_sentiment.S3ConditionalLogStore"
_SOURCE = Path(__file__).with_name("S3ConditionalLogStore.java")
_JAR = "s3-conditional-log-store.jar"
_COMPILER = "org.codehaus.commons.compiler.samples.CompilerDemo"  # Janino's command line, despite the name


def ensure_log_store(jars: Path, dependencies: Sequence[Path], java: str) -> Path:
    """Compile the log store, unless the jar of this source and these dependencies exists.

    Args:
        jars: folder of all jars.
        dependencies: the folders in it with the jars of Delta and S3A.
        java: path of the java command.

    Returns:
        The folder of the jar.

    Raises:
        SettingsError: the source does not compile, or `jars` is not writable.
    """
    inputs = _SOURCE.read_bytes() + " ".join(folder.name for folder in dependencies).encode()
    folder = jars / f"log-store-{hashlib.sha256(inputs).hexdigest()[:12]}"
    jar = folder / _JAR
    if not jar.exists():
        try:
            with tempfile.TemporaryDirectory(prefix="log-store-", suffix=".partial", dir=jars) as work:
                partial = _compile(Path(work), dependencies, java)
                folder.mkdir(exist_ok=True)
                # Atomic: another process may compile the same source, or already use the jar.
                partial.replace(jar)
        except OSError as error:
            raise SettingsError(f"cannot write {jar} ({error}): make {jars} writable for the first start") from error
    return folder


def _compile(work: Path, dependencies: Sequence[Path], java: str) -> Path:
    spark = Path(pyspark.__path__[0]) / "jars"
    class_path = os.pathsep.join(str(jar) for folder in (spark, *dependencies) for jar in sorted(folder.glob("*.jar")))
    classes = work / "classes"
    options = ["-g", "-d", str(classes), "-classpath", class_path]
    command = [java, "-cp", f"{spark}/*", _COMPILER, *options, str(_SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = next(iter(done.stderr.splitlines()), "no error message")
        raise SettingsError(f"cannot compile {_SOURCE} ({reason}): delete {work.parent}, and repeat the set-up")
    jar = work / _JAR
    with zipfile.ZipFile(jar, "w") as archive:
        for file in classes.rglob("*.class"):
            archive.write(file, file.relative_to(classes))
    return jar
