"""Reads the metrics of the executors from Spark's UI in the driver, which Prometheus cannot reach itself."""

from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

_PAGE = "/metrics/executors/prometheus"
_TIMEOUT_SECONDS = 5.0


def fetch(spark_ui: str | None) -> bytes | None:
    """Return the metrics of all executors in Prometheus' text format.

    Args:
        spark_ui: URL of Spark's UI; None before Spark has started.

    Returns:
        The metrics; None if the UI is not available.
    """
    if spark_ui is None:
        return None
    # The URL names the driver's service, which may not resolve inside the driver's pod.
    connection = HTTPConnection("127.0.0.1", urlsplit(spark_ui).port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", _PAGE)
        response = connection.getresponse()
        return response.read() if response.status == 200 else None
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
