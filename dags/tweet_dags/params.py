"""Parameters of the DAGs."""

from typing import Any

from airflow.sdk import Param


def required(kind: str, **schema: Any) -> Param:
    """Return a parameter of the JSON type `kind` without a default: Airflow refuses to trigger a run without a value.

    The form of Airflow's UI shows an empty field in red before anybody has typed, unless its type allows null.
    Therefore the type allows null, and `not` forbids it.
    """
    schema |= {"type": ["null", kind], "not": {"type": "null"}}
    return Param(None, **schema)
