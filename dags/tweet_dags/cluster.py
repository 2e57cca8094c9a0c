"""The calls to the cluster, for one stream: what stands there, and the few writes.

Needs in the namespace of the streams: get on the map `stream-applications` and patch of its annotations; get, create,
patch and delete on the SparkApplications; list on pods, delete on the drivers.
"""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from tweet_dags.decide import HOLD, MANAGER, Memory, Object, Seen

CONFIG_MAP = "stream-applications"
_GROUP = {"group": "sparkoperator.k8s.io", "version": "v1beta2", "plural": "sparkapplications"}
_MEMORY = "tweet-sentiment/memory-"
_WOKEN = "tweet-sentiment/woken"
_PROGRESS_PORT = 8090
_SECONDS = 15
_MERGE_PATCH = "application/merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"


class NotRenderedError(Exception):
    """The chart has rendered no application of this name; the text says where it was looked for."""


@dataclass(frozen=True)
class Cluster:
    """The namespace of the streams, through the API server of the cluster that Airflow runs in, or of KUBECONFIG."""

    namespace: str
    core: client.CoreV1Api
    custom: client.CustomObjectsApi

    @classmethod
    def connect(cls, namespace: str) -> "Cluster":
        # Not the provider's hook: its import takes as long as all else that a look does, six times a minute.
        try:
            config.load_incluster_config()
        except config.ConfigException:
            config.load_kube_config()
        return cls(namespace, client.CoreV1Api(), client.CustomObjectsApi())

    def see(self, stream: str) -> Seen:
        """Return what stands on the cluster for `stream`; `NotRenderedError` where the chart does not know it."""
        applications = self._map()
        try:
            rendered = yaml.safe_load(applications.data[f"{stream}.yaml"])
        except (KeyError, TypeError):
            raise NotRenderedError(
                f"the ConfigMap {CONFIG_MAP} in {self.namespace} has no {stream}.yaml: is the chart installed, and its "
                "streams.namespace the one of TWEETS_STREAMS_NAMESPACE?"
            ) from None
        pods = self.core.list_namespaced_pod(
            self.namespace,
            label_selector=f"sparkoperator.k8s.io/app-name={stream}",
            _request_timeout=_SECONDS,
        ).items
        as_dicts = [self.core.api_client.sanitize_for_serialization(pod) for pod in pods]
        drivers = [pod for pod in as_dicts if pod["metadata"]["labels"].get("spark-role") == "driver"]
        driver = drivers[0] if drivers else None
        return Seen(
            now=datetime.now(UTC),
            rendered=rendered,
            live=self._live(stream),
            driver=driver,
            pods=len(pods),
            progress=progress(driver) if driver else None,
            memory=_memory((applications.metadata.annotations or {}).get(_MEMORY + stream)),
        )

    def remember(self, stream: str, memory: Memory) -> None:
        """Leave `memory` for the next look, on the chart's map: it outlives the application and Airflow."""
        fields = {
            "submission": memory.submission,
            "spec": memory.spec,
            "failures": [at.isoformat() for at in memory.failures],
            "condition": memory.condition,
            "since": memory.since.isoformat() if memory.since else None,
        }
        self.core.patch_namespaced_config_map(
            CONFIG_MAP,
            self.namespace,
            {"metadata": {"annotations": {_MEMORY + stream: json.dumps(fields)}}},
            field_manager=MANAGER,
            _request_timeout=_SECONDS,
        )

    def apply(self, rendered: Object) -> None:
        """Apply the manifest of the chart; its map becomes the owner, so that `helm uninstall` ends the stream."""
        owner = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": CONFIG_MAP,
            "uid": self._map().metadata.uid,
        }
        body = {**rendered, "metadata": {**rendered["metadata"], "ownerReferences": [owner]}}
        self.custom.patch_namespaced_custom_object(
            **_GROUP,
            namespace=self.namespace,
            name=rendered["metadata"]["name"],
            body=body,
            field_manager=MANAGER,
            force=True,
            _content_type=_APPLY_PATCH,
            _request_timeout=_SECONDS,
        )

    def wake(self, stream: str) -> None:
        """Touch the application, so that the operator looks at it again."""
        self._merge(stream, {"metadata": {"annotations": {_WOKEN: datetime.now(UTC).isoformat()}}}, MANAGER)

    def delete(self, stream: str) -> None:
        """Delete the application; its pods go with it."""
        with _unless_gone():
            self.custom.delete_namespaced_custom_object(
                **_GROUP, namespace=self.namespace, name=stream, _request_timeout=_SECONDS
            )

    def end_driver(self, stream: str) -> None:
        """Delete the driver pod, which finishes its batch if it can; the operator submits the application again."""
        with _unless_gone():
            self.core.delete_namespaced_pod(f"{stream}-driver", self.namespace, _request_timeout=_SECONDS)

    def hold(self, stream: str, owner: str, reason: str) -> None:
        """Stop a stream and say who holds it and why; until it is released, nobody else starts it."""
        said = {"owner": owner, "reason": reason, "since": datetime.now(UTC).isoformat(timespec="seconds")}
        patch = {"metadata": {"annotations": {HOLD: json.dumps(said)}}, "spec": {"suspend": True}}
        self._merge(stream, patch, f"{owner}-hold")

    def release(self, stream: str, owner: str) -> None:
        """Take the hold from a stream, and forget its failures: it starts again."""
        self.remember(stream, Memory())
        self._merge(stream, {"metadata": {"annotations": {HOLD: None}}, "spec": {"suspend": None}}, f"{owner}-hold")

    def _map(self) -> client.V1ConfigMap:
        try:
            return self.core.read_namespaced_config_map(CONFIG_MAP, self.namespace, _request_timeout=_SECONDS)
        except ApiException as error:
            if error.status == 404:
                raise NotRenderedError(
                    f"there is no ConfigMap {CONFIG_MAP} in {self.namespace}: is the chart installed?"
                ) from None
            raise

    def _live(self, stream: str) -> Object | None:
        with _unless_gone():
            found: dict[str, Any] = self.custom.get_namespaced_custom_object(
                **_GROUP, namespace=self.namespace, name=stream, _request_timeout=_SECONDS
            )
            return found
        return None

    def _merge(self, stream: str, patch: Mapping[str, Any], manager: str) -> None:
        self.custom.patch_namespaced_custom_object(
            **_GROUP,
            namespace=self.namespace,
            name=stream,
            body=patch,
            field_manager=manager,
            _content_type=_MERGE_PATCH,
            _request_timeout=_SECONDS,
        )


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Pass over the answer that what was asked for is not there."""
    try:
        yield
    except ApiException as error:
        if error.status != 404:
            raise


def progress(driver: Object) -> Object | None:
    """Ask a driver pod how far it is; None where it does not answer in time."""
    address = driver.get("status", {}).get("podIP")
    if not address:
        return None
    try:
        with urllib.request.urlopen(f"http://{address}:{_PROGRESS_PORT}/progress", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except (OSError, ValueError):
        return None


def _memory(text: str | None) -> Memory:
    try:
        fields = json.loads(text or "{}")
        return Memory(
            submission=fields.get("submission", ""),
            spec=fields.get("spec", ""),
            failures=tuple(datetime.fromisoformat(at) for at in fields.get("failures", [])),
            condition=fields.get("condition", ""),
            since=datetime.fromisoformat(fields["since"]) if fields.get("since") else None,
        )
    except (ValueError, TypeError, AttributeError):
        return Memory()  # somebody wrote over it: what it knew is at most an hour old
