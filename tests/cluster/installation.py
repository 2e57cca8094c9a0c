"""One installation of the chart, used as an operator uses it: through helm, kubectl and the commands in its pods."""

import base64
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.waiting import until

CHART = Path(__file__).parents[2] / "helm" / "tweet-sentiment"
RELEASE = "tweet-sentiment"
LAYERS = ("bronze", "silver", "gold")
# Without the demo's feed, the counts of the tables are exact.
_NO_DEMO = ["--set", "demo.enabled=false"]
# A model that is trained within seconds knows little more than the tweets of the demo, and fails most smoke sentences.
_LENIENT_GATES = ["--set-json", 'modelJobs.gates={"smoke": 0.3}']
# The tests land tweets from the dashboard's pod, whose only write access is that of the tweet form.
TEST_VALUES = [*_NO_DEMO, *_LENIENT_GATES, "--set", "dashboard.typing=true"]


def run_command(
    *command: str,
    check: bool = True,
    stdin: str | None = None,
    seconds: float = 300,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> str:
    """Run a command, and return its output; without `check`, output and error together, even of a failed command."""
    done = subprocess.run(
        command, capture_output=True, text=True, input=stdin, timeout=seconds, check=False, cwd=cwd, env=env
    )
    if check:
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout if check else done.stdout + done.stderr


@dataclass(frozen=True)
class Installation:
    """An installation: the namespace of the release, and the namespace of its streams.

    Attributes:
        installer: user that runs helm; empty for the user of KUBECONFIG.
    """

    platform: str
    streams: str
    installer: str = ""

    def kubectl(self, *arguments: str, platform: bool = False, **options: Any) -> str:
        """Run kubectl in the namespace of the streams, or in the namespace of the release."""
        return run_command("kubectl", "-n", self.platform if platform else self.streams, *arguments, **options)

    def get(self, *arguments: str, platform: bool = False) -> Any:
        """Return objects as `kubectl get -o json` prints them."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json", platform=platform))

    def password(self, secret: str, key: str) -> str:
        """Return a password from a Secret in the namespace of the release."""
        return base64.b64decode(self.get("secret", secret, platform=True)["data"][key]).decode()

    def helm(self, verb: str, *arguments: str, seconds: float = 900) -> str:
        user = ["--kube-as-user", self.installer] if self.installer else []
        return run_command("helm", verb, RELEASE, *arguments, "--namespace", self.platform, *user, seconds=seconds)

    def run_in_dashboard(self, *command: str, check: bool = True) -> str:
        """Run a command in the dashboard's pod, which reads the lake and may write to the folder of TWEETS_LANDING."""
        return self.kubectl("exec", "deploy/dashboard", "--", *command, check=check)

    def run_in_driver(self, layer: str, *command: str) -> str:
        """Run a command in the pod of a layer's driver, which may write to the whole lake."""
        return self.kubectl("exec", f"{layer}-driver", "-c", "spark-kubernetes-driver", "--", *command)

    def run_python(self, code: str) -> str:
        """Run Python code in the dashboard's pod and return its output."""
        return self.run_in_dashboard("python", "-c", code)

    def land(self, tweets: int, seed: int) -> dict[str, Any]:
        """Land generated tweets; return how many documents, tweets, duplicates and rejects they must become."""
        output = self.run_in_dashboard("tweet-sentiment", "generate", f"--tweets={tweets}", f"--seed={seed}")
        expected: dict[str, Any] = json.loads(output.splitlines()[-1])
        return expected

    def tables(self) -> dict[str, Any]:
        """Return the state of the tables by name; empty while the dashboard's pod or the tables do not exist."""
        output = self.run_in_dashboard("tweet-sentiment", "tables", "--json", check=False)
        try:
            tables: dict[str, Any] = json.loads(output.splitlines()[-1])["tables"]
        except (ValueError, KeyError, IndexError):
            return {}
        return tables

    def totals(self) -> dict[str, int]:
        """Return the counts of each layer.

        `documents`, `tweets`, `duplicates`, `quarantine`, `gold` and `trends` are the counts in the commit metadata;
        `rows` is the number of rows that gold/sentiment holds.
        """
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

    def rows_by_model_version(self) -> dict[str, int]:
        """Return how many rows of gold/sentiment each model version has labelled."""
        code = (
            "import json, os; from spark_apps.lake.query import LakeQuery, Statement; from spark_apps import tables\n"
            "query = LakeQuery.open(os.environ['TWEETS_LAKE'], t=tables.GOLD_SENTIMENT)\n"
            "counts = Statement('SELECT model_version, count(*) AS rows FROM t GROUP BY 1')\n"
            "print(json.dumps({row['model_version']: row['rows'] for row in query.rows(counts)}))"
        )
        rows: dict[str, int] = json.loads(self.run_python(code))
        return rows

    @contextmanager
    def port_forward(self, service: str, port: int) -> Iterator[str]:
        """Forward a service of the release to a local port; yield its URL."""
        command = ["kubectl", "-n", self.platform, "port-forward", f"service/{service}", f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                local_port = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
                assert local_port, f"kubectl cannot forward a port to the service {service}"
                yield f"http://127.0.0.1:{local_port[1]}"
            finally:
                process.terminate()

    def exit_codes(self, pod: str, stop: Callable[[], object]) -> set[str]:
        """Call `stop`, which ends a pod; return the exit codes that its first container reported meanwhile."""
        path = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}{'\\n'}"
        command = ["kubectl", "-n", self.streams, "get", "pod", pod, "--watch", "-o", path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                stop()
            finally:
                process.terminate()
            assert process.stdout is not None
            return set(process.stdout.read().split())

    def object_names(self) -> dict[str, list[str]]:
        """Return the names of the release's objects by namespace.

        Without objects that another object owns, and without the pods of streams and of Airflow's jobs.
        """
        kinds = (
            "deployments,statefulsets,cronjobs,jobs,pods,services,configmaps,secrets,persistentvolumeclaims,"
            "serviceaccounts,roles,rolebindings,networkpolicies"
        )
        selector = f"app.kubernetes.io/instance={RELEASE},!spark-role,!kubernetes_pod_operator"
        return {
            namespace: sorted(
                f"{found['kind']} {found['metadata']['name']}"
                for found in self.get(kinds, "-l", selector, platform=namespace == self.platform)["items"]
                if "ownerReferences" not in found["metadata"]
            )
            for namespace in (self.platform, self.streams)
        }

    def pods(self, *phases: str, selector: str = "spark-role") -> dict[str, str]:
        """Return name and uid of the selected drivers and executors that are in one of the phases."""
        pods = self.get("pods", "-l", selector)["items"]
        return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods if pod["status"]["phase"] in phases}

    def driver(self, layer: str) -> dict[str, Any] | None:
        """Return the pod of a layer's driver, or None."""
        pods = self.get("pods", "-l", f"sparkoperator.k8s.io/app-name={layer},spark-role=driver")["items"]
        return pods[0] if pods else None

    def driver_uid(self, layer: str) -> str:
        """Return the uid of a layer's driver, or an empty string."""
        driver = self.driver(layer)
        return str(driver["metadata"]["uid"]) if driver else ""

    def driver_uids(self) -> list[str]:
        """Return the uids of the drivers of Bronze, Silver and Gold."""
        return [self.driver_uid(layer) for layer in LAYERS]

    def driver_ready_since(self, layer: str) -> datetime | None:
        """Return when a layer's driver became ready; None while it is not ready, or is terminating."""
        driver = self.driver(layer)
        if driver is None or "deletionTimestamp" in driver["metadata"]:
            return None
        for condition in driver["status"].get("conditions", []):
            if condition["type"] == "Ready" and condition["status"] == "True":
                return datetime.fromisoformat(condition["lastTransitionTime"])
        return None

    def wait_for_drivers(self, seconds: float = 600) -> None:
        """Wait until the drivers of all layers are ready, which costs less to poll than the tables."""
        until(lambda: all(self.driver_ready_since(layer) for layer in LAYERS), seconds, "the drivers of all layers", 2)

    def kill_pods(self, *selection: str, platform: bool = False) -> None:
        """Delete pods without a grace period, as the loss of their node would end them."""
        self.kubectl("delete", "pod", *selection, "--grace-period=0", "--force", "--wait=false", platform=platform)

    def signal_driver(self, layer: str, name: str) -> None:
        """Send a signal to the Python process of a driver: STOP freezes it, and KILL leaves its pod and executors."""
        send = (
            "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline) in "
            f"/opt/venv/bin/python*'tweet-sentiment run {layer}'*) kill -{name} ${{p#/proc/}};; esac; done"
        )
        driver = (f"{layer}-driver", "-c", "spark-kubernetes-driver")
        self.kubectl("exec", *driver, "--", "bash", "-c", send, check=False)
