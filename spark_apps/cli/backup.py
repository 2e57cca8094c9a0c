"""The commands that copy a lake to a backup and back: backup and restore."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from spark_apps.cli.options import AsJson, Lake, console, report_errors
from spark_apps.settings import load

app = typer.Typer()


@app.command(epilog="Example: tweet-sentiment backup --lake ./lake --to /mnt/backup/lake")
def backup(
    to: Annotated[str, typer.Option(help="Folder or s3a://bucket/prefix: empty, or an earlier backup of this lake.")],
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """Copy all tables of a lake as they are at one instant. The streams may run.

    An earlier backup in the same place is brought up to date: only new files are copied, and old ones are removed.
    If the command is interrupted, the earlier backup stays intact.
    Exit codes: 0 done, 2 wrong settings, or a place that is not readable, not writable or not a backup.
    """
    with report_errors():
        from spark_apps.lake.backup import back_up

        (location,) = load(lake=lake).require("lake")
        report = back_up(location, to)
    _print(asdict(report), f"{to}: {report}", as_json)


@app.command(epilog="Example: tweet-sentiment restore --from /mnt/backup/lake --lake ./lake")
def restore(
    source: Annotated[str, typer.Option("--from", help="Folder or s3a://bucket/prefix of the backup.")],
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """Copy a backup to an empty place, and check each file. The streams must be stopped.

    The streams then continue where the tables of the backup end, and read the files that have landed since.
    Exit codes: 0 done, 2 wrong settings, a damaged backup, or a lake that is not empty.
    """
    with report_errors():
        from spark_apps.lake.backup import restore as restore_lake

        (location,) = load(lake=lake).require("lake")
        report = restore_lake(source, location)
    _print(asdict(report), f"{location}: {report}", as_json)


def _print(report: dict[str, object], text: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report))
    else:
        console.print(text, soft_wrap=True)
