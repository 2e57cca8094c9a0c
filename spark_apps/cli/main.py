"""The `tweet-sentiment` command."""

from pathlib import Path
from typing import Annotated

import typer

from spark_apps.cli.backup import app as backup_app
from spark_apps.cli.erasure import app as erasure_app
from spark_apps.cli.landing import app as landing_app
from spark_apps.cli.model import app as model_app
from spark_apps.cli.options import Lake, ModelRegistry, Rate, console, report_errors
from spark_apps.cli.quality import app as quality_app
from spark_apps.cli.quarantine import app as quarantine_app
from spark_apps.cli.rebuild import app as rebuild_app
from spark_apps.cli.streams import app as streams_app
from spark_apps.settings import load

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    help="Streaming sentiment of tweets: landing → Bronze → Silver → Gold, scored by RoBERTa in ONNX Runtime.",
)
# Without a name, their commands are commands of `tweet-sentiment` itself.
app.add_typer(streams_app)
app.add_typer(landing_app)
app.add_typer(erasure_app)
app.add_typer(backup_app)
app.add_typer(model_app, name="model")
app.add_typer(quality_app, name="quality")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(rebuild_app, name="rebuild")

Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of the dashboard.")]


@app.command(epilog="Example: tweet-sentiment demo --home .demo --rate 20")
def demo(
    home: Annotated[Path, typer.Option(help="Folder of the landing, lake, registry and logs.")] = Path(".demo"),
    rate: Rate = 10,
    port: Port = 8501,
    browser: Annotated[bool, typer.Option(help="Open the dashboard in a browser on this machine.")] = True,
) -> None:
    """Run the whole pipeline on this machine: generated tweets, registry, streams and dashboard.

    Ctrl-C finishes the running batch and stops; the same command then continues with the same data.
    Exit codes: 0 stopped, 1 a stream failed, 2 wrong settings or a missing requirement.
    """
    with report_errors():
        from spark_apps.demo.app import run_demo

        run_demo(home, rate, port, browser, console)


@app.command(epilog="Example: tweet-sentiment dashboard --lake s3a://tweets/lake --port 8501")
def dashboard(
    lake: Lake = None,
    registry: ModelRegistry = None,
    landing: Annotated[
        str | None,
        typer.Option(help="Landing for tweets typed into the page; without it, the page has no form. [TWEETS_LANDING]"),
    ] = None,
    labelling: Annotated[
        bool | None,
        typer.Option("--labelling/--no-labelling", help="Let people label tweets on the page. [TWEETS_LABELLING]"),
    ] = None,
    port: Port = 8501,
    address: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all addresses.")] = "127.0.0.1",
) -> None:
    """Serve the dashboard of a lake until Ctrl-C."""
    with report_errors():
        settings = load(lake=lake, registry=registry, landing=landing, labelling=labelling)
        from spark_apps.dashboard.launch import check_port, serve

        settings.require("lake")
        check_port(address, port)
        serve(settings, address, port)


def main() -> None:
    app(prog_name="tweet-sentiment")


if __name__ == "__main__":
    main()
