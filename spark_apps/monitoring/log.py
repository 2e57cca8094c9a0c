"""One line of JSON a micro-batch, or a part of other work, for whatever collects the logs of a cluster."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from spark_apps.streaming.stream import BatchReport


def batch_line(report: BatchReport) -> str:
    """Return the batch as one JSON object: what `counts` holds, and seconds to the millisecond.

    Where a stream knows of none, `lag` and `model_version` are null, `quarantine_reasons` and `model_problem` empty.
    """
    outcome = report.result
    return event(
        "batch",
        {
            "stream": report.stream,
            "batch": report.batch,
            "read": outcome.read,
            **outcome.counts,
            "quarantine_reasons": outcome.rejected,
            "seconds": round(report.seconds, 3),
            "lag": None if report.lag is None else round(report.lag, 3),
            "cached": outcome.cached,
            "model_version": outcome.model_version,
            "model_problem": outcome.model_problem,
        },
    )


def event(name: str, fields: Mapping[str, Any]) -> str:
    """Return what has happened as one JSON object, with the time."""
    return json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": name, **fields})
