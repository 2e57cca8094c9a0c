"""`tweet-sentiment rebuild …`: compute the tables of a layer again from the layer before it."""

import json
from typing import Annotated

import typer

from spark_apps.cli.options import AsJson, Lake, ModelRegistry, console, parse_since, report_errors
from spark_apps.settings import load

app = typer.Typer(no_args_is_help=True, help="Compute the tables of a stopped layer again, with this version.")


@app.command(epilog="Example: tweet-sentiment rebuild gold --lake ./lake --since 2026-01-31")
def gold(
    lake: Lake = None,
    registry: ModelRegistry = None,
    since: Annotated[
        str | None, typer.Option(help="Compare only tweets posted since this day, such as 2026-01-31; all by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Correct gold/sentiment by silver/tweets, then trends and mentions by gold/sentiment. Stop Gold first.

    Only missing and changed texts are scored, with the model in production; all other rows keep their labels.
    After Ctrl-C or a kill, the same command continues where the rebuild stopped.
    Exit codes: 0 done, 1 stopped early or no model in production, 2 wrong settings or a missing requirement.
    """
    first = parse_since(since)
    with report_errors():
        settings = load(lake=lake, registry=registry)
        from spark_apps.gold.rebuild import run as run_rebuild

        done = run_rebuild(settings, first, lambda part: console.print(str(part)))
    if as_json:
        print(json.dumps(vars(done)))
    else:
        console.print(
            f"{done.tweets:,} tweets of gold/sentiment rewritten, {done.moved:,} moved to another hour, "
            f"{done.deleted:,} rows deleted; replaced aggregates: {', '.join(done.aggregates) or 'none'}; "
            f"in {done.seconds} s"
        )
