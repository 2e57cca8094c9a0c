"""The time of a backup, of a restore, and from there to the first new label."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from spark_apps import storage
from spark_apps.lake.backup import back_up, restore
from spark_apps.lake.status import read_status
from spark_apps.tables import GOLD_SENTIMENT
from tests import process
from tests.benchmarks.result import Line, Result
from tests.benchmarks.streams import lake_settings
from tests.benchmarks.texts import texts

ROWS = (2_000, 100_000)
_PER_FILE = 1_000
# The cache of the scorer answers for the other tweets: the benchmark does not measure the model.
_DISTINCT_TEXTS = 1_000


def backup() -> Result:
    """Backup and restore of a lake with 2,000 and with 100,000 tweets, and the time until the streams label again."""
    lines, figures = [], {}
    for rows in ROWS:
        measured = _measure(rows)
        lines += [
            Line(
                f"backup of {rows:,} tweets",
                f"{measured['backup_seconds']} s, {measured['files']:,} files, {measured['megabytes']} MB",
                f"state of {measured['instant_seconds']} s after its start; an update {measured['update_seconds']} s",
            ),
            Line(f"restore of {rows:,} tweets", f"{measured['restore_seconds']} s"),
            Line("the same, until the first new label", f"{measured['label_seconds']} s", "with the start of Spark"),
        ]
        figures[str(rows)] = measured
    return Result(lines, figures)


def _measure(rows: int) -> dict[str, float]:
    with lake_settings() as settings:
        landing, lake, home = str(settings.landing), str(settings.lake), Path(str(settings.lake)).parent
        where = ("--landing", landing, "--lake", lake)
        files = _files(rows + 2 * _PER_FILE)
        for _ in range(rows // _PER_FILE):
            storage.put(landing, *next(files))
        process.run("run", *where, "--once", seconds=3600)
        began = time.time()
        first = back_up(lake, str(home / "backup"))
        storage.put(landing, *next(files))
        process.run("run", *where, "--once")
        update = back_up(lake, str(home / "backup"))
        storage.put(landing, *next(files))
        lost = time.monotonic()
        Path(lake).rename(home / "lost")
        restored = restore(str(home / "backup"), lake)
        streams = process.Running(home / "log", "run", *where, "--trigger", "0 seconds")
        try:
            labelled = read_status(lake).tables[GOLD_SENTIMENT.name].rows
            while read_status(lake).tables[GOLD_SENTIMENT.name].rows == labelled:
                streams.check_alive()
                time.sleep(0.3)
            label_seconds = time.monotonic() - lost
        finally:
            streams.kill()
    return {
        "backup_seconds": first.seconds,
        "files": first.files,
        "megabytes": round(first.copied_bytes / 1e6, 1),
        "instant_seconds": round(datetime.fromisoformat(first.at).timestamp() - began, 2),
        "update_seconds": update.seconds,
        "restore_seconds": restored.seconds,
        "label_seconds": round(label_seconds, 1),
    }


def _files(tweets: int) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of files with tweets of one day."""
    known = texts(_DISTINCT_TEXTS)
    for first in range(0, tweets, _PER_FILE):
        lines = (
            {"id": number, "full_text": known[number % len(known)], "user_id": number % 3_000, "lang": "en"}
            | {"timestamp": f"2026-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"}
            for number in range(first + 1, first + _PER_FILE + 1)
        )
        yield f"{first:06}.json", "\n".join(map(json.dumps, lines)).encode()
