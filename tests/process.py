"""The command as a process of its own, in a process group that a test can end whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMAND = [sys.executable, "-m", "spark_apps.cli.main"]
# A JVM that lives for seconds spends more on its best code than that code gives back.
ENVIRONMENT = {"SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}


def run(
    *arguments: str | Path, env: dict[str, str] | None = None, seconds: float = 280
) -> subprocess.CompletedProcess[str]:
    """Run `tweet-sentiment` to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=os.environ | ENVIRONMENT | (env or {}),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


class Running:
    """`tweet-sentiment` in the background; its output goes to the file `log`."""

    def __init__(self, log: Path, *arguments: str | Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*COMMAND, *map(str, arguments)],
                env=os.environ | ENVIRONMENT,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_for(self, text: str, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.said:
            assert self._process.poll() is None, f"it ended: {self.said}"
            assert time.monotonic() < deadline, f"{text!r} never came: {self.said}"
            time.sleep(0.1)

    def interrupt(self, seconds: float) -> int:
        """Press Ctrl-C; return the exit code, which must come within `seconds`."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(seconds)

    def kill(self) -> None:
        """Kill it and all that it started, as a machine that loses its power does."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
