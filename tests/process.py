"""Runs `tweet-sentiment` as a process in its own process group, which a test can kill as a whole."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from spark_apps.demo import jvm

COMMAND = [sys.executable, "-m", "spark_apps.cli.entry"]
# The JVM options of the demo: in the first minute, the second compiler takes more time than it saves.
ENVIRONMENT = {"SPARK_SUBMIT_OPTS": jvm.options()}


def run(
    *arguments: str | Path, env: dict[str, str] | None = None, seconds: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run `tweet-sentiment` until it exits."""
    return run_command([*COMMAND, *map(str, arguments)], os.environ | ENVIRONMENT | (env or {}), seconds)


def run_command(
    command: list[str], env: dict[str, str], seconds: float = 600, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command until it exits; if the test ends first, kill the command and all its children."""
    with subprocess.Popen(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


class Running:
    """`tweet-sentiment` in the background; stdout and stderr go to the file `log`."""

    def __init__(self, log: Path, *arguments: str | Path) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [*COMMAND, *map(str, arguments)],
                env=os.environ | ENVIRONMENT,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def group(self) -> int:
        """The id of the process group, with the JVM and its Python workers."""
        return self._process.pid

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def check_alive(self) -> None:
        """Fail with the output of the process if the process has exited."""
        assert self._process.poll() is None, f"the process has exited: {self.output}"

    def wait_for(self, text: str, seconds: float = 300) -> None:
        """Wait until the output contains `text`."""
        deadline = time.monotonic() + seconds
        while text not in self.output:
            self.check_alive()
            assert time.monotonic() < deadline, f"no {text!r} in the output within {seconds:.0f} s: {self.output}"
            time.sleep(0.1)

    def interrupt(self, seconds: float) -> int:
        """Press Ctrl-C; return the exit code, which must come within `seconds`."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(seconds)

    def has_exited(self) -> bool:
        return self._process.poll() is not None

    def pause(self) -> None:
        """Stop the process and all its children until `resume`, as a suspended virtual machine does."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process and all its children at once, as a power failure does."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def free_port() -> int:
    """Return a TCP port that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
