"""Keeps the terminal for the demo: the output of the JVM, the Python workers and MLflow goes to a log file."""

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
    """Send stdout and stderr of this process and its children to `log`, all but `console` and its warnings."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {number: os.dup(number) for number in (1, 2)}
    handlers = logging.getLogger().handlers[:]
    with log.open("wb") as output, os.fdopen(os.dup(2), "w", encoding="utf-8") as terminal:
        for number in saved:
            os.dup2(output.fileno(), number)
        console.file = terminal
        for handler in handlers:
            handler.addFilter(_Warnings(startup))
        to_log = logging.StreamHandler(sys.stderr)
        logging.getLogger().addHandler(to_log)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            logging.getLogger().removeHandler(to_log)
            console.file = sys.stderr
            for number, descriptor in saved.items():
                os.dup2(descriptor, number)
                os.close(descriptor)


class _Warnings(logging.Filter):
    """Passes warnings. Until the model is registered, Gold warns that it waits for a model: the view shows that."""

    def __init__(self, startup: Startup) -> None:
        super().__init__()
        self._startup = startup

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING and MODEL.key in self._startup.done
