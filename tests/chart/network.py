"""Evaluate NetworkPolicies as the Kubernetes API defines them: is a connection allowed by both sides?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from tests.chart.rendering import NAMESPACE, Object, applications, pods

NAME = "app.kubernetes.io/name"


@dataclass(frozen=True)
class Pod:
    """A pod as policies see it. Namespaces have only the label that Kubernetes sets: their name."""

    namespace: str
    labels: Mapping[str, str] = field(hash=False)
    ip: str = "10.244.1.9"


@dataclass(frozen=True)
class Address:
    """An address outside the pods, such as a node or a host on the internet."""

    ip: str


Peer = Pod | Address


@dataclass(frozen=True)
class Policies:
    """The NetworkPolicies of a cluster.

    `blocks_match_pods`: whether an ipBlock matches the addresses of pods. It does in most network plugins; in Cilium it
    does not. What must work must work without it, and what must be refused must be refused with it.
    """

    documents: list[Object]
    blocks_match_pods: bool = False

    def allow(self, source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
        """Tell whether `source` can connect to `target`."""
        return self._allows("Egress", source, target, port, protocol) and self._allows(
            "Ingress", target, source, port, protocol
        )

    def _allows(self, direction: str, pod: Peer, other: Peer, port: int, protocol: str) -> bool:
        policies = [policy for policy in self.documents if _selects(policy, direction, pod)]
        rules = [rule for policy in policies for rule in policy["spec"].get(direction.lower(), [])]
        return not policies or any(self._matches(rule, pod, other, port, protocol) for rule in rules)

    def _matches(self, rule: Object, pod: Peer, other: Peer, port: int, protocol: str) -> bool:
        ports = rule.get("ports", [])
        peers = rule.get("to", []) + rule.get("from", [])
        right_port = not ports or any((p["port"], p.get("protocol", "TCP")) == (port, protocol) for p in ports)
        # An empty list matches everything.
        return right_port and (not peers or any(self._is_peer(peer, pod, other) for peer in peers))

    def _is_peer(self, peer: Object, pod: Peer, other: Peer) -> bool:
        if block := peer.get("ipBlock"):
            inside = _contains(block["cidr"], other.ip) and not any(
                _contains(hole, other.ip) for hole in block.get("except", [])
            )
            return inside and (self.blocks_match_pods or isinstance(other, Address))
        if isinstance(other, Address):
            return False
        assert isinstance(pod, Pod)
        if "namespaceSelector" in peer:
            in_namespace = matches(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace})
        else:
            in_namespace = other.namespace == pod.namespace
        return in_namespace and matches(peer.get("podSelector", {}), other.labels)


def _selects(policy: Object, direction: str, pod: Peer) -> bool:
    return (
        isinstance(pod, Pod)
        and policy["metadata"]["namespace"] == pod.namespace
        and direction in policy["spec"]["policyTypes"]
        and matches(policy["spec"]["podSelector"], pod.labels)
    )


def _contains(cidr: str, ip: str) -> bool:
    return ip_address(ip) in ip_network(cidr)


def matches(selector: Object, labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector selects an object with these labels."""
    assert selector.keys() <= {"matchLabels", "matchExpressions"}, selector
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        _meets(expression, labels) for expression in selector.get("matchExpressions", [])
    )


def _meets(expression: Any, labels: Mapping[str, str]) -> bool:
    listed = labels.get(expression["key"]) in expression["values"]
    return listed if {"In": True, "NotIn": False}[expression["operator"]] else not listed


def chart_pods(documents: list[Object]) -> dict[str, Pod]:
    """Return the pods that the chart, Airflow and the Spark operator create.

    A pod is named "<platform or streams> <name>", for drivers and executors followed by the role, which Spark adds as a
    label.
    """
    return dict(_chart_pods(documents))


def _chart_pods(documents: list[Object]) -> Iterator[tuple[str, Pod]]:
    for _, pod in pods(documents):
        metadata = pod["metadata"]
        where = "platform" if metadata["namespace"] == NAMESPACE else "streams"
        yield f"{where} {metadata['labels'][NAME]}", Pod(metadata["namespace"], metadata["labels"])
    for name, application in applications(documents).items():
        for role in ("driver", "executor"):
            labels = application["spec"][role]["labels"] | {"spark-role": role}
            yield f"streams {name} {role}", Pod(application["metadata"]["namespace"], labels)
