"""Reserves the terminal for the demo: the output of the JVM, the Python workers and MLflow goes to a log file."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from spark_apps.dashboard.startup import MODEL, Startup


@contextmanager
def redirect_output(console: Console, log: Path, startup: Startup) -> Iterator[None]:
    """Send stdout and stderr of this process and its children to `log`; `console` and warnings keep the terminal.

    Args:
        console: console of the terminal.
        log: file for the output; replaced if it exists.
        startup: start of the demo; see `_Warnings`.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {number: os.dup(number) for number in (1, 2)}
    handlers, warnings_only = logging.getLogger().handlers[:], _Warnings(startup)
    with log.open("wb") as output, os.fdopen(os.dup(2), "w", encoding="utf-8") as terminal:
        for number in saved:
            os.dup2(output.fileno(), number)
        console.file = terminal
        for handler in handlers:
            handler.addFilter(warnings_only)
        to_log = logging.StreamHandler(sys.stderr)
        logging.getLogger().addHandler(to_log)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            logging.getLogger().removeHandler(to_log)
            for handler in handlers:
                handler.removeFilter(warnings_only)
            console.file = sys.stderr
            for number, descriptor in saved.items():
                os.dup2(descriptor, number)
                os.close(descriptor)


class _Warnings(logging.Filter):
    """Passes warnings once the model is registered: until then, Gold normally warns that it waits for a model."""

    def __init__(self, startup: Startup) -> None:
        super().__init__()
        self._startup = startup

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING and MODEL.key in self._startup.done
