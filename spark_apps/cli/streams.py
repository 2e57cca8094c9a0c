"""The commands that run or show the streams of a lake: run, rescore, relayout, undo-restore, tables and streams."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from spark_apps.cli.options import (
    AsJson,
    Lake,
    Landing,
    ModelRegistry,
    Since,
    console,
    fail,
    parse_since,
    report_errors,
)
from spark_apps.settings import LAYERS, load
from spark_apps.tables import REASONS

app = typer.Typer()


@app.command(
    epilog="Example: tweet-sentiment run --landing ./landing --lake ./lake --once --json",
)
def run(
    layers: Annotated[
        list[str] | None, typer.Argument(help="Layers to run: bronze, silver, gold. All by default.")
    ] = None,
    landing: Landing = None,
    lake: Lake = None,
    registry: ModelRegistry = None,
    once: Annotated[bool, typer.Option("--once", help="Process all available input, then exit.")] = False,
    trigger: Annotated[
        str | None,
        typer.Option(
            help="Interval between micro-batches of the first layer, '60 seconds' by default. [TWEETS_TRIGGER]"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the streams of one or more layers until Ctrl-C; with --once, until all input is processed.

    Exit codes: 0 done or stopped, 1 a stream failed, 2 wrong settings or a missing requirement.
    """
    if unknown := sorted(set(layers or []) - set(LAYERS)):
        fail(f"unknown layer {', '.join(unknown)}: the layers are {', '.join(LAYERS)}")
    if once and trigger:
        fail("--once and --trigger contradict each other: --once has no interval; omit one of them")
    with report_errors():
        settings = load(landing=landing, lake=lake, registry=registry, trigger=trigger)
        from spark_apps.run import run as run_streams

        result = run_streams(layers or [], settings, once, lambda report: console.print(str(report)))
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        quarantined = sum(result["quarantine"].values())
        erased = (
            f", {result['erasures']:,} erasures, {result['erased']:,} kept out"
            if result["erasures"] or result["erased"]
            else ""
        )
        console.print(
            f"Bronze: {result['bronze']:,} documents; Silver: {result['documents']:,} documents read, "
            f"{result['silver']:,} new tweets, {result['duplicates']:,} duplicates, "
            f"{quarantined:,} in quarantine{erased}; Gold: {result['gold']:,} tweets scored; in {result['seconds']} s"
        )


@app.command(epilog="Example: tweet-sentiment rescore --lake ./lake --since 2026-01-31")
def rescore(
    lake: Lake = None,
    registry: ModelRegistry = None,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """Score the tweets in Gold again with the model in production, and update the aggregates. Stop Gold first.

    After Ctrl-C or a kill, the same command continues where the rescore stopped.
    Exit codes: 0 done, 1 stopped early or no model in production, 2 wrong settings or a missing requirement.
    """
    first_day = parse_since(since)
    with report_errors():
        settings = load(lake=lake, registry=registry)
        from spark_apps.gold.rescore import rescore as rescore_gold
        from spark_apps.jobs import run_job

        done = run_job(
            settings,
            "rescored",
            lambda spark, on_part, stop: rescore_gold(spark, settings, first_day, on_part, stop),
            lambda part: console.print(str(part)),
        )
    if as_json:
        print(json.dumps(vars(done)))
    else:
        console.print(f"{done.tweets:,} tweets are labelled by version {done.model_version}, in {done.seconds} s")


@app.command(epilog="Example: tweet-sentiment relayout --lake ./lake")
def relayout(lake: Lake = None, registry: ModelRegistry = None, as_json: AsJson = False) -> None:
    """Rewrite the tables that an earlier version created with a partition per day. Stop the streams first.

    Gold labels the waiting tweets first. After Ctrl-C or a kill, the same command continues.
    Exit codes: 0 done or nothing to do, 1 stopped early, 2 wrong settings or a missing requirement.
    """
    with report_errors():
        settings = load(lake=lake, registry=registry)
        from spark_apps.relayout import run as run_relayout

        reports = run_relayout(settings, lambda report: console.print(str(report)))
    if as_json:
        print(json.dumps({"tables": [vars(report) for report in reports]}))
    else:
        console.print(f"{len(reports)} tables rewritten" if reports else "all tables have the current layout")


@app.command(epilog="Example: tweet-sentiment undo-restore --lake ./lake")
def undo_restore(lake: Lake = None, as_json: AsJson = False) -> None:
    """Bring back the rows that Delta's RESTORE has removed from a table of a stream. Stop the streams first.

    Exit codes: 0 done or nothing to do, 2 the lost rows are gone, wrong settings or a missing requirement.
    """
    with report_errors():
        settings = load(lake=lake)
        (location,) = settings.require("lake")
        from spark_apps.jobs import run_job
        from spark_apps.undo_restore import undo_restore as undo

        undone = run_job(settings, "undone", lambda spark, *_: undo(spark, location), lambda _: None)
    if as_json:
        print(json.dumps({"tables": [vars(table) for table in undone]}))
    else:
        console.print("\n".join(map(str, undone)) or "no table was set back by RESTORE since its last batch")


@app.command(epilog="Example: tweet-sentiment tables --lake ./lake --json")
def tables(
    lake: Lake = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out `stored` and the oldest version, which list all files.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the tables of a lake, and the quarantine by reason.

    For each table: rows, rows that its layer has not read yet, files and their size, size with replaced files and the
    log (`stored`), oldest and newest row, last write, and oldest and newest version. On S3, the list of all files takes
    about a second for 10,000 files: --quick leaves it out. With --json also the last batch and all totals.
    """
    with report_errors():
        from spark_apps.lake.status import read_status
        from spark_apps.lake.status_view import render

        (location,) = load(lake=lake).require("lake")
        status = read_status(location, with_storage=not quick)
    if as_json:
        print(json.dumps(status.to_dict(), ensure_ascii=False, default=lambda time: time.isoformat()))
        return
    output = Console(highlight=False)
    output.print(render(status))
    for table in status.tables.values():
        if table.expired:
            output.print(f"{table.name}: {table.expired:,} rows of the days before {table.expired_before} were deleted")
    for reason, count in status.quarantine.items():
        output.print(f"quarantine: {count:,} × {reason}, {REASONS.get(reason, 'a reason of another version')}")


@app.command(epilog="Example: tweet-sentiment streams --lake ./lake")
def streams(lake: Lake = None, as_json: AsJson = False) -> None:
    """Show the state of each stream: who holds it, its last error, what Airflow tried, and what to do now.

    The last error comes from the lake, with its batch and what the batch was reading. On a cluster, run the command in
    the pod of the dashboard, which also has the reports of Airflow.
    Exit codes: 0 nobody has to look, 1 a stream is held or does not run, 2 wrong settings or an unreadable lake.
    """
    now = datetime.now(UTC)
    with report_errors():
        from spark_apps.lake.status import read_status
        from spark_apps.monitoring.stream_reports import read_reports
        from spark_apps.monitoring.stream_states import render, stream_states

        settings = load(lake=lake)
        (location,) = settings.require("lake")
        status = read_status(location)
        states = stream_states(status, read_reports(settings.stream_status), settings.runbook, now)
    if as_json:
        print(json.dumps({"streams": [state.to_dict() for state in states]}, ensure_ascii=False, default=str))
    else:
        Console(highlight=False).print(render(states, now))
    if not all(state.is_well for state in states):
        raise typer.Exit(1)
