"""`tweet-sentiment quarantine …`: the rejected records of a lake, by reason and one by one."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from spark_apps.cli.options import AsJson, Lake, Since, console, fail, parse_since, report_errors
from spark_apps.settings import load
from spark_apps.tables import REASONS

app = typer.Typer(no_args_is_help=True, help="Show the records that Silver has rejected and why, or read them again.")


@app.command("list", epilog="Example: tweet-sentiment quarantine list --lake ./lake")
def list_reasons(lake: Lake = None, as_json: AsJson = False) -> None:
    """List the reasons in the quarantine: explanation, rows, time of the newest row, and its file.

    Exit codes: 0 done, 2 wrong settings or a lake that is not readable.
    """
    with report_errors():
        from spark_apps.lake.quarantine import summarise

        (location,) = load(lake=lake).require("lake")
        reasons = summarise(location)
    if as_json:
        _print_json({"lake": location, "reasons": [asdict(reason) for reason in reasons]})
        return
    for reason in reasons:
        print("\n".join(reason.lines()))
    if not reasons:
        console.print("the quarantine is empty")


@app.command(epilog="Example: tweet-sentiment quarantine show --lake ./lake --reason not_json --limit 3")
def show(
    reason: Annotated[str, typer.Option(help="Reason of the rejection, as `list` shows it.")],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of rows.")] = 10,
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """Show the newest rows with a reason: file, explanation, and the beginning of the rejected text.

    Control characters are escaped. The table silver/quarantine has the whole text.
    Exit codes: 0 done, 2 wrong settings, an unknown reason, or a lake that is not readable.
    """
    with report_errors():
        from spark_apps.lake.quarantine import explain, newest_rows

        (location,) = load(lake=lake).require("lake")
        rows = newest_rows(location, reason, limit)
    if not rows and reason not in REASONS:
        fail(f"unknown reason {reason}: the reasons are {', '.join(sorted(REASONS))}")
    if as_json:
        fields = {"reason": reason, "explanation": explain(reason), "rows": [asdict(row) for row in rows]}
        _print_json({"lake": location, **fields})
        return
    for row in rows:
        print("\n".join(row.lines()))
    if not rows:
        console.print(f"no rows with the reason {reason}, {explain(reason)}", soft_wrap=True)


@app.command(epilog="Example: tweet-sentiment quarantine replay --lake ./lake --reason not_a_tweet --reason bad_time")
def replay(
    reason: Annotated[list[str], typer.Option(help="Reason of the rows to read again; repeat the option for several.")],
    since: Since = None,
    lake: Lake = None,
    as_json: AsJson = False,
) -> None:
    """Read quarantined records again with the current parser and formats. Stop Silver first.

    Tweets move to silver/tweets, and Gold labels them. All other rows stay. After Ctrl-C or a kill, the same command
    continues.
    Exit codes: 0 done, 1 stopped early or refused, 2 wrong settings or a missing requirement.
    """
    first_day = parse_since(since)
    with report_errors():
        settings = load(lake=lake)
        from spark_apps.jobs import run_job
        from spark_apps.silver.replay import replay as replay_rows

        moved = run_job(
            settings,
            "replayed",
            lambda spark, on_part, stop: replay_rows(spark, settings, reason, first_day, on_part, stop),
            lambda part: console.print(str(part)),
        )
    if as_json:
        _print_json(asdict(moved))
    else:
        console.print(str(moved))


def _print_json(value: object) -> None:
    # In ASCII: the texts may have control sequences of a terminal.
    print(json.dumps(value, default=datetime.isoformat))
