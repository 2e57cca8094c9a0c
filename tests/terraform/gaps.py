"""What moto lacks, answered in front of it: add-ons, pod identity associations and access entries of EKS.

Each keeps what it was sent and gives it back, as EKS would once it is active. `Gaps` also adds to moto's cluster the
fields that moto takes and forgets, and says who hears of a budget. README.md lists all of it.
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
_REMEMBERED = re.compile(r"/clusters(?:/(?P<cluster>[^/]+)(?P<groups>/node-groups(?:/(?P<group>[^/]+))?)?)?")
# The tags of a launch template itself come back as if its instances were to have them.
_OWN_TAGS = re.compile(rb"<item>\s*<resourceType>launch-template</resourceType>.*?</tagSet>\s*</item>", re.DOTALL)
_FORGOTTEN = ("accessConfig", "upgradePolicy")


class _AbsentError(Exception):
    """Asked for what is not there."""


def _sent(environ: WSGIEnvironment) -> dict[str, Any]:
    """Read the body, and leave it to be read again."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    found: dict[str, Any] = json.loads(body or b"{}")
    return found


def _notification(budget: str, sent: dict[str, Any]) -> str:
    about = sent["Notification"]
    return f"{budget} {about['NotificationType']} {about['ComparisonOperator']} {float(about['Threshold'])}"


class Gaps:
    """A WSGI application in front of moto's."""

    def __init__(self, moto: WSGIApplication) -> None:
        self._moto = moto
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Start anew, as moto does on a reset."""
        self._forgotten: dict[tuple[str, str | None], dict[str, Any]] = {}
        self._groups: dict[str, str] = {}
        self._kept: dict[tuple[str, ...], dict[str, Any]] = {}
        self._subscribers: dict[str, Any] = {}
        self._count = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if str(environ.get("HTTP_X_AMZ_TARGET", "")).startswith("AWSBudgetServiceGateway."):
            return self._budgets(environ, start_response)
        if "/ec2/aws4_request" in environ.get("HTTP_AUTHORIZATION", ""):
            return self._ec2_without_own_tags(environ, start_response)
        if "/eks/aws4_request" not in environ.get("HTTP_AUTHORIZATION", ""):
            return self._moto(environ, start_response)
        method = str(environ["REQUEST_METHOD"])
        # The decoded path would have lost which slash belongs to an ARN.
        raw, _, query = str(environ["REQUEST_URI"]).partition("?")
        parts = [unquote(part) for part in raw.strip("/").split("/")]
        route = self._route(parts)
        if route is None:
            return self._with_forgotten(raw, environ, start_response)
        body = _sent(environ)
        try:
            with self._lock:
                answer = route(method, parts[1], parts[3:], body, query)
        except (_AbsentError, KeyError):
            start_response("404 Not Found", [("X-Amzn-Errortype", "ResourceNotFoundException")])
            return [b'{"message": "not there"}']
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    def _ec2_without_own_tags(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if b"Action=DescribeLaunchTemplateVersions" not in body:
            return self._moto(environ, start_response)
        return self._changed(environ, start_response, lambda answer: _OWN_TAGS.sub(b"", answer))

    def _budgets(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        action = str(environ["HTTP_X_AMZ_TARGET"]).partition(".")[2]
        body = _sent(environ)
        answer: dict[str, Any]
        if action == "CreateBudget":
            for sent in body.get("NotificationsWithSubscribers", []):
                self._subscribers[_notification(body["Budget"]["BudgetName"], sent)] = sent["Subscribers"]
            self._kept["budget", body["Budget"]["BudgetName"]] = {"ResourceTags": body.get("ResourceTags", [])}
            return self._moto(environ, start_response)
        if action == "CreateNotification":
            self._subscribers[_notification(body["BudgetName"], body)] = body["Subscribers"]
            return self._moto(environ, start_response)
        if action == "DescribeSubscribersForNotification":
            answer = {"Subscribers": self._subscribers.get(_notification(body["BudgetName"], body), [])}
        elif action == "ListTagsForResource":
            answer = self._kept.get(("budget", body["ResourceARN"].rpartition("/")[2]), {"ResourceTags": []})
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
            made = [
                self._associate(cluster, {"namespace": "kube-system", **pod})
                for pod in body.get("podIdentityAssociations", [])
            ]
            self._kept["addon", cluster, name] = {
                "addonName": name,
                "clusterName": cluster,
                "status": "ACTIVE",
                "addonVersion": body.get("addonVersion", "v1.0.0-eksbuild.1"),
                "addonArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:addon/{cluster}/{name}/1",
                "createdAt": _NOW,
                "modifiedAt": _NOW,
                "health": {"issues": []},
                "configurationValues": body.get("configurationValues"),
                "podIdentityAssociations": [association["associationArn"] for association in made],
                "tags": body.get("tags", {}),
            }
            return {"addon": self._kept["addon", cluster, name]}
        return {"addon": self._found(method, ("addon", cluster, rest[0]))}

    def _associate(self, cluster: str, body: dict[str, Any]) -> dict[str, Any]:
        self._count += 1
        name = f"a-{self._count:016d}"
        self._kept["association", cluster, name] = {
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
        return self._kept["association", cluster, name]

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
        return {"association": self._found(method, ("association", cluster, rest[0]))}

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
            self._kept["entry", cluster, principal] = {
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
            return {"accessEntry": self._kept["entry", cluster, principal]}
        return {"accessEntry": self._found(method, ("entry", cluster, rest[0]))}

    def _policies(self, method: str, cluster: str, rest: list[str], body: dict[str, Any]) -> dict[str, Any]:
        principal = rest[0]
        if method == "POST":
            made = {
                "policyArn": body["policyArn"],
                "accessScope": body["accessScope"],
                "associatedAt": _NOW,
                "modifiedAt": _NOW,
            }
            self._kept["policy", cluster, principal, body["policyArn"]] = made
            return {"clusterName": cluster, "principalArn": principal, "associatedAccessPolicy": made}
        if method == "DELETE":
            self._found(method, ("policy", cluster, principal, rest[2]))
            return {}
        found = [made for key, made in self._kept.items() if key[:3] == ("policy", cluster, principal)]
        return {"clusterName": cluster, "principalArn": principal, "associatedAccessPolicies": found}

    def _found(self, method: str, key: tuple[str, ...]) -> dict[str, Any]:
        if key not in self._kept:
            raise _AbsentError(key)
        return self._kept.pop(key) if method == "DELETE" else self._kept[key]

    def _with_forgotten(self, path: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Let moto answer, and add to a cluster or a node group what it was made with and moto forgot."""
        where = _REMEMBERED.fullmatch(path)
        if not where:
            return self._moto(environ, start_response)
        cluster, group = where["cluster"], where["group"]
        if environ["REQUEST_METHOD"] == "POST":
            sent = _sent(environ)
            if where["groups"]:
                group = sent["nodegroupName"]
                self._forgotten[cluster, group] = {"updateConfig": sent.get("updateConfig"), "remoteAccess": None}
            else:
                cluster = sent["name"]
                self._forgotten[cluster, None] = {field: sent[field] for field in _FORGOTTEN if field in sent}
                self._groups[cluster] = _security_group(cluster, sent["resourcesVpcConfig"]["subnetIds"][0])

        def remember(answer: bytes) -> bytes:
            found = json.loads(answer)
            about = found.get("nodegroup") or found.get("cluster")
            if about:
                about |= self._forgotten.get((cluster, group), {})
            if "cluster" in found:
                group_id = self._groups[cluster]
                vpc = _ec2().get_security_group_from_id(group_id).vpc_id
                found["cluster"]["resourcesVpcConfig"] |= {"clusterSecurityGroupId": group_id, "vpcId": vpc}
                if environ["REQUEST_METHOD"] == "DELETE":
                    _ec2().delete_security_group(group_id=group_id)
            return json.dumps(found).encode()

        return self._changed(environ, start_response, remember)

    def _changed(
        self, environ: WSGIEnvironment, start_response: StartResponse, change: Callable[[bytes], bytes]
    ) -> Iterable[bytes]:
        begun: list[Any] = []

        def begin(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:  # noqa: ARG001
            begun[:] = [status, headers]
            return lambda _: None

        answer = b"".join(self._moto(environ, begin))
        status, headers = begun
        if status.startswith("200"):
            answer = change(answer)
        start_response(status, [(name, value) for name, value in headers if name.lower() != "content-length"])
        return [answer]


def _ec2() -> Any:
    return get_backend("ec2")[ACCOUNT][REGION]


def _security_group(cluster: str, subnet: str) -> str:
    """Make the group that EKS makes for control plane and nodes."""
    vpc = _ec2().get_subnet(subnet).vpc_id
    made: str = _ec2().create_security_group(f"eks-cluster-sg-{cluster}", f"Nodes of {cluster}", vpc_id=vpc).id
    return made
