"""The options that several commands have, and the report of an error as one message and an exit code."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from spark_apps.errors import UserError

# Progress and errors go to stderr: stdout carries only the result of a command.
console = Console(stderr=True, highlight=False)

DATA_HELP = (
    "Folder or runs:/… with <split>_text.txt and <split>_labels.txt, one tweet per line; optionally <split>_lang.txt "
    "and <split>_source.txt. Repeat the option to join folders."
)

Landing = Annotated[
    str | None, typer.Option(help="Folder or s3a://bucket/prefix of the landed files. [TWEETS_LANDING]")
]
Lake = Annotated[str | None, typer.Option(help="Folder or s3a://bucket/prefix of the Delta tables. [TWEETS_LAKE]")]
RegistryUri = Annotated[str | None, typer.Option(help="URI of the MLflow registry. [TWEETS_REGISTRY]")]
ModelRegistry = Annotated[
    str | None, typer.Option(help="URI of the MLflow registry; without it, the bundled model scores. [TWEETS_REGISTRY]")
]
Rate = Annotated[float, typer.Option(min=0.1, max=1000, help="Tweets per second; three times as many in a burst.")]
Data = Annotated[list[str], typer.Option(help=DATA_HELP)]
Language = Annotated[
    str, typer.Option(help="Language code of the tweets in folders without <split>_lang.txt, such as en.")
]
By = Annotated[str | None, typer.Option(help="User to record; by default the current user.")]
Why = Annotated[str, typer.Option(help="Reason to record.")]
Since = Annotated[str | None, typer.Option(help="First day, such as 2026-01-31; all days by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]

# Optional module → extra of pyproject.toml that installs it.
_EXTRAS = {
    **dict.fromkeys(
        [
            "boto3",
            "botocore",
            "delta",
            "deltalake",
            "numpy",
            "onnxruntime",
            "pandas",
            "prometheus_client",
            "pyarrow",
            "pyspark",
            "smart_open",
            "tokenizers",
            "yaml",
        ],
        "streams",
    ),
    **dict.fromkeys(["streamlit", "altair"], "dashboard"),
    **dict.fromkeys(["mlflow", "matplotlib"], "registry"),
    **dict.fromkeys(["torch", "transformers", "onnx", "optimum", "safetensors", "huggingface_hub"], "train"),
}


def fail(message: str, code: int = 2) -> NoReturn:
    """Print an error message and exit with `code`."""
    console.print(f"[bold red]error[/]: {escape(message)}", soft_wrap=True)
    raise typer.Exit(code)


def parse_since(since: str | None) -> date | None:
    """Return the day of the option --since, None if it is not given; exit with an error if it is not a date."""
    try:
        return date.fromisoformat(since) if since else None
    except ValueError:
        fail(f"--since {since} is not a date: write a day such as 2026-01-31")


@contextmanager
def report_errors() -> Iterator[None]:
    """Report errors of the body as one message on stderr, and exit; set up the log of the command.

    The exit code of a `UserError` is its `exit_code`. An `OSError` or a missing module exits with 2. Any other
    exception is a bug and keeps its traceback.
    """
    handler = RichHandler(console=console, show_path=False, show_level=True, log_time_format="%H:%M:%S")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("spark_apps").setLevel(logging.INFO)
    # py4j logs every exception that it raises, and the callers raise or log the exceptions that matter.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    try:
        yield
    except UserError as error:
        fail(str(error), error.exit_code)
    except OSError as error:
        if error.filename is None:
            fail(str(error))
        fail(f"{error.filename}: {error.strerror}: check that the path exists and that this user may read and write it")
    except ModuleNotFoundError as error:
        module = str(error.name).partition(".")[0]
        if module not in _EXTRAS:
            raise
        fail(f"{module} is not installed: run `uv sync --inexact --extra {_EXTRAS[module]}`")
