"""Guards for writes: preconditions that bind a write to the object that was read, and one-line errors."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from tweet_dags.kubernetes.objects import Object, get


class ConflictError(Exception):
    """The object has changed since it was read, and was not written: read it again."""


class RejectedError(Exception):
    """The cluster rejected a write; the message has its reason."""


def delete_options(read: Object | None) -> client.V1DeleteOptions:
    """Return options that delete exactly the object `read`: no later version, and no new object of the same name.

    The API server answers 409 Conflict if uid or resourceVersion differ.
    """
    uid, version = (get(read, "metadata", name) for name in ("uid", "resourceVersion"))
    return client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=uid, resource_version=version))


@contextmanager
def ignore_not_found() -> Iterator[None]:
    """Suppress the error 404 Not Found."""
    try:
        yield
    except ApiException as error:
        if error.status != 404:
            raise


@contextmanager
def explain_errors(target: str) -> Iterator[None]:
    """Turn an API error of a write to `target` into one line; 404 passes unchanged.

    Raises:
        ConflictError: for the status 409.
        RejectedError: for any other status.
    """
    try:
        yield
    except ApiException as error:
        if error.status == 404:
            raise
        try:
            message = json.loads(error.body)["message"]
        except (ValueError, TypeError, KeyError):
            message = error.reason
        if error.status == 409:
            raise ConflictError(f"{target} has changed since it was read: {message}") from None
        raise RejectedError(f"{target} was not written and stays unchanged: {message}") from None
