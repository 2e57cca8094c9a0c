"""The product on a cluster, as a person has it: helm, kubectl, and what its pods say."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHART = Path(__file__).parents[2] / "helm" / "tweet-sentiment"
RELEASE = "tweet-sentiment"
LAYERS = ("bronze", "silver", "gold")


def call(*command: str, check: bool = True, stdin: str | None = None, seconds: float = 300) -> str:
    """Run a command; return what it prints, or fail with what it says."""
    done = subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=seconds, check=False)
    if check:
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout if check else done.stdout + done.stderr


@dataclass(frozen=True)
class Product:
    """One installation: its namespace, and that of its streams."""

    platform: str
    streams: str

    def kubectl(self, *arguments: str, platform: bool = False, **options: Any) -> str:
        return call("kubectl", "-n", self.platform if platform else self.streams, *arguments, **options)

    def get(self, *arguments: str, platform: bool = False) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json", platform=platform))

    def helm(self, verb: str, *arguments: str, seconds: float = 900) -> str:
        return call("helm", verb, RELEASE, *arguments, "--namespace", self.platform, seconds=seconds)

    def land(self, tweets: int, seed: int) -> dict[str, Any]:
        """Land made-up tweets from the dashboard's pod; return what must become of them."""
        said = self.kubectl(
            "exec",
            "deploy/dashboard",
            "--",
            "tweet-sentiment",
            "generate",
            "--tweets",
            str(tweets),
            "--seed",
            str(seed),
        )
        found: dict[str, Any] = json.loads(said.splitlines()[-1])
        return found

    def run_python(self, code: str) -> str:
        """Run `code` in the dashboard's pod; return what it prints."""
        return self.kubectl("exec", "deploy/dashboard", "--", "python", "-c", code)

    def tables(self) -> dict[str, Any]:
        """Return the state of the tables; empty while it cannot be told."""
        said = self.kubectl("exec", "deploy/dashboard", "--", "tweet-sentiment", "tables", "--json", check=False)
        try:
            found: dict[str, Any] = json.loads(said.splitlines()[-1])["tables"]
        except (ValueError, KeyError, IndexError):
            return {}
        return found

    def totals(self) -> dict[str, int]:
        """Return how many rows and records the tables have counted, by what became of them."""
        tables = self.tables()
        counted = {name: table["totals"] for name, table in tables.items()}
        silver = counted.get("silver/tweets", {})
        return {
            "documents": counted.get("bronze/tweets", {}).get("rows", 0),
            "tweets": silver.get("rows", 0),
            "duplicates": silver.get("duplicates", 0),
            "quarantine": sum(counted.get("silver/quarantine", {}).values()),
            "gold": counted.get("gold/sentiment", {}).get("rows", 0),
            "rows": tables.get("gold/sentiment", {}).get("rows", 0),
            "trends": counted.get("gold/trends", {}).get("rows", 0),
        }

    def versions(self) -> dict[str, int]:
        """Return the rows of gold/sentiment by the version of the model that labelled them."""
        code = (
            "import json, pyarrow as pa; from deltalake import DeltaTable, QueryBuilder\n"
            "t = DeltaTable('/lake/tables/gold/sentiment')\n"
            "found = QueryBuilder().register('t', t).execute('SELECT model_version, count(*) FROM t GROUP BY 1')\n"
            "columns = pa.table(found).columns\n"
            "print(json.dumps(dict(zip(*(column.to_pylist() for column in columns)))))"
        )
        found: dict[str, int] = json.loads(self.run_python(code))
        return found

    @contextmanager
    def forwarded(self, service: str, port: int) -> Iterator[str]:
        """Give the address on this machine at which a service of the platform answers."""
        command = ["kubectl", "-n", self.platform, "port-forward", f"service/{service}", f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
                assert found, f"{service} cannot be reached"
                yield f"http://127.0.0.1:{found[1]}"
            finally:
                process.terminate()

    def exit_codes(self, pod: str, end: Callable[[], object]) -> set[str]:
        """Return what the first container of a pod ended with while `end` was done."""
        path = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}{'\\n'}"
        command = ["kubectl", "-n", self.streams, "get", "pod", pod, "--watch", "-o", path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                end()
            finally:
                process.terminate()
            assert process.stdout is not None
            return set(process.stdout.read().split())

    def pods(self, *phases: str, which: str = "spark-role") -> dict[str, str]:
        """Return the uid of each driver and executor of `which` that is in one of the phases."""
        found = self.get("pods", "-l", which)["items"]
        return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found if pod["status"]["phase"] in phases}

    def driver(self, layer: str) -> dict[str, Any] | None:
        found = self.get("pods", "-l", f"sparkoperator.k8s.io/app-name={layer},spark-role=driver")["items"]
        return found[0] if found else None

    def uid(self, layer: str) -> str:
        driver = self.driver(layer)
        return str(driver["metadata"]["uid"]) if driver else ""

    def signal(self, layer: str, name: str) -> None:
        """Send a signal to the Python of a driver, which cannot answer it where it is STOP or KILL."""
        send = (
            "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline) in "
            f"/opt/venv/bin/python*'tweet-sentiment run {layer}'*) kill -{name} ${{p#/proc/}};; esac; done"
        )
        driver = (f"{layer}-driver", "-c", "spark-kubernetes-driver")
        self.kubectl("exec", *driver, "--", "bash", "-c", send, check=False)

    def runs(self, layer: str) -> bool:
        """Tell whether the stream's driver is ready and not going."""
        driver = self.driver(layer) or {"metadata": {}, "status": {}}
        ready = [c for c in driver["status"].get("conditions", []) if c["type"] == "Ready" and c["status"] == "True"]
        return bool(ready) and "deletionTimestamp" not in driver["metadata"]
