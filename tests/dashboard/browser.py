"""A dashboard that runs, and a browser that shows it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver

from spark_apps.dashboard.launch import start_child
from spark_apps.settings import Settings
from tests.process import free_port
from tests.waiting import answers, until


@contextmanager
def served(settings: Settings, folder: Path, port: int) -> Iterator[None]:
    """Serve the dashboard on `port`, which must be free, with its log in `folder`."""
    server = start_child(settings, port, folder / "log")

    def is_healthy() -> bool:
        assert server.poll() is None, (folder / "log").read_text()
        return answers(f"http://127.0.0.1:{port}/_stcore/health")

    try:
        until(is_healthy, 180, "a healthy dashboard")
        yield
    finally:
        assert server.stdin
        server.stdin.close()
        server.wait(10)


@contextmanager
def browser(folder: Path) -> Iterator[webdriver.Chrome]:
    """Open a browser without cookies, with its profile in `folder`."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--window-size=1500,1300", f"--user-data-dir={tempfile.mkdtemp(dir=folder)}"):  # fmt: skip
        options.add_argument(argument)
    with webdriver.Chrome(options) as opened:
        yield opened


@contextmanager
def page(settings: Settings, folder: Path) -> Iterator[webdriver.Chrome]:
    """Serve the dashboard and open it in a browser."""
    port = free_port()
    with served(settings, folder, port), browser(folder) as opened:
        opened.get(f"http://127.0.0.1:{port}")
        yield opened
