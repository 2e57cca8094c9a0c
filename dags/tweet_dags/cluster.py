"""The calls to the cluster, for one stream: what stands there, and the few writes.

A write carries the version of what was read: where that has changed meanwhile, `ChangedError` is raised and nothing
is written. Needs in the namespace of the streams: get on the map `stream-applications` and patch of its annotations;
get, create, patch and delete on the SparkApplications; list on pods, delete on the drivers and on executors that are
over; get on the log of `rescore-driver`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from tweet_dags import driver, pods
from tweet_dags.drift import MANAGER
from tweet_dags.notes import Hold, Memory, Pardon, standing
from tweet_dags.seen import Object, Seen, get
from tweet_dags.writing import as_it_was, unless_gone, writing

CONFIG_MAP = "stream-applications"
_GROUP = {"group": "sparkoperator.k8s.io", "version": "v1beta2", "plural": "sparkapplications"}
# On the map, each with the name of the stream behind it; that of the hold has a copy on the application, to be seen.
_MEMORY, _PARDON, _HOLD = "tweet-sentiment/memory-", "tweet-sentiment/pardon-", "tweet-sentiment/hold-"
_HOLD_COPY = "tweet-sentiment/hold"
_WOKEN = "tweet-sentiment/woken"
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

    def template(self, name: str, map_name: str) -> dict[str, Any]:
        """Return the manifest `name` of one of the chart's maps; `NotRenderedError` where it has none."""
        return self._rendered(self._map(map_name), name)

    def see(self, stream: str) -> Seen:
        """Return what stands on the cluster for `stream`; `NotRenderedError` where the chart does not know it."""
        applications = self._map()
        rendered = self._rendered(applications, stream)
        live = self._live(stream)
        notes = applications.metadata.annotations or {}
        found = self._pods(stream)
        pardon = Pardon.of(notes.get(_PARDON + stream))
        seen = Seen(
            now=datetime.now(UTC),
            rendered=rendered,
            live=live,
            pods=tuple(pod for pod in found if not pods.ended(pod)),
            ended=tuple(pod for pod in found if pods.ended(pod)),
            held=standing(notes.get(_HOLD + stream), get(live, "metadata", "annotations", _HOLD_COPY), pardon),
            pardon=pardon,
            memory=Memory.of(notes.get(_MEMORY + stream)),
            notes_version=applications.metadata.resource_version,
        )
        return seen.with_answer(driver.ask(seen.driver))

    def remember(self, stream: str, memory: Memory) -> None:
        """Leave `memory` for the next look; only the looks write it, one after the other."""
        self._note({_MEMORY + stream: memory.to_text()})

    def hold(self, seen: Seen, owner: str, reason: str) -> Hold:
        """Say on the map who holds a stream and why: `suspend` has still to end it, and nobody else starts it."""
        held = Hold(owner, reason, datetime.now(UTC).isoformat(timespec="seconds"))
        self._note({_HOLD + seen.name: held.to_text()}, seen.notes_version)
        return held

    def release(self, seen: Seen) -> None:
        """Take the hold from a stream, and forget its failures."""
        pardon = Pardon(seen.submission, datetime.now(UTC))
        self._note({_HOLD + seen.name: None, _PARDON + seen.name: pardon.to_text()}, seen.notes_version)

    def pardon(self, seen: Seen) -> None:
        """Say that the end of what runs now is wanted, and that what failed before no longer counts."""
        self._note({_PARDON + seen.name: Pardon(seen.submission, datetime.now(UTC)).to_text()})

    def rehearse(self, seen: Seen) -> None:
        """Apply the manifest of the chart without leaving it there; `RefusedError` where it would not be taken.

        Between a deletion and the next look the operator's webhook may be as far away as it is now.
        """
        self._apply(seen, dry_run="All")

    def apply(self, seen: Seen) -> None:
        """Apply the manifest of the chart; its map becomes the owner, so that `helm uninstall` ends the stream."""
        self._apply(seen)

    def wake(self, seen: Seen) -> None:
        """Touch the application, so that the operator looks at it again."""
        self._merge(seen, {_WOKEN: datetime.now(UTC).isoformat()}, {}, MANAGER)

    def suspend(self, seen: Seen, held: Hold) -> None:
        """End the driver and keep it ended, in the name of who holds the stream."""
        self._merge(seen, {_HOLD_COPY: held.to_text()}, {"suspend": True}, f"{held.owner}-hold")

    def resume(self, seen: Seen) -> None:
        self._merge(seen, {_HOLD_COPY: None}, {"suspend": None}, MANAGER)

    def delete(self, seen: Seen) -> None:
        """Delete the application that was seen; its pods go with it."""
        with unless_gone(), writing(f"the application {seen.name}"):
            self.custom.delete_namespaced_custom_object(
                **_GROUP,
                namespace=self.namespace,
                name=seen.name,
                body=as_it_was(seen.live),
                _request_timeout=_SECONDS,
            )

    def end_driver(self, seen: Seen) -> None:
        """Delete the driver pod that was seen; it finishes its batch if it can, and the operator submits again."""
        self._end(seen.driver)

    def clear(self, seen: Seen) -> None:
        """Delete the executors that are over and that nobody else takes away."""
        for pod in seen.ended:
            if pods.left_over(pod, seen.driver, seen.now):
                self._end(pod)

    def last_lines(self, seen: Seen, lines: int) -> str:
        """Return the last lines of the log of the driver that was seen; '' where there is none to be read."""
        name = get(seen.driver, "metadata", "name")
        try:
            # As it came: what looks like JSON, the client would take for an object.
            said = self.core.read_namespaced_pod_log(
                name, self.namespace, tail_lines=lines, _preload_content=False, _request_timeout=_SECONDS
            )
            return str(said.data.decode(errors="replace"))
        except (ApiException, ValueError):
            # No driver, or none whose containers have begun.
            return ""

    def _apply(self, seen: Seen, **options: str) -> None:
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": CONFIG_MAP, "uid": self._map().metadata.uid}
        metadata = {**seen.rendered["metadata"], "ownerReferences": [owner]}
        if seen.live is not None:
            metadata["resourceVersion"] = get(seen.live, "metadata", "resourceVersion")
        with writing(f"the application {seen.name}"):
            self.custom.patch_namespaced_custom_object(
                **_GROUP,
                namespace=self.namespace,
                name=seen.name,
                body={**seen.rendered, "metadata": metadata},
                field_manager=MANAGER,
                force=True,
                _content_type=_APPLY_PATCH,
                _request_timeout=_SECONDS,
                **options,
            )

    def _merge(self, seen: Seen, notes: Mapping[str, str | None], spec: Mapping[str, Any], manager: str) -> None:
        version = get(seen.live, "metadata", "resourceVersion")
        body = {"metadata": {"annotations": notes, "resourceVersion": version}, **({"spec": spec} if spec else {})}
        with writing(f"the application {seen.name}"):
            self.custom.patch_namespaced_custom_object(
                **_GROUP,
                namespace=self.namespace,
                name=seen.name,
                body=body,
                field_manager=manager,
                _content_type=_MERGE_PATCH,
                _request_timeout=_SECONDS,
            )

    def _note(self, notes: Mapping[str, str | None], version: str | None = None) -> None:
        metadata = {"annotations": notes} | ({"resourceVersion": version} if version else {})
        with writing(f"the ConfigMap {CONFIG_MAP}"):
            self.core.patch_namespaced_config_map(
                CONFIG_MAP,
                self.namespace,
                {"metadata": metadata},
                field_manager=MANAGER,
                _request_timeout=_SECONDS,
            )

    def _map(self, name: str = CONFIG_MAP) -> client.V1ConfigMap:
        try:
            return self.core.read_namespaced_config_map(name, self.namespace, _request_timeout=_SECONDS)
        except ApiException as error:
            if error.status == 404:
                raise NotRenderedError(
                    f"there is no ConfigMap {name} in {self.namespace}: is the chart installed?"
                ) from None
            raise

    def _rendered(self, applications: client.V1ConfigMap, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = yaml.safe_load(applications.data[f"{name}.yaml"])
            return found
        except (KeyError, TypeError):
            raise NotRenderedError(
                f"the ConfigMap {applications.metadata.name} in {self.namespace} has no {name}.yaml: is the chart "
                "installed, and its streams.namespace the one of TWEETS_STREAMS_NAMESPACE?"
            ) from None

    def _end(self, pod: Object | None) -> None:
        name = get(pod, "metadata", "name")
        with unless_gone(), writing(f"the pod {name}"):
            self.core.delete_namespaced_pod(name, self.namespace, body=as_it_was(pod), _request_timeout=_SECONDS)

    def _live(self, stream: str) -> Object | None:
        with unless_gone():
            found: dict[str, Any] = self.custom.get_namespaced_custom_object(
                **_GROUP, namespace=self.namespace, name=stream, _request_timeout=_SECONDS
            )
            return found
        return None

    def _pods(self, stream: str) -> tuple[Object, ...]:
        selector = f"sparkoperator.k8s.io/app-name={stream}"
        found = self.core.list_namespaced_pod(self.namespace, label_selector=selector, _request_timeout=_SECONDS)
        return tuple(self.core.api_client.sanitize_for_serialization(pod) for pod in found.items)
