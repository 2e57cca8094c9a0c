"""`tweet-sentiment model …`: release, rollback, first, list and describe the versions in a registry."""

import getpass
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from spark_apps.cli.options import AsJson, By, Data, RegistryUri, Why, clear_errors, console
from spark_apps.registry.client import BUNDLED, Registry, RegistryError
from spark_apps.registry.model_uri import all_fetched, version_folder
from spark_apps.settings import MODEL_NAME, PRODUCTION, load

if TYPE_CHECKING:
    from spark_apps.model.release.release import Release

app = typer.Typer()
EXAMPLE_REGISTRY = "http://127.0.0.1:5000"


@app.command(
    epilog=f"Example: tweet-sentiment model release --model exported --data semeval --registry {EXAMPLE_REGISTRY} "
    '--why "trained on the tweets of 2026"'
)
def release(
    data: Data,
    model: Annotated[
        str | None, typer.Option(help="Folder of an exported model, or runs:/… of one; the bundled one by default.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split on which the version is judged.")] = "val",
    why: Why = "",
    by: By = None,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Register a model, stage it, let it pass the gates, and put it in production.

    Exit codes: 0 it is in production, 3 a gate refused it and production is as it was, 2 it could not be tried. The
    limits of the gates are read from TWEETS_GATE_MACRO_RECALL, …_CLASS_RECALL, …_AGREEMENT, …_AGREEMENT_INT8,
    …_LATENCY_MS and …_SMOKE.
    """
    with clear_errors():
        from spark_apps.model.release.gates import load_limits
        from spark_apps.model.release.release import release as put

        limits, who, target = load_limits(), by or getpass.getuser(), Registry.required(load(registry=registry))
        with all_fetched(target, model or str(BUNDLED), data) as (folder, tweets):
            found = put(target, Path(folder), Path(tweets), split, limits, who, why, console)
        if as_json:
            print(json.dumps(found.to_dict()))
    _tell_release(found, as_json)


def _tell_release(found: "Release", as_json: bool) -> None:
    from spark_apps.model.render import render_gates

    if not as_json:
        Console(highlight=False).print(render_gates(found.gates))
    for gate in found.refused:
        console.print(
            f"[bold red]refused[/] by the gate {gate.name}: {gate.figure:.4g}, the limit is {gate.limit:.4g} "
            f"({escape(gate.says)})",
            soft_wrap=True,
        )
    if found.refused:
        console.print(f"in production stays {found.production or 'nothing'}; version {found.version} is in staging")
        raise typer.Exit(3)
    if found.production != found.version:
        console.print(f"version {found.version} passed; version {found.production}, higher, passed meanwhile")
    console.print(f"version {found.production} is in production")


@app.command(epilog=f'Example: tweet-sentiment model rollback --registry {EXAMPLE_REGISTRY} --why "too many negatives"')
def rollback(
    to: Annotated[str | None, typer.Option(help="Version to go to; the one before production's by default.")] = None,
    why: Why = "",
    by: By = None,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Take production back to the version before; running streams follow at their next micro-batch."""
    with clear_errors():
        from spark_apps.model.release.release import rollback as take_back

        before, now = take_back(Registry.required(load(registry=registry)), to, by or getpass.getuser(), why)
        if as_json:
            print(json.dumps({"before": before, "production": now}))
        else:
            print(f"{MODEL_NAME} version {now} is in production again, instead of version {before}")


@app.command(epilog=f"Example: tweet-sentiment model first --registry {EXAMPLE_REGISTRY} --wait 300")
def first(
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for a registry that does not answer yet.")] = 0,
    registry: RegistryUri = None,
) -> None:
    """Put the model that comes with the project in production, where the registry has none there."""
    with clear_errors():
        found, until = Registry.required(load(registry=registry)), time.monotonic() + wait
        while True:
            try:
                version = found.ensure_production(BUNDLED)
                break
            except RegistryError as error:
                if time.monotonic() > until:
                    raise
                console.print(f"waiting: {escape(str(error))}", soft_wrap=True)
                time.sleep(2)
        print(f"{MODEL_NAME} version {version} is in production")


@app.command("list", epilog=f"Example: tweet-sentiment model list --registry {EXAMPLE_REGISTRY} --json")
def list_versions(registry: RegistryUri = None, as_json: AsJson = False) -> None:
    """List the registered versions, newest first, and who moved production to which of them, when and why."""
    with clear_errors():
        from spark_apps.model.render import render_versions

        versions = Registry.required(load(registry=registry)).versions()
        if as_json:
            print(json.dumps([found.to_dict() for found in versions]))
        else:
            Console(highlight=False).print(render_versions(versions))


@app.command(epilog=f"Example: tweet-sentiment model describe {PRODUCTION} --registry {EXAMPLE_REGISTRY}")
def describe(
    version: Annotated[str, typer.Argument(help=f"A version, {PRODUCTION} or staging.")] = PRODUCTION,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Say all that is known of one version: its figures, where it comes from, its moves."""
    with clear_errors():
        from spark_apps.model.render import render_version
        from spark_apps.scoring.description import Description

        found = Registry.required(load(registry=registry))
        known = found.version(version)
        with version_folder(found, known.version) as folder:
            description = Description.read(folder)
        if as_json:
            print(json.dumps({**known.to_dict(), "description": asdict(description)}))
        else:
            Console(highlight=False).print(render_version(known, description))
