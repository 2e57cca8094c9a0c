"""The whole way on one machine: generator, registry, streams and dashboard, and a live view of them."""

import fcntl
import os
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from spark_apps.dashboard.launch import check_port, start_child
from spark_apps.demo.feed import feed
from spark_apps.demo.terminal import View
from spark_apps.errors import UserError
from spark_apps.registry.client import BUNDLED, Registry
from spark_apps.run import run
from spark_apps.session import check_java
from spark_apps.settings import Settings, load
from spark_apps.signals import set_on_signal

_REGISTRY_SECONDS = 60
_CHILD_SECONDS = 3


class DemoError(UserError):
    """A demo that cannot start; the text says why and what to do."""


def run_demo(home: Path, rate: float, port: int, browser: bool, console: Console) -> None:
    """Run the demo in the folder `home` until a signal; what it has done stays there, and the next run goes on.

    Raises `DemoError` when another demo runs there, `SettingsError` when the port is taken, and what `run` raises.
    """
    began = time.monotonic()
    check_java()
    with _alone(home):
        check_port("127.0.0.1", port)
        settings = load(
            landing=str(home / "landing"),
            lake=str(home / "lake"),
            registry=f"sqlite:///{(home / 'registry.db').absolute()}",
            trigger="0 seconds",
        )
        (home / "landing").mkdir(exist_ok=True)
        stop = threading.Event()
        url = f"http://127.0.0.1:{port}"
        view = View(str(settings.lake), url, began, console)
        with (
            set_on_signal(stop),
            _dashboard(settings, port, home / "dashboard.log"),
            Live(view, console=console, refresh_per_second=2, transient=True) if console.is_terminal else view.plain(),
        ):
            threads = [
                threading.Thread(target=_announce, args=(url, browser and _has_display(), view, stop)),
                threading.Thread(target=feed, args=(str(settings.landing), rate, view.on_landed, stop)),
                threading.Thread(target=view.watch, args=(stop,)),
            ]
            for thread in threads:
                thread.start()
            try:
                view.says("setting up the registry")
                version = Registry(str(settings.registry), _REGISTRY_SECONDS).ensure_production(BUNDLED)
                view.says(f"starting Spark; model version {version} is in production")
                run([], settings, once=False, on_batch=view.on_batch, stop=stop)
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
        console.print(view.farewell())


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold the demo's folder: two demos would write one lake."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise DemoError(
                f"another demo (process {lock.read().strip() or 'unknown'}) runs in {home}: end it, or choose another "
                "folder with --home"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def _dashboard(settings: Settings, port: int, log: Path) -> Iterator[None]:
    child = start_child(settings, port, log)
    try:
        yield
    finally:
        if child.stdin:
            child.stdin.close()
        try:
            child.wait(_CHILD_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _announce(url: str, browser: bool, view: View, stop: threading.Event) -> None:
    """Wait until the dashboard answers, then say so, and open it."""
    while not stop.wait(0.5):
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):  # noqa: S310 - our own server
                view.dashboard_ready = True
        except OSError:
            continue
        if browser:
            webbrowser.open(url)
        return


def _has_display() -> bool:
    if sys.platform == "darwin":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
