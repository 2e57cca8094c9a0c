"""Answer AWS requests that moto does not support, in front of moto's server.

EKS add-ons, pod identity associations and access entries are stored as sent and returned as active. `MotoGaps` also
returns the fields of clusters and node groups that moto drops, and the subscribers of budget notifications. README.md
has the complete list.
"""

import io
import json
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from moto.backends import get_backend

ACCOUNT = "123456789012"  # moto's
REGION = "eu-central-1"
_NOW = 1700000000
_CLUSTER_PATH = re.compile(r"/clusters(?:/(?P<cluster>[^/]+)(?P<groups>/node-groups(?:/(?P<group>[^/]+))?)?)?")
# moto returns the tags of a launch template as if they were tags of its instances.
_TEMPLATE_TAGS = re.compile(rb"<item>\s*<resourceType>launch-template</resourceType>.*?</tagSet>\s*</item>", re.DOTALL)
_DROPPED_FIELDS = ("accessConfig", "upgradePolicy")


class _NotFoundError(Exception):
    """The requested resource does not exist."""


def _body(environ: WSGIEnvironment) -> dict[str, Any]:
    """Parse the JSON body of a request, and rewind the body for moto."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    parsed: dict[str, Any] = json.loads(body or b"{}")
    return parsed


def _notification_key(budget: str, body: dict[str, Any]) -> str:
    """Identify a notification of a budget by type, operator and threshold."""
    notification = body["Notification"]
    threshold = float(notification["Threshold"])
    return f"{budget} {notification['NotificationType']} {notification['ComparisonOperator']} {threshold}"


class MotoGaps:
    """A WSGI application in front of moto's application."""

    def __init__(self, moto: WSGIApplication) -> None:
        self._moto = moto
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Drop all stored state, like moto's reset."""
        self._dropped: dict[tuple[str, str | None], dict[str, Any]] = {}
        self._groups: dict[str, str] = {}
        self._stored: dict[tuple[str, ...], dict[str, Any]] = {}
        self._subscribers: dict[str, Any] = {}
        self._count = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if str(environ.get("HTTP_X_AMZ_TARGET", "")).startswith("AWSBudgetServiceGateway."):
            return self._budgets(environ, start_response)
        if "/ec2/aws4_request" in environ.get("HTTP_AUTHORIZATION", ""):
            return self._ec2_without_template_tags(environ, start_response)
        if "/eks/aws4_request" not in environ.get("HTTP_AUTHORIZATION", ""):
            return self._moto(environ, start_response)
        method = str(environ["REQUEST_METHOD"])
        # The decoded path does not show which slashes belong to an ARN.
        raw, _, query = str(environ["REQUEST_URI"]).partition("?")
        parts = [unquote(part) for part in raw.strip("/").split("/")]
        route = self._route(parts)
        if route is None:
            return self._with_dropped_fields(raw, environ, start_response)
        body = _body(environ)
        try:
            with self._lock:
                answer = route(method, parts[1], parts[3:], body, query)
        except (_NotFoundError, KeyError):
            start_response("404 Not Found", [("X-Amzn-Errortype", "ResourceNotFoundException")])
            return [b'{"message": "not found"}']
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    def _ec2_without_template_tags(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if b"Action=DescribeLaunchTemplateVersions" not in body:
            return self._moto(environ, start_response)
        return self._with_changed_answer(environ, start_response, lambda answer: _TEMPLATE_TAGS.sub(b"", answer))

    def _budgets(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        action = str(environ["HTTP_X_AMZ_TARGET"]).partition(".")[2]
        body = _body(environ)
        answer: dict[str, Any]
        if action == "CreateBudget":
            for notification in body.get("NotificationsWithSubscribers", []):
                key = _notification_key(body["Budget"]["BudgetName"], notification)
                self._subscribers[key] = notification["Subscribers"]
            self._stored["budget", body["Budget"]["BudgetName"]] = {"ResourceTags": body.get("ResourceTags", [])}
            return self._moto(environ, start_response)
        if action == "CreateNotification":
            self._subscribers[_notification_key(body["BudgetName"], body)] = body["Subscribers"]
            return self._moto(environ, start_response)
        if action == "DescribeSubscribersForNotification":
            answer = {"Subscribers": self._subscribers.get(_notification_key(body["BudgetName"], body), [])}
        elif action == "ListTagsForResource":
            answer = self._stored.get(("budget", body["ResourceARN"].rpartition("/")[2]), {"ResourceTags": []})
        else:
            return self._moto(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
        return [json.dumps(answer).encode()]

    def _route(self, parts: list[str]) -> Callable[..., dict[str, Any]] | None:
        if len(parts) < 3 or parts[0] != "clusters":
            return None
        routes: dict[str, Callable[..., dict[str, Any]]] = {
            "addons": self._addons,
            "pod-identity-associations": self._associations,
            "access-entries": self._entries,
        }
        return routes.get(parts[2])

    def _addons(
        self,
        method: str,
        cluster: str,
        rest: list[str],
        body: dict[str, Any],
        query: str,  # noqa: ARG002
    ) -> dict[str, Any]:
        if method == "POST":
            name = body["addonName"]
            associations = [
                self._associate(cluster, {"namespace": "kube-system", **pod})
                for pod in body.get("podIdentityAssociations", [])
            ]
            self._stored["addon", cluster, name] = {
                "addonName": name,
                "clusterName": cluster,
                "status": "ACTIVE",
                "addonVersion": body.get("addonVersion", "v1.0.0-eksbuild.1"),
                "addonArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:addon/{cluster}/{name}/1",
                "createdAt": _NOW,
                "modifiedAt": _NOW,
                "health": {"issues": []},
                "configurationValues": body.get("configurationValues"),
                "podIdentityAssociations": [association["associationArn"] for association in associations],
                "tags": body.get("tags", {}),
            }
            return {"addon": self._stored["addon", cluster, name]}
        return {"addon": self._lookup(method, ("addon", cluster, rest[0]))}

    def _associate(self, cluster: str, body: dict[str, Any]) -> dict[str, Any]:
        self._count += 1
        name = f"a-{self._count:016d}"
        self._stored["association", cluster, name] = {
            "clusterName": cluster,
            "namespace": body["namespace"],
            "serviceAccount": body["serviceAccount"],
            "roleArn": body["roleArn"],
            "associationArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/{cluster}/{name}",
            "associationId": name,
            "createdAt": _NOW,
            "modifiedAt": _NOW,
            "tags": body.get("tags", {}),
        }
        return self._stored["association", cluster, name]

    def _associations(
        self,
        method: str,
        cluster: str,
        rest: list[str],
        body: dict[str, Any],
        query: str,  # noqa: ARG002
    ) -> dict[str, Any]:
        if method == "POST":
            return {"association": self._associate(cluster, body)}
        return {"association": self._lookup(method, ("association", cluster, rest[0]))}

    def _entries(
        self,
        method: str,
        cluster: str,
        rest: list[str],
        body: dict[str, Any],
        query: str,  # noqa: ARG002
    ) -> dict[str, Any]:
        if "access-policies" in rest:
            return self._policies(method, cluster, rest, body)
        if method == "POST":
            principal = body["principalArn"]
            self._stored["entry", cluster, principal] = {
                "clusterName": cluster,
                "principalArn": principal,
                "kubernetesGroups": body.get("kubernetesGroups", []),
                "accessEntryArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:access-entry/{cluster}/{principal}",
                "createdAt": _NOW,
                "modifiedAt": _NOW,
                "type": body.get("type", "STANDARD"),
                "username": body.get("username", principal),
                "tags": body.get("tags", {}),
            }
            return {"accessEntry": self._stored["entry", cluster, principal]}
        return {"accessEntry": self._lookup(method, ("entry", cluster, rest[0]))}

    def _policies(self, method: str, cluster: str, rest: list[str], body: dict[str, Any]) -> dict[str, Any]:
        principal = rest[0]
        if method == "POST":
            policy = {
                "policyArn": body["policyArn"],
                "accessScope": body["accessScope"],
                "associatedAt": _NOW,
                "modifiedAt": _NOW,
            }
            self._stored["policy", cluster, principal, body["policyArn"]] = policy
            return {"clusterName": cluster, "principalArn": principal, "associatedAccessPolicy": policy}
        if method == "DELETE":
            self._lookup(method, ("policy", cluster, principal, rest[2]))
            return {}
        policies = [policy for key, policy in self._stored.items() if key[:3] == ("policy", cluster, principal)]
        return {"clusterName": cluster, "principalArn": principal, "associatedAccessPolicies": policies}

    def _lookup(self, method: str, key: tuple[str, ...]) -> dict[str, Any]:
        if key not in self._stored:
            raise _NotFoundError(key)
        return self._stored.pop(key) if method == "DELETE" else self._stored[key]

    def _with_dropped_fields(
        self, path: str, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Let moto answer, and add the fields of a cluster or node group that moto drops."""
        match = _CLUSTER_PATH.fullmatch(path)
        if not match:
            return self._moto(environ, start_response)
        cluster, group = match["cluster"], match["group"]
        if environ["REQUEST_METHOD"] == "POST":
            sent = _body(environ)
            if match["groups"]:
                group = sent["nodegroupName"]
                self._dropped[cluster, group] = {"updateConfig": sent.get("updateConfig"), "remoteAccess": None}
            else:
                cluster = sent["name"]
                self._dropped[cluster, None] = {field: sent[field] for field in _DROPPED_FIELDS if field in sent}
                self._groups[cluster] = _security_group(cluster, sent["resourcesVpcConfig"]["subnetIds"][0])

        def add_fields(answer: bytes) -> bytes:
            response = json.loads(answer)
            resource = response.get("nodegroup") or response.get("cluster")
            if resource:
                resource |= self._dropped.get((cluster, group), {})
            if "cluster" in response:
                group_id = self._groups[cluster]
                vpc = _ec2().get_security_group_from_id(group_id).vpc_id
                response["cluster"]["resourcesVpcConfig"] |= {"clusterSecurityGroupId": group_id, "vpcId": vpc}
                if environ["REQUEST_METHOD"] == "DELETE":
                    _ec2().delete_security_group(group_id=group_id)
            return json.dumps(response).encode()

        return self._with_changed_answer(environ, start_response, add_fields)

    def _with_changed_answer(
        self, environ: WSGIEnvironment, start_response: StartResponse, change: Callable[[bytes], bytes]
    ) -> Iterable[bytes]:
        started: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:  # noqa: ARG001
            started[:] = [status, headers]
            return lambda _: None

        answer = b"".join(self._moto(environ, start))
        status, headers = started
        if status.startswith("200"):
            answer = change(answer)
        start_response(status, [(name, value) for name, value in headers if name.lower() != "content-length"])
        return [answer]


def _ec2() -> Any:
    return get_backend("ec2")[ACCOUNT][REGION]


def _security_group(cluster: str, subnet: str) -> str:
    """Create the security group that EKS creates for the control plane and nodes, and return its ID."""
    vpc = _ec2().get_subnet(subnet).vpc_id
    group_id: str = _ec2().create_security_group(f"eks-cluster-sg-{cluster}", f"Nodes of {cluster}", vpc_id=vpc).id
    return group_id
