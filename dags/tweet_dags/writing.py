"""What makes a write safe: it is for what was read, and says in one line why the cluster has not taken it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from tweet_dags.seen import Object, get


class ChangedError(Exception):
    """What was to be written has changed since it was read: look again."""


class RefusedError(Exception):
    """The cluster does not take what was to be written; the text has its reason."""


def as_it_was(found: Object | None) -> client.V1DeleteOptions:
    """Return the options that delete what was seen, and not what stands in its place or has become of it."""
    uid, version = (get(found, "metadata", name) for name in ("uid", "resourceVersion"))
    return client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=uid, resource_version=version))


@contextmanager
def unless_gone() -> Iterator[None]:
    """Pass over the answer that what was asked for is not there."""
    try:
        yield
    except ApiException as error:
        if error.status != 404:
            raise


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Say in one line why the cluster has not taken a write."""
    try:
        yield
    except ApiException as error:
        if error.status == 404:
            raise
        try:
            said = json.loads(error.body)["message"]
        except (ValueError, TypeError, KeyError):
            said = error.reason
        if error.status == 409:
            raise ChangedError(f"{what} has changed since it was looked at: {said}") from None
        raise RefusedError(f"{what} was not written, and is left as it is: {said}") from None
