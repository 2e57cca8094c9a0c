"""`tweet-sentiment quality …`: check a stream against limits, acknowledge findings."""

import getpass
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from spark_apps.cli.options import AsJson, By, Lake, RegistryUri, console, report_errors
from spark_apps.registry.client import Registry
from spark_apps.settings import load

app = typer.Typer(no_args_is_help=True, help="Check a stream: freshness, throughput, quarantine, data drift.")


@app.command(epilog="Example: tweet-sentiment quality check --lake ./lake --registry http://127.0.0.1:5000")
def check(lake: Lake = None, registry: RegistryUri = None, as_json: AsJson = False) -> None:
    """Check the rows of the last hour against limits; fail while a finding is open.

    Measures how long rows wait for the next layer, the rate of tweets, the share in quarantine and, with a registry,
    the data drift of each language from the baseline of the version in production. A failed check becomes a finding,
    which the registry stores. The finding is open, and blocks `model release`, until its check passes again or a person
    acknowledges it.

    Exit codes: 0 no open finding; 3 a finding is open; 2 the check could not run. Limits:
    TWEETS_QUALITY_WINDOW_MINUTES, …_FRESHNESS_SECONDS, …_TWEETS_PER_MINUTE, …_QUARANTINE_SHARE, …_DRIFT and
    …_LEAST_TWEETS.
    """
    with report_errors():
        from spark_apps.quality.limits import load_limits
        from spark_apps.quality.render import render
        from spark_apps.quality.watch import check_lake

        limits, settings = load_limits(), load(lake=lake, registry=registry)
        (tables,) = settings.require("lake")
        report = check_lake(tables, Registry.from_settings(settings), limits)
        if as_json:
            print(json.dumps(report.to_dict(), ensure_ascii=False))
        else:
            Console(highlight=False).print(render(report))
    for finding in report.open:
        console.print(f"[bold red]finding[/] {escape(str(finding))}", soft_wrap=True)
    if report.open:
        raise typer.Exit(3)


@app.command(
    epilog="Example: tweet-sentiment quality acknowledge --registry http://127.0.0.1:5000 "
    '--why "a new source since Monday, the labels are correct"'
)
def acknowledge(
    why: Annotated[str, typer.Option(help="Reason to accept the findings, for the record.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names of findings, such as 'quarantine share'; all open findings by default."),
    ] = None,
    by: By = None,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Acknowledge findings, so that they no longer fail `quality check` or block a release.

    An acknowledgement ends when the check passes. If the check fails again, acknowledge the new finding too.
    """
    with report_errors():
        from spark_apps.quality.findings import acknowledge as acknowledge_findings

        target, user = Registry.required(load(registry=registry)), by or getpass.getuser()
        findings = acknowledge_findings(target, names or [], user, why)
        if as_json:
            print(json.dumps([finding.name for finding in findings]))
        else:
            acknowledged = ", ".join(finding.name for finding in findings)
            print(f"acknowledged: {acknowledged}" if findings else "no open findings")
