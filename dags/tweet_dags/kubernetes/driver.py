"""Query the progress endpoint of a driver, and distinguish faults of the driver from faults of the network."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from tweet_dags.kubernetes.objects import Object, get

_PORT = 8090
_TIMEOUT_SECONDS = 5.0


class ResponseStatus(Enum):
    """How a request to a driver ended."""

    ANSWERED = "it answered"
    REFUSED = "it refused the connection"
    # The connection was accepted, but no response came.
    TIMED_OUT = "it accepted the connection and did not answer"
    # Says nothing about the driver: the network is at fault, or another process answers at its address.
    UNREACHABLE = "it could not be reached"


@dataclass(frozen=True)
class DriverResponse:
    """The response of a driver to a request for its progress.

    Attributes:
        status: How the request ended. The next four fields are set only for `ANSWERED`.
        batches: The last finished batch of each stream; -1 before the first.
        seconds_since_progress: The seconds since each stream last advanced.
        waits_for: What each waiting stream waits for, such as a table or the end of an outage.
        last_error: The last error that the lake holds for the stream, or ''.
        problem: For any other status, why the driver did not answer.
    """

    status: ResponseStatus
    batches: Mapping[str, int] = field(default_factory=dict)
    seconds_since_progress: Mapping[str, float] = field(default_factory=dict)
    waits_for: Mapping[str, str] = field(default_factory=dict)
    last_error: str = ""
    problem: str = ""


def query_driver(driver: Object | None) -> DriverResponse | None:
    """Return the response of a driver pod; None without a pod, or before the pod has an IP address."""
    address = get(driver, "status", "podIP")
    return query_progress(str(address)) if address else None


def query_progress(address: str, port: int = _PORT, timeout: float = _TIMEOUT_SECONDS) -> DriverResponse:
    """Request `/progress` from `address`; `timeout` is in seconds.

    urllib honours `http_proxy`, and would return the proxy's error as the driver's answer: use `http.client` instead.
    """
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        try:
            connection.connect()
        except ConnectionRefusedError as error:
            return DriverResponse(ResponseStatus.REFUSED, problem=str(error))
        except OSError as error:
            return _unreachable(f"no connection to {address}:{port}: {error}")
        try:
            connection.request("GET", "/progress")
            response = connection.getresponse()
            body = response.read()
        except TimeoutError:
            return DriverResponse(ResponseStatus.TIMED_OUT, problem=f"no response within {timeout:.0f} s")
        except (OSError, http.client.HTTPException) as error:
            # The driver is terminating, or a proxy closed the connection.
            return _unreachable(f"the connection to {address}:{port} broke: {error!r}")
    finally:
        connection.close()
    return _parse(body, response.status, address)


def _parse(body: bytes, status: int, address: str) -> DriverResponse:
    try:
        progress = json.loads(body)
        streams = progress["streams"].items()
        return DriverResponse(
            ResponseStatus.ANSWERED,
            batches={name: int(stream["batch"]) for name, stream in streams},
            seconds_since_progress={name: float(stream["seconds_since_progress"]) for name, stream in streams},
            # A driver of an earlier version does not report it.
            waits_for={name: str(stream["waits_for"]) for name, stream in streams if stream.get("waits_for")},
            last_error=str(progress.get("error") or ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return _unreachable(f"{address} does not answer like a driver: HTTP {status}, {body[:80]!r}")


def _unreachable(problem: str) -> DriverResponse:
    return DriverResponse(ResponseStatus.UNREACHABLE, problem=problem)
