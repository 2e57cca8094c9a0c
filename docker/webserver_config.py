"""Log in to Airflow with OpenID Connect.

The chart names this file in AIRFLOW__FAB__CONFIG_FILE if `login.oidc` is set. Otherwise, people log in as the local
administrator.
"""

import json
import os
from typing import Any, ClassVar

from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride
from flask_appbuilder.const import AUTH_OAUTH

_STREAM_DAGS = ("keep_streams_running", "operate_stream", "rebuild_table", "replay_quarantine", "watch_quality")
_MODEL_DAGS = ("release_model", "rescore_gold")
_ADMINISTRATOR = "Admin"
# Airflow's roles by the roles of the chart.
_ROLES = {"viewer": "Viewer", "operator": "Operator", "releaser": "Releaser"}


def _may_run(dags: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the permissions to see everything, and to run `dags` and clear their tasks."""
    run = [pair for dag in dags for pair in (("can_edit", f"DAG:{dag}"), ("can_create", f"DAG Run:{dag}"))]
    # To clear tasks, Airflow requires both permissions, and the one to edit the DAG.
    clear = [("can_edit", "DAG Runs"), ("can_edit", "Task Instances")]
    return [*FabAirflowSecurityManagerOverride.VIEWER_PERMISSIONS, *run, *clear]


class OidcSecurityManager(FabAirflowSecurityManagerOverride):
    """Reads the claims of the ID token, and knows the roles of the chart."""

    ROLE_CONFIGS: ClassVar[list[dict[str, Any]]] = [
        *FabAirflowSecurityManagerOverride.ROLE_CONFIGS,
        {"role": "Operator", "perms": _may_run(_STREAM_DAGS)},
        {"role": "Releaser", "perms": _may_run(_MODEL_DAGS)},
    ]

    def get_oauth_user_info(self, provider: str, resp: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return the name and the groups of a person; nothing, which refuses the login, for a person without a role."""
        # Authlib has checked the signature, issuer, audience and nonce of this token.
        claims = resp["userinfo"]
        claim = claims.get(os.environ["TWEETS_OIDC_ROLES_CLAIM"])
        named = claim if isinstance(claim, list) else [claim]
        groups = [group for group in named if isinstance(group, str) and group in AUTH_ROLES_MAPPING]
        name = claims.get("preferred_username") or claims.get("email") or claims["sub"]
        user = self.find_user(username=name)
        # The provider must not take the name, and therefore the record, of the local administrator.
        if not groups or (user and any(role.name == _ADMINISTRATOR for role in user.roles)):
            return {}
        return {
            "username": name,
            "first_name": claims.get("given_name") or claims.get("name") or "",
            "last_name": claims.get("family_name") or "",
            "role_keys": groups,
        }


def _roles_by_group(groups_by_role: dict[str, list[str]]) -> dict[str, list[str]]:
    mapping: dict[str, list[str]] = {}
    for role, groups in groups_by_role.items():
        for group in groups:
            mapping.setdefault(group, []).append(_ROLES[role])
    return mapping


SECURITY_MANAGER_CLASS = OidcSecurityManager
AUTH_TYPE = AUTH_OAUTH
AUTH_USER_REGISTRATION = True
# A role without permissions: all permissions come from the groups, which are read again at each login.
AUTH_USER_REGISTRATION_ROLE = "Public"
AUTH_ROLES_SYNC_AT_LOGIN = True
AUTH_ROLES_MAPPING = _roles_by_group(json.loads(os.environ["TWEETS_OIDC_ROLES"]))
OAUTH_PROVIDERS = [
    {
        "name": "oidc",
        "icon": "fa-key",
        "token_key": "access_token",
        "remote_app": {
            "client_id": os.environ["TWEETS_OIDC_CLIENT_ID"],
            # A Secret that was created from a file often ends with a line break.
            "client_secret": os.environ["TWEETS_OIDC_CLIENT_SECRET"].strip(),
            "server_metadata_url": os.environ["TWEETS_OIDC_ISSUER"].rstrip("/") + "/.well-known/openid-configuration",
            "client_kwargs": {"scope": os.environ["TWEETS_OIDC_SCOPES"]},
        },
    }
]
