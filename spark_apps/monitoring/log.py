"""Log lines in JSON: one per micro-batch or other unit of work, for the log collector of a cluster."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from spark_apps.streaming.stream import BatchReport


def batch_line(report: BatchReport) -> str:
    """Return a finished micro-batch as one JSON object.

    The object has one key per count. `seconds` and `lag` are in seconds. For a stream without a model, `cached` and
    `model_version` are null, and `model_problem` is empty. `lag` is null where unknown.
    """
    result = report.result
    return event_line(
        "batch",
        {
            "stream": report.stream,
            "batch": report.batch,
            "read": result.read,
            **result.counts,
            "quarantine_reasons": result.rejected,
            "seconds": round(report.seconds, 3),
            "lag": None if report.lag is None else round(report.lag, 3),
            "cached": result.cached,
            "model_version": result.model_version,
            "model_problem": result.model_problem,
        },
    )


def event_line(name: str, fields: Mapping[str, Any]) -> str:
    """Return an event as one JSON object: the current time, the name of the event, and `fields`."""
    return json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": name, **fields})
