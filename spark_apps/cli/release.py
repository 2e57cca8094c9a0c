"""`tweet-sentiment model …`: the commands for the versions in a registry: release, rollback, shadow, first, …"""

import getpass
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from spark_apps.cli.labelled import fetch_tweets
from spark_apps.cli.options import AsJson, By, Data, Lake, Language, RegistryUri, Why, console, report_errors
from spark_apps.registry.client import BUNDLED, Registry
from spark_apps.registry.model_uri import fetch_folder, fetch_version, find_version, is_version
from spark_apps.registry.production import ensure_production
from spark_apps.registry.requests import RegistryError
from spark_apps.scoring.description import UNDETERMINED
from spark_apps.settings import MODEL_NAME, PRODUCTION, SHADOW, SettingsError, load

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
    language: Language = UNDETERMINED,
    model: Annotated[
        str | None,
        typer.Option(
            help="Exported model: a folder or runs:/…; or a registered version such as "
            f"models:/{MODEL_NAME}@{SHADOW}; by default the bundled model."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Split on which the gates judge the version.")] = "val",
    shadow_first: Annotated[
        bool, typer.Option(help="Make the version the shadow version if it passes, instead of releasing it.")
    ] = False,
    why: Why = "",
    by: By = None,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Register a model in staging, run the gates, and put the version in production if it passes all of them.

    Exit codes: 0 the version is in production; 3 a gate refused it, and production is unchanged; 2 the release could
    not run. Limits of the gates: TWEETS_GATE_MACRO_RECALL, …_CLASS_RECALL, …_AGREEMENT, …_AGREEMENT_INT8, …_LATENCY_MS,
    …_LANGUAGE_TWEETS, …_SMOKE and …_SHADOW_TWEETS.
    """
    with report_errors():
        from spark_apps.model.release.gates import load_limits
        from spark_apps.model.release.release import release as release_model

        limits, user, settings = load_limits(), by or getpass.getuser(), load(registry=registry)
        target, source = Registry.required(settings), model or str(BUNDLED)
        with fetch_folder(source, target) as folder, fetch_tweets(target, data, language) as tweets:
            candidate = find_version(source, target)[1] if is_version(source) else Path(folder)
            result = release_model(
                target, candidate, tweets, split, limits, user, why, console, shadow_first, settings.lake
            )
        if as_json:
            print(json.dumps(result.to_dict()))
    _report_release(result, as_json)


def _report_release(result: "Release", as_json: bool) -> None:
    """Print the gates and the version in production; exit with 3 if a gate refused the version."""
    from spark_apps.model.render import render_gates

    if not as_json:
        Console(highlight=False).print(render_gates(result.gates))
    for gate in result.refused:
        console.print(
            f"[bold red]refused[/] by the gate {gate.name}: {gate.figure:.4g}, the limit is {gate.limit:.4g} "
            f"({escape(gate.says)})",
            soft_wrap=True,
        )
    if result.refused:
        production = f"version {result.production} stays" if result.production else "no version is"
        console.print(f"{production} in production; version {result.version} is in staging")
        raise typer.Exit(3)
    if result.is_shadow:
        console.print(
            f"version {result.version} is the shadow version: `model list` shows how it labels the stream; to release "
            f"it, pass --model models:/{MODEL_NAME}@{SHADOW}"
        )
        return
    if result.production != result.version:
        console.print(
            f"version {result.version} passed, but version {result.production} is higher and passed meanwhile"
        )
    console.print(f"version {result.production} is in production")


@app.command(epilog=f'Example: tweet-sentiment model rollback --registry {EXAMPLE_REGISTRY} --why "too many negatives"')
def rollback(
    to: Annotated[
        str | None, typer.Option(help="Version to return to; by default the next lower version that passed.")
    ] = None,
    why: Why = "",
    by: By = None,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Move production back to an earlier version; running streams use it from their next micro-batch on."""
    with report_errors():
        from spark_apps.model.release.release import rollback as roll_back

        before, now = roll_back(Registry.required(load(registry=registry)), to, by or getpass.getuser(), why)
        if as_json:
            print(json.dumps({"before": before, "production": now}))
        else:
            print(f"{MODEL_NAME} version {now} is in production again and replaces version {before}")


@app.command(epilog=f"Example: tweet-sentiment model shadow 7 --registry {EXAMPLE_REGISTRY}")
def shadow(
    version: Annotated[str | None, typer.Argument(help="Number of a version, or staging.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Stop scoring with the shadow version.")] = False,
    registry: RegistryUri = None,
) -> None:
    """Let a version score a share of the tweets beside production, into the table gold/shadow.

    Gold labels are not affected. The share is TWEETS_SHADOW_SHARE of the streams; `model list` shows the figures.
    """
    with report_errors():
        from spark_apps.registry.shadow import clear_shadow, set_shadow

        if (version is None) != clear:
            raise SettingsError("pass either a version or --clear")
        target = Registry.required(load(registry=registry))
        if version is None:
            clear_shadow(target)
            print(f"no version of {MODEL_NAME} is the shadow version")
        else:
            print(f"{MODEL_NAME} version {set_shadow(target, version)} is the shadow version")


@app.command(epilog=f"Example: tweet-sentiment model first --registry {EXAMPLE_REGISTRY} --wait 300")
def first(
    wait: Annotated[float, typer.Option(min=0, help="Seconds to keep trying while the registry does not answer.")] = 0,
    registry: RegistryUri = None,
) -> None:
    """Put the bundled model in production, unless the registry already has a version in production."""
    with report_errors():
        target, deadline = Registry.required(load(registry=registry)), time.monotonic() + wait
        while True:
            try:
                version = ensure_production(target, BUNDLED)
                break
            except RegistryError as error:
                if time.monotonic() > deadline:
                    raise
                console.print(f"waiting: {escape(str(error))}", soft_wrap=True)
                time.sleep(2)
        print(f"{MODEL_NAME} version {version} is in production")


@app.command("list", epilog=f"Example: tweet-sentiment model list --registry {EXAMPLE_REGISTRY} --json")
def list_versions(registry: RegistryUri = None, lake: Lake = None, as_json: AsJson = False) -> None:
    """List the versions and the moves of production with time, user and reason, newest first.

    For the shadow version, also show how its labels differ from those of production. The figures come from the lake
    or, without one, from the last `quality check`.
    """
    with report_errors():
        from spark_apps.model.render import render_shadow, render_versions
        from spark_apps.quality.shadow import shadow_figures

        settings = load(registry=registry, lake=lake)
        versions = Registry.required(settings).versions()
        figures = {v.version: shadow_figures(v, settings.lake) for v in versions if SHADOW in v.aliases}
        if as_json:
            shadow = {number: each.to_dict() if each else None for number, each in figures.items()}
            print(json.dumps([{**v.to_dict(), "shadow": shadow.get(v.version)} for v in versions]))
        else:
            view = Console(highlight=False)
            view.print(render_versions(versions))
            for number, each in figures.items():
                view.print(render_shadow(number, each))


@app.command(epilog=f"Example: tweet-sentiment model describe {PRODUCTION} --registry {EXAMPLE_REGISTRY}")
def describe(
    version: Annotated[str, typer.Argument(help=f"Number of a version, {PRODUCTION} or staging.")] = PRODUCTION,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Show a version: state, figures, provenance, and the moves of production to it."""
    with report_errors():
        from spark_apps.model.render import render_version
        from spark_apps.scoring.description import Description

        target = Registry.required(load(registry=registry))
        registered = target.version(version)
        with fetch_version(target, registered.version) as folder:
            description = Description.read(folder)
        if as_json:
            print(json.dumps({**registered.to_dict(), "description": asdict(description)}))
        else:
            Console(highlight=False).print(render_version(registered, description))
