"""Runs the whole pipeline on one machine: generator, registry, streams and dashboard."""

import fcntl
import os
import subprocess
import sys
import threading
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from spark_apps.dashboard.launch import check_port, start_child
from spark_apps.dashboard.startup import Startup
from spark_apps.demo.output import redirect_output
from spark_apps.demo.parallel_start import Registration, load_model, start_spark
from spark_apps.demo.terminal import TerminalView
from spark_apps.errors import UserError
from spark_apps.settings import Settings, load
from spark_apps.signals import set_on_signal

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_DASHBOARD_SECONDS = 3
_POLL_SECONDS = 0.1


class DemoError(UserError):
    """The demo cannot start; the message says why and what to do."""


def run_demo(home: Path, rate: float, port: int, browser: bool, console: Console) -> None:
    """Run the demo until SIGINT or SIGTERM; the next run in the same folder continues with the same data.

    Args:
        home: folder of the landing, the lake, the registry and the logs; created if it is missing.
        rate: tweets per second; three times as many in a burst.
        port: port of the dashboard on 127.0.0.1.
        browser: whether to open the dashboard in a browser.
        console: console for progress and errors.

    Raises:
        DemoError: another demo runs in `home`.
        SettingsError: the port is in use.
        JavaError: Java is missing, or Spark does not support its version.
        StreamError: a streaming query has failed.
        RegistryError: the model cannot be registered.
    """
    stop = threading.Event()
    with set_on_signal(stop), _exclusive(home):
        check_port("127.0.0.1", port)
        settings = load(
            landing=str(home / "landing"),
            lake=str(home / "lake"),
            registry=f"sqlite:///{(home / 'registry.db').absolute()}",
            trigger="0 seconds",
            labelling=True,
        )
        (home / "landing").mkdir(exist_ok=True)
        startup = Startup(file=home / "startup.json")
        startup.write()
        view = TerminalView(str(settings.lake), f"http://127.0.0.1:{port}", startup, console)
        # Without redirection by `Live`, which would write MLflow's output to the terminal instead of the log.
        live = Live(
            view, console=console, refresh_per_second=2, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        with (
            redirect_output(console, home / "demo.log", startup),
            _dashboard(settings, port, home),
            live if console.is_terminal else view.plain(),
        ):
            _run(settings, rate, browser and _has_display(), view, stop)
        console.print(view.farewell(), soft_wrap=True)
        if not startup.is_complete:
            # A normal exit could hang: neither MLflow nor a starting Spark can be interrupted.
            os._exit(0)


def _run(settings: Settings, rate: float, browser: bool, view: TerminalView, stop: threading.Event) -> None:
    """Run generator, registration and streams in parallel until `stop`."""
    # Importing Spark takes seconds: only import it once a signal ends the demo without a traceback.
    from spark_apps.demo import jvm

    jvm.set_options()
    spark_start = threading.Thread(target=start_spark, args=(settings,), daemon=True)
    spark_start.start()
    from spark_apps.demo.feed import feed
    from spark_apps.run import run

    labelled = threading.Event()
    view.on_labelled = labelled.set
    registration = Registration(str(settings.registry), view, stop)
    threads = [
        threading.Thread(target=_announce, args=(browser, view, stop)),
        threading.Thread(target=feed, args=(str(settings.landing), rate, view.on_landed, stop, labelled)),
        threading.Thread(target=view.watch, args=(stop,)),
    ]
    for thread in (registration, *threads):
        thread.start()

    def on_session(spark: "SparkSession") -> None:
        view.finish("spark")
        threading.Thread(target=load_model, args=(spark, view), daemon=True).start()

    try:
        # A starting Spark cannot be interrupted. A stop does not wait for it, because the JVM ends with this process.
        while spark_start.is_alive() and not stop.wait(_POLL_SECONDS):
            pass
        if not stop.is_set():
            run([], settings, once=False, on_batch=view.on_batch, stop=stop, on_session=on_session)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if registration.error is not None:
        raise registration.error


@contextmanager
def _exclusive(home: Path) -> Iterator[None]:
    """Lock `home` against a second demo, which would write to the same lake; raise `DemoError` if one runs."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise DemoError(
                f"another demo (process {lock.read().strip() or 'unknown'}) runs in {home}: stop it, or choose another "
                "folder with --home"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def _dashboard(settings: Settings, port: int, home: Path) -> Iterator[None]:
    """Run the dashboard as a child process while the body runs."""
    child = start_child(settings, port, home / "dashboard.log", home / "startup.json")
    try:
        yield
    finally:
        if child.stdin:
            child.stdin.close()
        try:
            child.wait(_DASHBOARD_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _announce(browser: bool, view: TerminalView, stop: threading.Event) -> None:
    """Wait until the dashboard answers, then show that it is ready. If `browser` is true, open it in a browser."""
    while not stop.wait(0.5):
        try:
            with urllib.request.urlopen(f"{view.url}/_stcore/health", timeout=2):  # noqa: S310 - our own server
                view.dashboard_ready = True
        except OSError:
            continue
        if browser:
            webbrowser.open(view.url)
        return


def _has_display() -> bool:
    if sys.platform == "darwin":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
