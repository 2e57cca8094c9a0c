"""JVM options for the demo: a fast start instead of peak speed.

`python -m spark_apps.demo.jvm` creates a class data sharing (CDS) archive at installation: the JVM then loads Spark's
classes without parsing and verifying them at each start.
"""

import os
import tempfile
from importlib.metadata import version
from pathlib import Path

from spark_apps.demo.feed import land
from spark_apps.errors import UserError
from spark_apps.session import JARS
from spark_apps.settings import load

ARCHIVE = JARS / f"spark-{version('pyspark')}-delta-{version('delta-spark')}.jsa"
_OPTIONS = " ".join(
    (
        # The C2 compiler and a parallel garbage collector pay off late: with them, the first run of all layers takes
        # 114 s of CPU time instead of 74 s; from the fifth run on, 18 s instead of 28 s.
        "-XX:TieredStopAtLevel=1",
        # Without C2, the JVM reserves only 48 MB for compiled code. The streams need more: the JVM would discard code
        # and compile it again, and a round of batches would take 16 % to 21 % more CPU time.
        "-XX:ReservedCodeCacheSize=256m",
        "-XX:+UseSerialGC",
        # Hides the warning that the archive does not fit the installed Java: the JVM then starts without it.
        "-Xlog:disable",
    )
)
_ENVIRONMENT = "SPARK_SUBMIT_OPTS"
_TWEETS = 100
_DUMP_SECONDS = 120


def options() -> str:
    """Return the options of a JVM with the class archive, if it exists."""
    return f"{_OPTIONS} -XX:SharedArchiveFile={ARCHIVE}" if ARCHIVE.exists() else _OPTIONS


def set_options() -> None:
    """Set the options for the JVM that this process starts; options already in the environment take precedence."""
    os.environ[_ENVIRONMENT] = f"{options()} {os.environ.get(_ENVIRONMENT, '')}".rstrip()


def create_archive() -> None:
    """Run all three layers over a few tweets, and let the JVM write the classes that it loaded to `ARCHIVE`."""
    from pyspark import SparkContext

    from spark_apps.run import run

    partial = ARCHIVE.with_suffix(".partial")
    os.environ[_ENVIRONMENT] = f"{_OPTIONS} -XX:ArchiveClassesAtExit={partial}"
    with tempfile.TemporaryDirectory(prefix="tweet-sentiment-archive-") as home:
        settings = load(landing=f"{home}/landing", lake=f"{home}/lake")
        land(str(settings.landing), _TWEETS, seed=1)
        run([], settings, once=True, on_batch=lambda _: None)
    gateway = SparkContext._gateway
    if gateway is not None:
        # The JVM writes the archive when it exits, and it exits once its stdin is closed.
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(_DUMP_SECONDS)
    partial.replace(ARCHIVE)


def _main() -> None:
    """Create the archive. All output except a warning goes to a log file, which only an error leaves behind."""
    terminal = os.fdopen(os.dup(2), "w")
    log = Path(f"{ARCHIVE}.log")
    with log.open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    try:
        create_archive()
        log.unlink()
    except (OSError, UserError) as error:
        print(f"warning: no class archive ({error}; log: {log}): the demo will start more slowly", file=terminal)


if __name__ == "__main__":
    _main()
