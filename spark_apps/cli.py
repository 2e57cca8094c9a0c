"""The `tweet-sentiment` command."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from spark_apps.model.cli import app as model_app
from spark_apps.settings import LAYERS, Settings, SettingsError, load

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    help="Streaming sentiment of tweets: landing → Bronze → Silver → Gold, scored by a RoBERTa through ONNX Runtime.",
)
app.add_typer(model_app, name="model")

# Progress and errors go to stderr: stdout carries only what was asked for.
_console = Console(stderr=True, highlight=False)

Landing = Annotated[
    str | None, typer.Option(help="Folder or s3a://bucket/prefix of the landed files. [TWEETS_LANDING]")
]
Lake = Annotated[str | None, typer.Option(help="Folder or s3a://bucket/prefix of the Delta tables. [TWEETS_LAKE]")]
Registry = Annotated[
    str | None, typer.Option(help="MLflow registry; without one, the bundled model scores. [TWEETS_REGISTRY]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]


def _fail(message: str, code: int) -> NoReturn:
    _console.print(f"[bold red]error[/]: {escape(message)}")
    raise typer.Exit(code)


def _settings(**flags: Any) -> Settings:
    try:
        return load(**flags)
    except SettingsError as error:
        _fail(str(error), 2)


@app.command(
    epilog="Example: tweet-sentiment run --landing ./landing --lake ./lake --once --json",
)
def run(
    layers: Annotated[
        list[str] | None, typer.Argument(help="bronze, silver, gold: those to run; all three by default.")
    ] = None,
    landing: Landing = None,
    lake: Lake = None,
    registry: Registry = None,
    once: Annotated[bool, typer.Option("--once", help="Do all that is there, then exit.")] = False,
    trigger: Annotated[
        str | None, typer.Option(help="Pause between micro-batches, default '60 seconds'. [TWEETS_TRIGGER]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Carry tweets through the layers, until Ctrl-C or, with --once, until all is done.

    Exit codes: 0 done or stopped, 1 a stream failed, 2 settings or surroundings that cannot work.
    """
    if unknown := sorted(set(layers or []) - set(LAYERS)):
        _fail(f"{', '.join(unknown)}: no layer has this name; there are {', '.join(LAYERS)}", 2)
    if once and trigger:
        _fail("--once and --trigger contradict each other: --once does all that is there without a pause", 2)
    settings = _settings(landing=landing, lake=lake, registry=registry, trigger=trigger)

    def work() -> dict[str, Any]:
        from spark_apps.run import run as run_streams
        from spark_apps.stream import BatchReport

        def say(report: BatchReport) -> None:
            counts = ", ".join(f"{count:,} {name}" for name, count in report.counts.items() if count)
            _console.print(f"{report.stream} batch {report.batch}: {counts or 'nothing new'} in {report.seconds:.1f} s")

        return run_streams(layers or [], settings, once, say)

    result = _guarded(work)
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        quarantined = sum(result["quarantine"].values())
        _console.print(
            f"{result['documents']:,} documents: {result['silver']:,} new tweets, {result['duplicates']:,} duplicates, "
            f"{quarantined:,} in quarantine; {result['gold']:,} scored, in {result['seconds']} s"
        )


def _guarded(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run `work`; turn what can go wrong into one sentence and an exit code."""
    from spark_apps.lake import LakeError
    from spark_apps.scoring.scorer import ModelError
    from spark_apps.session import JavaError
    from spark_apps.stream import StreamError

    try:
        return work()
    except StreamError as error:
        _fail(str(error), 1)
    except (SettingsError, JavaError, LakeError, ModelError) as error:
        _fail(str(error), 2)


@app.command(epilog="Example: tweet-sentiment replay recorded/*.json.gz --landing ./landing --speed 60")
def replay(
    files: Annotated[list[Path], typer.Argument(help="Recorded files, plain or gzip.")],
    landing: Landing = None,
    speed: Annotated[
        float | None, typer.Option(help="Times faster than the tweets were written; at once by default.")
    ] = None,
) -> None:
    """Feed recorded files to the landing as a stream."""


@app.command(epilog="Example: tweet-sentiment tables --lake ./lake --json")
def tables(lake: Lake = None, as_json: AsJson = False) -> None:
    """Show the tables of a lake: rows, size, versions, newest row, lag between layers, quarantine by reason."""


def main() -> None:
    app(prog_name="tweet-sentiment")


if __name__ == "__main__":
    main()
