"""What the commands have in common: their options, and errors as one sentence and an exit code."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from spark_apps.errors import UserError

# Progress and errors go to stderr: stdout carries only what was asked for.
console = Console(stderr=True, highlight=False)

DATA_HELP = "Folder, or runs:/… of one, with <split>_text.txt and <split>_labels.txt, one tweet a line."

Landing = Annotated[
    str | None, typer.Option(help="Folder or s3a://bucket/prefix of the landed files. [TWEETS_LANDING]")
]
Lake = Annotated[str | None, typer.Option(help="Folder or s3a://bucket/prefix of the Delta tables. [TWEETS_LAKE]")]
RegistryUri = Annotated[str | None, typer.Option(help="URI of the MLflow registry. [TWEETS_REGISTRY]")]
Data = Annotated[str, typer.Option(help=DATA_HELP)]
By = Annotated[str | None, typer.Option(help="Who does it, as it is written down; the user by default.")]
Why = Annotated[str, typer.Option(help="Why, as it is written down.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]

# The extra that brings each module which a command may find missing.
_EXTRAS = {
    **dict.fromkeys(["pyspark", "delta", "deltalake", "onnxruntime", "tokenizers", "pyarrow", "numpy"], "streams"),
    **dict.fromkeys(["streamlit", "altair"], "dashboard"),
    **dict.fromkeys(["mlflow", "matplotlib"], "registry"),
    **dict.fromkeys(["torch", "transformers", "onnx", "optimum", "safetensors", "huggingface_hub"], "train"),
}


def fail(message: str, code: int = 2) -> NoReturn:
    console.print(f"[bold red]error[/]: {escape(message)}", soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn what a person can mend into one sentence and an exit code; show warnings as a person reads them.

    The code is the error's own, or 2 for what the surroundings lack. Anything else is a fault of this program, and
    keeps its traceback.
    """
    shown = RichHandler(console=console, show_path=False, show_level=True, log_time_format="%H:%M:%S")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[shown])
    logging.getLogger("spark_apps").setLevel(logging.INFO)
    # It tells of each exception that it hands on; the one who gets it decides what is told.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    try:
        yield
    except UserError as error:
        fail(str(error), error.exit_code)
    except OSError as error:
        fail(str(error))
    except ModuleNotFoundError as error:
        module = str(error.name).partition(".")[0]
        if module not in _EXTRAS:
            raise
        fail(f"{module} is not installed: run `uv sync --inexact --extra {_EXTRAS[module]}`")
