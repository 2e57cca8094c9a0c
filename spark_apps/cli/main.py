"""The `tweet-sentiment` command."""

import json
import threading
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from spark_apps.cli.model import app as model_app
from spark_apps.cli.options import AsJson, Lake, Landing, console, fail, report_errors
from spark_apps.cli.quality import app as quality_app
from spark_apps.settings import LAYERS, load
from spark_apps.tables import REASONS

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    help="Streaming sentiment of tweets: landing → Bronze → Silver → Gold, scored by RoBERTa in ONNX Runtime.",
)
app.add_typer(model_app, name="model")
app.add_typer(quality_app, name="quality")

Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of the dashboard.")]
Rate = Annotated[float, typer.Option(min=0.1, max=1000, help="Tweets per second; three times as many in a burst.")]
ModelRegistry = Annotated[
    str | None, typer.Option(help="URI of the MLflow registry; without it, the bundled model scores. [TWEETS_REGISTRY]")
]


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
        str | None, typer.Option(help="Interval between micro-batches, by default '60 seconds'. [TWEETS_TRIGGER]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the streams of one, two or all three layers until Ctrl-C; with --once, until all input is processed.

    Exit codes: 0 done or stopped, 1 a stream failed, 2 wrong settings or a missing requirement.
    """
    if unknown := sorted(set(layers or []) - set(LAYERS)):
        fail(f"unknown layer {', '.join(unknown)}: the layers are {', '.join(LAYERS)}")
    if once and trigger:
        fail("--once and --trigger contradict each other: --once waits for no interval; omit one of them")
    with report_errors():
        settings = load(landing=landing, lake=lake, registry=registry, trigger=trigger)
        from spark_apps.run import run as run_streams

        result = run_streams(layers or [], settings, once, lambda report: console.print(str(report)))
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        quarantined = sum(result["quarantine"].values())
        console.print(
            f"Bronze: {result['bronze']:,} documents; Silver: {result['documents']:,} documents read, "
            f"{result['silver']:,} new tweets, {result['duplicates']:,} duplicates, {quarantined:,} in quarantine; "
            f"Gold: {result['gold']:,} tweets scored; in {result['seconds']} s"
        )


@app.command(epilog="Example: tweet-sentiment rescore --lake ./lake --since 2026-01-31")
def rescore(
    lake: Lake = None,
    registry: ModelRegistry = None,
    since: Annotated[
        str | None, typer.Option(help="First day to score, such as 2026-01-31; all days by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score the tweets in Gold again with the model in production, and update the aggregates. Stop Gold first.

    After Ctrl-C or a kill, the same command continues where the rescore stopped.
    Exit codes: 0 done, 1 stopped early or no model in production, 2 wrong settings or a missing requirement.
    """
    try:
        first = date.fromisoformat(since) if since else None
    except ValueError:
        fail(f"--since {since} is not a date: write a day such as 2026-01-31")
    with report_errors():
        settings = load(lake=lake, registry=registry)
        from spark_apps.gold.rescore import run as run_rescore

        done = run_rescore(settings, first, lambda part: console.print(str(part)))
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


@app.command(epilog="Example: tweet-sentiment inspect posts.json.gz --formats formats.yaml")
def inspect(
    files: Annotated[list[Path], typer.Argument(help="Local files: plain, compressed, or archives.")],
    formats: Annotated[Path | None, typer.Option(help="YAML file with your own formats. [TWEETS_FORMATS]")] = None,
    limit: Annotated[
        int, typer.Option(min=0, max=1000, help="Records of each file to show; rejected ones come first.")
    ] = 5,
    as_json: AsJson = False,
) -> None:
    """Show what the streams would make of local files: tweets by format, and why other records are rejected.

    Duplicates count as tweets.
    Exit codes: 0 all records are tweets, 1 a record is rejected, 2 wrong settings or a missing file.
    """
    with report_errors():
        settings = load(formats=formats)
        from spark_apps.inspection import inspect_files, report_lines
        from spark_apps.silver.user_formats import load_formats

        reports = inspect_files(files, load_formats(settings.formats), settings, limit)
        inspected = []
        rejected = 0
        for report in reports:
            rejected += report.rejects.total()
            if as_json:
                inspected.append(report.to_dict())
            else:
                print("\n".join(report_lines(report)))
    if as_json:
        print(json.dumps({"files": inspected}))
    if rejected:
        raise typer.Exit(1)


@app.command(epilog="Example: tweet-sentiment replay recorded/*.json.gz --landing ./landing --speed 60")
def replay(
    files: Annotated[list[Path], typer.Argument(help="Recorded files with JSON tweets, plain or gzip.")],
    landing: Landing = None,
    speed: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Speed-up: 60 replays an hour in a minute. By default, all files land at once.",
        ),
    ] = None,
) -> None:
    """Land recorded files as a stream, at the pace of their timestamps."""
    with report_errors():
        from spark_apps.demo.replay import replay as replay_files
        from spark_apps.signals import set_on_signal

        (target,) = load(landing=landing).require("landing")
        stop = threading.Event()
        with set_on_signal(stop):
            landed = replay_files(
                files, target, speed, lambda name, size: console.print(f"{name}: {size:,} bytes"), stop
            )
    console.print(f"{landed:,} files landed in {target}")


@app.command(epilog="Example: tweet-sentiment generate --landing ./landing --rate 20")
def generate(
    landing: Landing = None,
    rate: Rate = 10,
    tweets: Annotated[
        int | None,
        typer.Option(min=1, help="Number of tweets to land at once; by default, a stream runs until Ctrl-C."),
    ] = None,
    seed: Annotated[int, typer.Option(help="With --tweets: the same seed gives the same tweets.")] = 0,
) -> None:
    """Land generated tweets; with --tweets, print the expected counts of each table as JSON."""
    with report_errors():
        from spark_apps.demo.feed import feed, land
        from spark_apps.signals import set_on_signal

        (target,) = load(landing=landing).require("landing")
        if tweets is not None:
            print(json.dumps(vars(land(target, tweets, seed))))
            return
        stop = threading.Event()
        with set_on_signal(stop):
            feed(target, rate, lambda _: None, stop)


@app.command(epilog="Example: tweet-sentiment follow --landing ./landing --lake ./lake --seconds 120")
def follow(
    landing: Landing = None,
    lake: Lake = None,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds to wait for the tweet.")] = 240,
) -> None:
    """Smoke test: land one tweet and wait until running streams have labelled it in gold/sentiment.

    The tweet remains in the lake.
    Exit codes: 0 the tweet arrived, 1 it did not arrive in time, 2 wrong settings or a missing requirement.
    """
    with report_errors():
        from spark_apps.smoke_test import run_smoke_test

        target, tables = load(landing=landing, lake=lake).require("landing", "lake")
        print(run_smoke_test(target, tables, seconds))


@app.command(epilog="Example: tweet-sentiment tables --lake ./lake --json")
def tables(lake: Lake = None, as_json: AsJson = False) -> None:
    """Show the tables of a lake, and the quarantine by reason.

    For each table: rows, rows that its layer has still to read, files and their size, size with replaced files and the
    log, newest row, and last write. --json has the versions, too.
    """
    with report_errors():
        from spark_apps.lake.status import read_status, render

        (location,) = load(lake=lake).require("lake")
        status = read_status(location, with_storage=True)
    if as_json:
        print(json.dumps(status.to_dict(), ensure_ascii=False, default=lambda time: time.isoformat()))
        return
    output = Console(highlight=False)
    output.print(render(status))
    for reason, count in status.quarantine.items():
        output.print(f"quarantine: {count:,} × {reason}, {REASONS.get(reason, 'a reason of another version')}")


@app.command(epilog="Example: tweet-sentiment dashboard --lake s3a://tweets/lake --port 8501")
def dashboard(
    lake: Lake = None,
    registry: ModelRegistry = None,
    landing: Annotated[
        str | None,
        typer.Option(help="Landing for tweets typed into the page; without it, the page has no form. [TWEETS_LANDING]"),
    ] = None,
    port: Port = 8501,
    address: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all addresses.")] = "127.0.0.1",
) -> None:
    """Serve the dashboard of a lake until Ctrl-C."""
    with report_errors():
        settings = load(lake=lake, registry=registry, landing=landing)
        from spark_apps.dashboard.launch import check_port, serve

        settings.require("lake")
        check_port(address, port)
        serve(settings, address, port)


@app.command(epilog="Example: tweet-sentiment demo --home .demo --rate 20")
def demo(
    home: Annotated[Path, typer.Option(help="Folder of the landing, lake, registry and logs.")] = Path(".demo"),
    rate: Rate = 10,
    port: Port = 8501,
    browser: Annotated[bool, typer.Option(help="Open the dashboard in a browser on this machine.")] = True,
) -> None:
    """Run the whole pipeline on this machine: generated tweets, registry, streams and dashboard.

    Ctrl-C finishes the running batch and stops; the same command then continues with the same data.
    Exit codes: 0 stopped, 1 a stream failed, 2 wrong settings or a missing requirement.
    """
    with report_errors():
        from spark_apps.demo.app import run_demo

        run_demo(home, rate, port, browser, console)


def main() -> None:
    app(prog_name="tweet-sentiment")


if __name__ == "__main__":
    main()
