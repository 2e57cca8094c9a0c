"""Starts the dashboard's server: in this process, or as a child process that ends with its parent."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from spark_apps.dashboard.login_settings import login_settings
from spark_apps.dashboard.startup import FILE_ENV
from spark_apps.settings import Settings, SettingsError, load

_APP = Path(__file__).with_name("app.py")
# The settings that the command passes to the dashboard in its environment.
_PASSED = ("lake", "landing", "registry", "labelling")
_STREAMLIT_OPTIONS = {
    "server.headless": True,
    "server.fileWatcherType": "none",
    "server.enableStaticServing": False,
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "theme.base": "light",
    "theme.primaryColor": "#1f6f8b",
    "theme.backgroundColor": "#ffffff",
    "theme.secondaryBackgroundColor": "#f4f6f8",
    "theme.textColor": "#1d2733",
    "theme.font": "sans-serif",
}


def check_port(address: str, port: int) -> None:
    """Raise `SettingsError` if the dashboard cannot listen on `address` and `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise SettingsError(
                f"the dashboard cannot listen on {address}:{port} ({error.strerror}): choose another port "
                f"(--port {port + 1}, or make run PORT={port + 1})"
            ) from None


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment variables from which the dashboard reads its settings."""
    values = {f"TWEETS_{name.upper()}": getattr(settings, name) for name in _PASSED}
    return {name: str(value) for name, value in values.items() if value is not None}


def serve(settings: Settings, address: str, port: int) -> None:
    """Serve the dashboard until a signal ends the process.

    Raises:
        SettingsError: the settings of the login are incomplete or invalid.
    """
    from streamlit.web import bootstrap

    login = login_settings()
    os.environ |= environment(settings)
    options: dict[str, Any] = _STREAMLIT_OPTIONS | {"server.address": address, "server.port": port}
    with tempfile.TemporaryDirectory(prefix="tweet-sentiment-") as private:
        if login:
            options["secrets.files"] = [str(login.write_secrets(Path(private)))]
        bootstrap.load_config_options({name.replace(".", "_"): value for name, value in options.items()})
        bootstrap.run(str(_APP), False, [], {})


def start_child(settings: Settings, port: int, log: Path, startup: Path | None = None) -> subprocess.Popen[bytes]:
    """Start the dashboard on 127.0.0.1 as a child process.

    The child ends when its stdin is closed, and therefore when its parent dies. It runs in its own session: Ctrl-C in
    the terminal reaches only the parent, which ends the child last.

    Args:
        settings: lake, landing and registry.
        port: port to listen on.
        log: file for the output of the child.
        startup: file in which a demo records its start, see `Startup`; None outside a demo.
    """
    environ = os.environ | environment(settings) | ({FILE_ENV: str(startup)} if startup else {})
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - a fixed command
            [sys.executable, "-m", "spark_apps.dashboard.launch", str(port)],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _end_with_stdin() -> None:
    """End this process once its stdin is closed."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    serve(load(), "127.0.0.1", int(sys.argv[1]))
