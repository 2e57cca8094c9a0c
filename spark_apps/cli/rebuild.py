"""`tweet-sentiment rebuild …`: compute the tables of a layer again from the layer before it."""

import json
from dataclasses import asdict

import typer

from spark_apps.cli.options import AsJson, Lake, ModelRegistry, Since, console, parse_since, report_errors
from spark_apps.settings import load

app = typer.Typer(no_args_is_help=True, help="Compute the tables of a stopped layer again.")


@app.command(epilog="Example: tweet-sentiment rebuild silver --lake ./lake --since 2026-01-31")
def silver(lake: Lake = None, since: Since = None, as_json: AsJson = False) -> None:
    """Make silver/tweets and silver/quarantine match the documents of Bronze. Stop Silver first.

    The documents are read with the current parser and the currently declared formats. --since limits the rebuild to
    documents that Bronze has read since that day. New tweets reach Gold by themselves. After changed or removed tweets,
    run `tweet-sentiment rebuild gold`.
    After Ctrl-C or a kill, the same command continues where the rebuild stopped.
    Exit codes: 0 done, 1 stopped early or refused, 2 wrong settings or a missing requirement.
    """
    first_day = parse_since(since)
    with report_errors():
        settings = load(lake=lake)
        from spark_apps.jobs import run_job
        from spark_apps.silver.rebuild import rebuild

        done = run_job(
            settings,
            "rebuilt",
            lambda spark, on_part, stop: rebuild(spark, settings, first_day, on_part, stop),
            lambda part: console.print(str(part)),
        )
    if as_json:
        print(json.dumps(asdict(done), default=str))
    else:
        console.print(f"{done.documents:,} documents read in {done.seconds} s: {done.corrections}")
        if done.documents_since:
            console.print(
                f"Bronze has documents since {done.documents_since} (TWEETS_BRONZE_DAYS): rows of earlier documents "
                "are unchanged"
            )


@app.command(epilog="Example: tweet-sentiment rebuild gold --lake ./lake --since 2026-01-31")
def gold(lake: Lake = None, registry: ModelRegistry = None, since: Since = None, as_json: AsJson = False) -> None:
    """Make gold/sentiment match silver/tweets, then count trends and mentions again. Stop Gold first.

    Only missing and changed texts are scored, with the model in production; all other rows keep their labels. --since
    limits the rebuild to tweets that were posted since that day.
    After Ctrl-C or a kill, the same command continues where the rebuild stopped.
    Exit codes: 0 done, 1 stopped early or no model in production, 2 wrong settings or a missing requirement.
    """
    first_day = parse_since(since)
    with report_errors():
        settings = load(lake=lake, registry=registry)
        from spark_apps.gold.rebuild import rebuild
        from spark_apps.jobs import run_job

        done = run_job(
            settings,
            "rebuilt",
            lambda spark, on_part, stop: rebuild(spark, settings, first_day, on_part, stop),
            lambda part: console.print(str(part)),
        )
    if as_json:
        print(json.dumps(vars(done)))
    else:
        console.print(
            f"{done.tweets:,} tweets of gold/sentiment rewritten, {done.moved:,} moved to another hour, "
            f"{done.deleted:,} rows deleted; replaced aggregates: {', '.join(done.aggregates) or 'none'}; "
            f"in {done.seconds} s"
        )
