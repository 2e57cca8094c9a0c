"""The calls to the cluster's API, for the namespace of the streams.

A write to an application or a pod carries the resourceVersion that was read: if the object has changed since, nothing
is written and `ConflictError` is raised. The calls need these permissions in the namespace of the streams:

- ConfigMaps `stream-applications` and `job-pods`: get; `stream-applications`: patch (annotations only);
- ConfigMap `stream-status`: patch;
- SparkApplications: get, create, patch, delete;
- pods: list; delete on drivers and on executors that have ended;
- pods/log of the drivers of the jobs (`rescore-driver` and so on): get.
"""

import copy
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from tweet_dags.kubernetes.objects import Object, get
from tweet_dags.kubernetes.writes import delete_options, explain_errors, ignore_not_found

_SPARK_APPLICATIONS = {"group": "sparkoperator.k8s.io", "version": "v1beta2", "plural": "sparkapplications"}
_TIMEOUT_SECONDS = 15
_MERGE_PATCH = "application/merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"

Annotations = Mapping[str, str | None]


class ManifestNotFoundError(Exception):
    """A ConfigMap of the chart, or a manifest in it, does not exist; the message names both."""


@dataclass(frozen=True)
class Cluster:
    """The namespace of the streams, on the cluster that Airflow runs in or else on the cluster of KUBECONFIG."""

    namespace: str
    core: client.CoreV1Api
    custom: client.CustomObjectsApi

    @classmethod
    def connect(cls, namespace: str) -> "Cluster":
        """Return a client that authenticates as the pod's service account, or else by KUBECONFIG."""
        # Importing the hook of the Kubernetes provider takes as long as a whole reconciliation, in six tasks a minute.
        try:
            config.load_incluster_config()
        except config.ConfigException:
            config.load_kube_config()
        return cls(namespace, client.CoreV1Api(), client.CustomObjectsApi())

    def config_map(self, name: str) -> client.V1ConfigMap:
        """Return the ConfigMap `name` of the chart; raise `ManifestNotFoundError` if it is missing."""
        try:
            return self.core.read_namespaced_config_map(name, self.namespace, _request_timeout=_TIMEOUT_SECONDS)
        except ApiException as error:
            if error.status == 404:
                raise ManifestNotFoundError(
                    f"the ConfigMap {name} is missing in the namespace {self.namespace}: install the chart"
                ) from None
            raise

    def manifest(self, config_map: client.V1ConfigMap, name: str) -> dict[str, Any]:
        """Return the manifest `name` from a ConfigMap of the chart, or raise `ManifestNotFoundError`."""
        try:
            return copy.deepcopy(_parse(config_map.data[f"{name}.yaml"]))
        except (KeyError, TypeError):
            raise ManifestNotFoundError(
                f"the ConfigMap {config_map.metadata.name} in {self.namespace} has no {name}.yaml: install the chart, "
                "and set TWEETS_STREAMS_NAMESPACE to its streams.namespace"
            ) from None

    def annotate(
        self, config_map: str, annotations: Annotations, field_manager: str, version: str | None = None
    ) -> None:
        """Set annotations of a ConfigMap; the value None removes an annotation.

        With `version`, the resourceVersion that was read, a concurrent change raises `ConflictError`.
        """
        metadata = {"annotations": annotations} | ({"resourceVersion": version} if version else {})
        with explain_errors(f"the ConfigMap {config_map}"):
            self.core.patch_namespaced_config_map(
                config_map,
                self.namespace,
                {"metadata": metadata},
                field_manager=field_manager,
                _request_timeout=_TIMEOUT_SECONDS,
            )

    def set_data(self, config_map: str, data: Mapping[str, str], field_manager: str) -> None:
        """Set entries of the data of a ConfigMap; the other entries stay."""
        with explain_errors(f"the ConfigMap {config_map}"):
            self.core.patch_namespaced_config_map(
                config_map,
                self.namespace,
                {"data": data},
                field_manager=field_manager,
                _request_timeout=_TIMEOUT_SECONDS,
            )

    def application(self, name: str) -> Object | None:
        """Return the SparkApplication `name`, or None."""
        with ignore_not_found():
            application: dict[str, Any] = self.custom.get_namespaced_custom_object(
                **_SPARK_APPLICATIONS, namespace=self.namespace, name=name, _request_timeout=_TIMEOUT_SECONDS
            )
            return application
        return None

    def apply(self, manifest: Object, current: Object | None, field_manager: str, **options: str) -> None:
        """Apply a SparkApplication server-side; `current` is the application that was read, None to create it."""
        version = {} if current is None else {"resourceVersion": get(current, "metadata", "resourceVersion")}
        body = {**manifest, "metadata": {**manifest["metadata"], **version}}
        self._patch(body["metadata"]["name"], body, field_manager, _content_type=_APPLY_PATCH, force=True, **options)

    def patch(self, current: Object | None, annotations: Annotations, spec: Object, field_manager: str) -> None:
        """Change annotations and spec fields of the SparkApplication that was read; the value None removes a field."""
        name, version = (get(current, "metadata", key) for key in ("name", "resourceVersion"))
        body = {
            "metadata": {"annotations": annotations, "resourceVersion": version},
            **({"spec": spec} if spec else {}),
        }
        self._patch(name, body, field_manager, _content_type=_MERGE_PATCH)

    def delete(self, application: Object | None) -> None:
        """Delete the SparkApplication that was read; Kubernetes deletes its pods with it."""
        name = get(application, "metadata", "name")
        with ignore_not_found(), explain_errors(f"the SparkApplication {name}"):
            self.custom.delete_namespaced_custom_object(
                **_SPARK_APPLICATIONS,
                namespace=self.namespace,
                name=name,
                body=delete_options(application),
                _request_timeout=_TIMEOUT_SECONDS,
            )

    def pods(self, application: str) -> tuple[Object, ...]:
        """Return the driver and the executors of an application, including those that are terminating."""
        # Parse the raw response: the models of the client take ten times as long, every few seconds.
        response = self.core.list_namespaced_pod(
            self.namespace,
            label_selector=f"sparkoperator.k8s.io/app-name={application}",
            _preload_content=False,
            _request_timeout=_TIMEOUT_SECONDS,
        )
        return tuple(json.loads(response.data)["items"])

    def delete_pod(self, pod: Object | None) -> None:
        """Delete the pod that was read."""
        name = get(pod, "metadata", "name")
        with ignore_not_found(), explain_errors(f"the pod {name}"):
            self.core.delete_namespaced_pod(
                name, self.namespace, body=delete_options(pod), _request_timeout=_TIMEOUT_SECONDS
            )

    def log_tail(self, pod: Object | None, lines: int) -> str:
        """Return the last `lines` of the log of `pod`; '' without a pod, or before the pod writes a log."""
        try:
            # Read the raw response: the client would parse a log that looks like JSON.
            response = self.core.read_namespaced_pod_log(
                get(pod, "metadata", "name"),
                self.namespace,
                tail_lines=lines,
                _preload_content=False,
                _request_timeout=_TIMEOUT_SECONDS,
            )
            return str(response.data.decode(errors="replace"))
        except (ApiException, ValueError):
            return ""

    def _patch(self, name: str, body: Object, field_manager: str, **options: Any) -> None:
        with explain_errors(f"the SparkApplication {name}"):
            self.custom.patch_namespaced_custom_object(
                **_SPARK_APPLICATIONS,
                namespace=self.namespace,
                name=name,
                body=body,
                field_manager=field_manager,
                _request_timeout=_TIMEOUT_SECONDS,
                **options,
            )


# YAML takes longer to parse than all requests of a pass: parse a manifest again only after the chart has changed it.
@functools.lru_cache(maxsize=16)
def _parse(manifest: str) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(manifest)
    return parsed
