"""docs/security.md lists the permissions that the chart grants."""

from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.chart.rendering import NAMESPACE, ROOT, Object, objects, render

pytestmark = pytest.mark.chart

PAGE = (ROOT / "docs" / "security.md").read_text()
# A service account, a namespace, and a resource, with the names of its objects if the permission is restricted to them.
Key = tuple[str, str, str]


def documented() -> dict[Key, set[str]]:
    table = PAGE.partition("| Service account | Namespace | Resource | Verbs |\n")[2].partition("\n\n")[0]
    permissions: dict[Key, set[str]] = {}
    for line in table.splitlines()[1:]:
        accounts, namespace, resource, verbs = (cell.strip() for cell in line.strip("|").split("|"))
        for account in accounts.split(", "):
            permissions[account, namespace, resource] = set(verbs.split(", "))
    return permissions


def rendered(documents: list[Object]) -> dict[Key, set[str]]:
    permissions: dict[Key, set[str]] = defaultdict(set)
    roles = {(role["metadata"]["namespace"], role["metadata"]["name"]): role for role in _of(documents, "Role")}
    for binding in _of(documents, "RoleBinding"):
        namespace = binding["metadata"]["namespace"]
        for rule in roles[namespace, binding["roleRef"]["name"]]["rules"]:
            names = f": {', '.join(rule['resourceNames'])}" if "resourceNames" in rule else ""
            for subject in binding["subjects"]:
                for resource in rule["resources"]:
                    where = "platform" if namespace == NAMESPACE else "streams"
                    permissions[subject["name"], where, f"{resource}{names}"].update(rule["verbs"])
    return {key: verbs for key, verbs in permissions.items() if not _is_covered(key, verbs, permissions)}


def _is_covered(key: Key, verbs: set[str], permissions: dict[Key, set[str]]) -> bool:
    """Tell whether the account has the same permission without the names."""
    resource, colon, _ = key[2].partition(":")
    return bool(colon) and verbs <= permissions.get((*key[:2], resource), set())


def _of(documents: list[Object], kind: str) -> Iterator[Object]:
    return (document for document in documents if document["kind"] == kind)


def test_the_table_of_permissions_is_that_of_the_chart() -> None:
    documents = render()
    assert documented() == rendered(documents)
    assert not list(_of(documents, "ClusterRole")) and not list(_of(documents, "ClusterRoleBinding"))


def test_the_page_names_all_service_accounts_and_admission_policies() -> None:
    documents = render()
    (without,) = [line for line in PAGE.splitlines() if "have no permissions in Kubernetes" in line]
    listed = {account for account, _, _ in documented()}
    assert {name for name in objects(documents, "ServiceAccount") if name not in listed} == {
        name for name in objects(documents, "ServiceAccount") if name in without.replace(",", "").split()
    }
    for name in objects(documents, "ValidatingAdmissionPolicy"):
        assert f"| `{name.removeprefix('tweets.tweet-sentiment-')}` |" in PAGE
