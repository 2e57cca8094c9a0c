"""The entrypoint of the Spark image, with a stand-in for Java."""

import os
import socket
import subprocess
import time
from pathlib import Path

from tests.process import free_port

ENTRYPOINT = Path(__file__).parents[1] / "docker" / "spark-entrypoint.sh"


def test_an_executor_starts_once_the_driver_accepts_connections(tmp_path: Path) -> None:
    """A network plugin may refuse the connections of a new pod during its first seconds."""
    java = tmp_path / "java"
    java.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    java.chmod(0o755)
    port = free_port()
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SPARK_DRIVER_URL": f"spark://CoarseGrainedScheduler@127.0.0.1:{port}",
        "SPARK_EXECUTOR_MEMORY": "512m",
        "SPARK_JAVA_OPT_0": "-Dspark.authenticate=true",
        **dict.fromkeys(
            [
                "SPARK_EXECUTOR_ID", "SPARK_EXECUTOR_CORES", "SPARK_APPLICATION_ID", "SPARK_EXECUTOR_POD_IP",
                "SPARK_RESOURCE_PROFILE_ID", "SPARK_EXECUTOR_POD_NAME",
            ],
            "1",
        ),
    }  # fmt: skip
    command = ["bash", str(ENTRYPOINT), "executor"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as executor:
        time.sleep(2)
        assert executor.poll() is None, "the executor did not wait for the driver"
        with socket.create_server(("127.0.0.1", port)):
            output, _ = executor.communicate(timeout=30)
    assert executor.returncode == 0
    assert output.splitlines()[:3] == ["-Dspark.authenticate=true", "-Xms512m", "-Xmx512m"]
    assert f"spark://CoarseGrainedScheduler@127.0.0.1:{port}" in output
