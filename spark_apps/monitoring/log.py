"""Log lines in JSON, one per micro-batch or other event, for the log collector of a cluster."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from spark_apps.streaming.stream import BatchReport


def batch_line(report: BatchReport) -> str:
    """Return a finished micro-batch as one JSON object.

    The object has a key for each count of the stream. `seconds` is the duration of the batch. `lag`, also in seconds,
    is null if it is unknown. For a stream without a model, `cached` and `model_version` are null, and `model_problem`
    is empty.
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
