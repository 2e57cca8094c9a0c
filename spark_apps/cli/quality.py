"""`tweet-sentiment quality …`: check a stream against its limits, acknowledge what was found."""

import getpass
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from spark_apps.cli.options import AsJson, By, Lake, RegistryUri, clear_errors, console
from spark_apps.registry.client import Registry
from spark_apps.settings import load

app = typer.Typer(no_args_is_help=True, help="Watch a stream: freshness, throughput, quarantine, drift.")


@app.command(epilog="Example: tweet-sentiment quality check --lake ./lake --registry http://127.0.0.1:5000")
def check(lake: Lake = None, registry: RegistryUri = None, as_json: AsJson = False) -> None:
    """Measure what was written in the last hour; fail while something is over its limit and not acknowledged.

    How long rows wait, how many tweets come, which share is in quarantine and, with a registry, how far labels and
    texts of each language drift from the baseline of the version in production. The registry keeps the baselines, and
    what is over its limit until it has passed; `model release` is refused until then, or until it is acknowledged.

    Exit codes: 0 nothing new, 3 a finding stands that nobody has acknowledged, 2 it could not be measured. The limits
    are read from TWEETS_QUALITY_WINDOW_MINUTES, …_FRESHNESS_SECONDS, …_TWEETS_PER_MINUTE, …_QUARANTINE_SHARE, …_DRIFT
    and …_LEAST_TWEETS.
    """
    with clear_errors():
        from spark_apps.quality.limits import load_limits
        from spark_apps.quality.render import render
        from spark_apps.quality.watch import watch

        limits, settings = load_limits(), load(lake=lake, registry=registry)
        (tables,) = settings.require("lake")
        found = watch(tables, Registry.of(settings), limits)
        if as_json:
            print(json.dumps(found.to_dict(), ensure_ascii=False))
        else:
            Console(highlight=False).print(render(found))
    for finding in found.open:
        console.print(f"[bold red]found[/] {escape(str(finding))}", soft_wrap=True)
    if found.open:
        raise typer.Exit(3)


@app.command(
    epilog="Example: tweet-sentiment quality acknowledge --registry http://127.0.0.1:5000 "
    '--why "a new source since Monday, the labels are right"'
)
def acknowledge(
    why: Annotated[str, typer.Option(help="Why it may stand, as it is written down.")],
    names: Annotated[
        list[str] | None, typer.Argument(help="Findings, such as 'quarantine share'; all that stand by default.")
    ] = None,
    by: By = None,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Take note of what was found: it neither fails `quality check` nor stops a release, as long as it stands.

    What passes and comes back has to be acknowledged anew.
    """
    with clear_errors():
        from spark_apps.quality.findings import acknowledge as take_note

        found = take_note(Registry.required(load(registry=registry)), names or [], by or getpass.getuser(), why)
        if as_json:
            print(json.dumps([finding.name for finding in found]))
        else:
            print("acknowledged: " + ", ".join(finding.name for finding in found) if found else "nothing stands")
