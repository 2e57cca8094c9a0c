"""The commands that copy a lake, or other files, to a backup and back."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from spark_apps.cli.options import AsJson, Lake, console, fail, report_errors
from spark_apps.settings import load

app = typer.Typer()

From = Annotated[
    str, typer.Option("--from", help="Folder or s3a://bucket/prefix of one backup, or of several: the newest is used.")
]


@app.command(epilog="Example: tweet-sentiment backup --lake ./lake --to /mnt/backup/lake")
def backup(
    to: Annotated[str, typer.Option(help="Folder or s3a://bucket/prefix: empty, or with backups of this lake.")],
    lake: Lake = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Number of backups to keep, in folders of --to; by default --to is one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy all tables of a lake as they are at one instant. The streams may run.

    An earlier backup in the same place is brought up to date: only new files are copied, and old ones are removed. With
    --keep, this is the oldest one, once there are as many as to keep.
    If the command is interrupted, the earlier backup stays intact.
    Exit codes: 0 done, 2 wrong settings, or a place that is not readable, not writable or not a backup.
    """
    with report_errors():
        from spark_apps.lake.backup import back_up

        (location,) = load(lake=lake).require("lake")
        report = back_up(location, to, keep)
    _print(asdict(report), f"{report.place}: {report}", as_json)


@app.command(epilog="Example: tweet-sentiment restore --from /mnt/backup/lake --lake ./lake")
def restore(source: From, lake: Lake = None, as_json: AsJson = False) -> None:
    """Copy a backup to an empty place, and check each file. The streams must be stopped.

    The streams then continue where the tables of the backup end, and read the files that have landed since.
    Exit codes: 0 done, 2 wrong settings, a damaged backup, or a lake that is not empty.
    """
    with report_errors():
        from spark_apps.lake.backup import restore as restore_lake

        (location,) = load(lake=lake).require("lake")
        report = restore_lake(source, location)
    _print(asdict(report), f"{location}: {report}, from {report.place}", as_json)


@app.command(epilog="Example: tweet-sentiment backup-files dumps=/dumps artifacts=/artifacts --to /mnt/backup/registry")
def backup_files(
    sources: Annotated[list[str], typer.Argument(metavar="NAME=FOLDER...", help="Folders or s3a:// URIs to copy.")],
    to: Annotated[str, typer.Option(help="Folder or s3a://bucket/prefix: empty, or with backups of the files.")],
    keep: Annotated[int, typer.Option(min=1, help="Number of backups to keep, in folders of --to.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Copy files that are not a lake, such as dumps of databases and the model files of the registry.

    Files that the updated backup has are not copied again. If the command is interrupted, no earlier backup is damaged.
    Exit codes: 0 done, 2 a folder without files, or a place that is not readable, not writable or not a backup.
    """
    folders = dict(source.partition("=")[::2] for source in sources)
    if not all(folders.values()) or any("/" in name or not name for name in folders):
        fail(f"{' '.join(sources)}: write NAME=FOLDER, such as dumps=/dumps")
    with report_errors():
        from spark_apps.backup.files import back_up_files

        report = back_up_files(folders, to, keep)
    _print(asdict(report), f"{report.place}: {report}", as_json)


@app.command(epilog="Example: tweet-sentiment restore-files --from /mnt/backup/registry --to ./restored")
def restore_files(
    source: From,
    to: Annotated[str, typer.Option(help="Empty folder or s3a://bucket/prefix, which gets a folder for each source.")],
    as_json: AsJson = False,
) -> None:
    """Copy the files of a backup to an empty place, and check each of them.

    Exit codes: 0 done, 2 a damaged backup, or a place that is not empty.
    """
    with report_errors():
        from spark_apps.backup.files import restore_files as restore_all

        report = restore_all(source, to)
    _print(asdict(report), f"{to}: {report}, from {report.place}", as_json)


@app.command(epilog="Example: tweet-sentiment backups --in /mnt/backup/lake")
def backups(
    place: Annotated[str, typer.Option("--in", help="Folder or s3a://bucket/prefix of the backups.")],
    as_json: AsJson = False,
) -> None:
    """List the complete backups of a place, newest first.

    Exit codes: 0 done, 2 a place that is not readable.
    """
    with report_errors():
        from spark_apps.backup.rotation import backups as read_backups

        found = read_backups(place.rstrip("/"))
    rows = [{"place": folder, "at": backup.at, "files": len(backup.files)} for folder, backup in found.items()]
    text = "\n".join(f"{row['place']}: {row['at']}, {row['files']:,} files" for row in rows)
    _print({"backups": rows}, text or f"{place} has no complete backup", as_json)


def _print(report: dict[str, object], text: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report))
    else:
        console.print(text, soft_wrap=True)
