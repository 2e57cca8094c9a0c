"""The commands that land tweets or read landed files: inspect, replay, generate and follow."""

import json
import threading
from pathlib import Path
from typing import Annotated

import typer

from spark_apps.cli.options import AsJson, Lake, Landing, Rate, console, report_errors
from spark_apps.settings import load

app = typer.Typer()


@app.command(epilog="Example: tweet-sentiment inspect posts.json.gz --formats formats.yaml")
def inspect(
    files: Annotated[list[Path], typer.Argument(help="Local files: plain, compressed, or archives.")],
    formats: Annotated[Path | None, typer.Option(help="YAML file with your own formats. [TWEETS_FORMATS]")] = None,
    limit: Annotated[
        int, typer.Option(min=0, max=1000, help="Number of records to show of each file, rejects first.")
    ] = 5,
    as_json: AsJson = False,
) -> None:
    """Read local files as the streams would: show the tweets by format, and why other records are rejected.

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
    files: Annotated[list[Path], typer.Argument(help="Recorded files with JSON tweets, plain or compressed.")],
    landing: Landing = None,
    speed: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Speed-up, such as 60 to replay an hour in a minute. By default, all files land at once.",
        ),
    ] = None,
) -> None:
    """Land recorded files, at once or (with --speed) as a stream at the pace of their timestamps."""
    with report_errors():
        from spark_apps.demo.replay import replay as replay_files
        from spark_apps.signals import set_on_signal

        settings = load(landing=landing)
        stop = threading.Event()
        with set_on_signal(stop):
            landed = replay_files(
                files, settings, speed, lambda name, size: console.print(f"{name}: {size:,} bytes"), stop
            )
    console.print(f"{landed:,} files landed in {settings.landing}")


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
