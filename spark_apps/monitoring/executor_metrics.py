"""What the driver knows of its executors: a page of Spark's own UI, which itself stays closed to the cluster."""

from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

_PAGE = "/metrics/executors/prometheus"
_SECONDS = 5.0


def metrics(ui: str | None) -> bytes | None:
    """Return the page in Prometheus' format, one series an executor; None where no UI at the URL `ui` gives it."""
    if ui is None:
        return None
    # The name in the URL is that of the driver's service, which need not lead back to this pod.
    connection = HTTPConnection("127.0.0.1", urlsplit(ui).port, timeout=_SECONDS)
    try:
        connection.request("GET", _PAGE)
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else None
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
