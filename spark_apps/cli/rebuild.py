"""`tweet-sentiment rebuild …`: compute the tables of a layer again from the tables of the layer before it."""

import json
from dataclasses import asdict

import typer

from spark_apps.cli.options import AsJson, Lake, Since, console, parse_since, report_errors
from spark_apps.settings import load

app = typer.Typer(no_args_is_help=True, help="Compute the tables of a layer again with the program of today.")


@app.command(epilog="Example: tweet-sentiment rebuild silver --lake ./lake --since 2026-01-31")
def silver(lake: Lake = None, since: Since = None, as_json: AsJson = False) -> None:
    """Read the documents of Bronze again, and correct silver/tweets and silver/quarantine. Stop Silver first.

    --since takes the documents that Bronze has read since that day. New tweets reach Gold by themselves. After changed
    or removed tweets, run `tweet-sentiment rebuild gold`. After Ctrl-C or a kill, the same command continues.
    Exit codes: 0 done, 1 stopped early or refused, 2 wrong settings or a missing requirement.
    """
    first_day = parse_since(since)
    with report_errors():
        settings = load(lake=lake)
        from spark_apps.jobs import run_job
        from spark_apps.silver.rebuild import rebuild

        done = run_job(
            settings,
            lambda spark, on_part, stop: rebuild(spark, settings, first_day, on_part, stop),
            lambda part: console.print(str(part)),
        )
    if as_json:
        print(json.dumps(asdict(done)))
    else:
        console.print(f"{done.documents:,} documents read in {done.seconds} s: {done.corrections}")
