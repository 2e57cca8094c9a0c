"""The commands that erase tweets and show the state of erasures: forget and erasures."""

import json
import uuid
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console

from spark_apps.cli.options import AsJson, Lake, Landing, console, report_errors
from spark_apps.settings import load

app = typer.Typer()


@app.command(epilog='Example: tweet-sentiment forget --user 2244994945 --why "request 17" --landing ./landing')
def forget(
    why: Annotated[str, typer.Option(help="Reason to record, without personal data.")],
    tweet: Annotated[list[str] | None, typer.Option(help="Id of a tweet; repeat the option for several.")] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(help="Id of an author, or the user name if tweets have no author id; repeat for several."),
    ] = None,
    landing: Landing = None,
) -> None:
    """Request the erasure of tweets, or of all tweets of users, from every table.

    The request is a document in the landing; it has hashes instead of user ids. Running streams apply it within the
    hour. Files in the landing are not changed.
    Exit codes: 0 the request has landed, 2 an invalid id or wrong settings.
    """
    with report_errors():
        from spark_apps import storage
        from spark_apps.erasure.request import make_request

        (target,) = load(landing=landing).require("landing")
        request = make_request(tweet or [], user or [], why)
        uri = storage.put(target, f"erasure-{uuid.uuid4()}.json", json.dumps(request.to_json()).encode())
    console.print(f"{uri}: {len(request.tweets):,} tweets and {len(request.users):,} users to erase", soft_wrap=True)


@app.command(epilog="Example: tweet-sentiment erasures --lake ./lake --tweet 1800000000000000001")
def erasures(
    lake: Lake = None,
    tweet: Annotated[str | None, typer.Option(help="Show only the erasures of this tweet.")] = None,
    user: Annotated[str | None, typer.Option(help="Show only the erasures of this user.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of micro-batches with erasures to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the newest erasures: pending in some tables, applied to all tables, or complete, and since when.

    An erasure is complete when no file of the lake has the tweets, not even files of old versions.
    """
    with report_errors():
        from spark_apps.lake.erasure_report import read_erasures, render

        (location,) = load(lake=lake).require("lake")
        found = read_erasures(location, limit, tweet, user)
    if as_json:
        rows = [batch.to_dict() for batch in found]
        print(json.dumps({"erasures": rows}, ensure_ascii=False, default=datetime.isoformat))
    elif found:
        Console(highlight=False).print(render(found, location))
    else:
        console.print("no erasures")
