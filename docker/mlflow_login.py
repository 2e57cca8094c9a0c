"""The login of the MLflow server: its users, their permissions, and the configuration of MLflow's app `basic-auth`."""

import configparser
from pathlib import Path
from typing import Any

from flask import request
from mlflow.exceptions import MlflowException
from mlflow.server.auth import authenticate_request_basic_auth, make_forbidden_response
from mlflow.server.auth.permissions import EDIT, MANAGE, READ, RESOURCE_TYPE_EXPERIMENT, RESOURCE_TYPE_REGISTERED_MODEL
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

from spark_apps.registry.connection import connect
from spark_apps.settings import MODEL_NAME

ADMIN = "admin"
# The users besides the administrator, with their permissions on all experiments and on all registered models. Runs and
# artifacts belong to an experiment, and tags, aliases and versions to a registered model.
GRANTS = {
    "reader": (READ, READ),
    "quality": (READ, EDIT),
    "writer": (MANAGE, MANAGE),
}
# MLflow lets every user create experiments and models, and has no permission for tags without aliases and versions. So
# these users may only read, and send the requests listed here, with the prefixes of the tags that they may write.
_WRITES: dict[str, dict[str, tuple[str, ...]]] = {
    "reader": {},
    "quality": {
        "/api/2.0/mlflow/registered-models/set-tag": ("finding: ", "acknowledged: "),
        "/api/2.0/mlflow/registered-models/delete-tag": ("finding: ", "acknowledged: "),
        "/api/2.0/mlflow/model-versions/set-tag": ("baseline ", "shadow figures"),
    },
}


def create_users(uri: str, passwords: dict[str, str]) -> None:
    """Create or update the users and their permissions, and MLflow's tables for them.

    Args:
        uri: URI of the database, in the form of SQLAlchemy.
        passwords: password of ADMIN and of each user of GRANTS.

    Raises:
        SystemExit: MLflow refuses a password. The message names its key in the Secret.
    """
    store = SqlAlchemyStore()
    store.init_db(uri)
    for user in (ADMIN, *GRANTS):
        try:
            _set_password(store, user, passwords[user])
        except MlflowException as error:
            raise SystemExit(
                f"error: {user}-password of the Secret of mlflow.existingSecret: {error.message}"
            ) from None
    for user, (experiments, models) in GRANTS.items():
        store.grant_user_permission(user, RESOURCE_TYPE_EXPERIMENT, "*", experiments.name)
        store.grant_user_permission(user, RESOURCE_TYPE_REGISTERED_MODEL, "*", models.name)


def _set_password(store: SqlAlchemyStore, user: str, password: str) -> None:
    if not store.has_user(user):
        store.create_user(user, password, is_admin=user == ADMIN)
    elif not store.authenticate_user(user, password):
        store.update_user(user, password=password)


def create_model(uri: str) -> None:
    """Create the registered model, without a version, if it does not exist.

    To a user who is not the administrator, MLflow answers 403 about a model that does not exist: clients could not tell
    an empty registry from a missing permission.
    """
    try:
        connect(uri, timeout=60).create_registered_model(MODEL_NAME)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def write_config(file: Path, uri: str) -> None:
    """Write the configuration of `basic-auth`, which holds the password of the database, readable by its user only."""
    config = configparser.RawConfigParser()
    config["mlflow"] = {
        "database_uri": uri.replace("%", "%%"),  # MLflow reads the file with interpolation
        "admin_username": ADMIN,
        # Users whom an administrator adds get no permission by default.
        "default_permission": "NO_PERMISSIONS",
        "authorization_function": f"{__name__}:authorize",
        # MLflow checks the password several times a request, and a check takes a tenth of a second of processor time.
        "auth_cache_ttl_seconds": "600",
    }
    file.touch(mode=0o600)
    with file.open("w") as stream:
        config.write(stream)


def authorize() -> Any:
    """Authenticate the user of a request, and refuse what _WRITES excludes. MLflow then checks the permissions."""
    authorization = authenticate_request_basic_auth()
    writes = _WRITES.get(getattr(authorization, "username", None) or "")
    if writes is None or request.method in ("GET", "HEAD"):
        return authorization
    body = request.get_json(force=True, silent=True)
    key = body.get("key") if isinstance(body, dict) else None
    if isinstance(key, str) and key.startswith(writes.get(request.path, ())):
        return authorization
    return make_forbidden_response()
