"""Waits for the end of an outage: of S3, the network, the name service or the disk.

If the driver ended at each failed request, it would be restarted until the stream is given up. A driver that waits
continues within seconds of the end of the outage.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# The delay before the next attempt doubles from the first value to the second.
_FIRST_DELAY_SECONDS, _MAX_DELAY_SECONDS = 1.0, 30.0
# Interval between the calls of `on_wait`.
_POLL_SECONDS = 2.0
_MAX_CHARACTERS = 300

# Exceptions that mean that S3, the network or the name service does not respond, by the simple name of their class.
_CLASSES = {
    # Java
    "ConnectException",
    "ConnectTimeoutException",
    "NoHttpResponseException",
    "NoRouteToHostException",
    "SocketException",
    "SocketTimeoutException",
    "SSLException",
    "UnknownHostException",
    # Hadoop's S3A and the AWS SDK for Java
    "ApiCallAttemptTimeoutException",
    "ApiCallTimeoutException",
    "AWSApiCallTimeoutException",
    "AWSNoResponseException",
    "AWSServiceThrottledException",
    "AWSStatus500Exception",
    "NoAuthWithAWSException",
    "SdkClientException",
    # Python and botocore
    "ConnectionClosedError",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "ConnectTimeoutError",
    "EndpointConnectionError",
    "HTTPClientError",
    "NoCredentialsError",
    "ProxyConnectionError",
    "ReadTimeoutError",
    "ResponseStreamingError",
    "TimeoutError",
}
# Messages of exceptions with a general class: of the operating system, botocore and the object store of deltalake.
_MESSAGE = re.compile(
    r"No space left on device|Disk quota exceeded|Input/output error|Stale file handle|Transport endpoint"
    r"|\((?:SlowDown|ServiceUnavailable|InternalError|RequestTimeout|Throttling|ThrottlingException|50\d|429)\)"
    r"|Generic S3 error"
)
_FULL_DISK = re.compile(r"No space left on device|Disk quota exceeded")
_FULL_DISK_REMEDY = "delete files, or enlarge the volume"
# The first line of an exception in a stack trace of Java or Python. Other lines may quote the content of a file.
_EXCEPTION = re.compile(r"(?:[\w$]+\.)*(?P<name>[A-Z]\w*(?:Exception|Error))(?:: (?P<message>.*))?")


def outlast(
    action: Callable[[], _T],
    on_wait: Callable[[str], None],
    stop: threading.Event,
    progress: Callable[[], object] = lambda: None,
) -> _T | None:
    """Call `action` again after each outage, with a growing delay, until it returns or raises another error.

    Args:
        action: function that may be called several times.
        on_wait: called every two seconds during a delay, with the error that names the outage.
        stop: event that ends the delay.
        progress: returns a value that changes while `action` works: an outage after a change is a new one.

    Returns:
        The result of `action`; None if `stop` was set during an outage.
    """
    delay, outage = _FIRST_DELAY_SECONDS, ""
    while True:
        began, progress_before = time.monotonic(), progress()
        try:
            return action()
        except Exception as error:
            last_outage, outage = outage, find_outage(error) or ""
            if not outage:
                raise
        if has_worked := progress() != progress_before:
            last_outage = ""
        if has_worked or time.monotonic() - began > 2 * _MAX_DELAY_SECONDS:
            delay = _FIRST_DELAY_SECONDS  # a new outage
        if outage != last_outage:
            _log.warning(
                "waiting for the end of an outage, attempts at most %.0f s apart: %s", _MAX_DELAY_SECONDS, outage
            )
        resume_at = time.monotonic() + delay
        while (left := resume_at - time.monotonic()) > 0:
            on_wait(outage)
            if stop.wait(min(left, _POLL_SECONDS)):
                return None
        delay = min(2 * delay, _MAX_DELAY_SECONDS)


def find_outage(error: BaseException) -> str | None:
    """Return the line of `error` that names the outage that caused it; None for any other error.

    An outage can end without a change of the stream. A full disk counts as an outage; its line ends with the remedy.
    """
    lines = [line for cause in _causes(error) for line in _exception_lines(cause) if _names_outage(line)]
    # The longest line names the request or the file; the others often say only that something timed out.
    if not lines:
        return None
    outage = max(lines, key=len)[:_MAX_CHARACTERS]
    is_full = any(_FULL_DISK.search(line) for line in lines)
    return f"{outage}: {_FULL_DISK_REMEDY}" if is_full else outage


def _names_outage(line: str) -> bool:
    match = _EXCEPTION.fullmatch(line)
    return match is not None and (match["name"] in _CLASSES or bool(_MESSAGE.search(match["message"] or "")))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    pending = [error]
    while pending:
        cause = pending.pop()
        if cause is not None and cause not in seen:
            seen.append(cause)
            yield cause
            context = None if cause.__suppress_context__ else cause.__context__
            # PySpark keeps the cause of a Java exception in `_cause`.
            pending += [context, cause.__cause__, getattr(cause, "_cause", None)]


def _exception_lines(error: BaseException) -> Iterator[str]:
    """Yield the possible first lines of exceptions in `error` and in the stack trace that its message contains."""
    message = str(error).splitlines()
    yield f"{type(error).__name__}: {message[0] if message else ''}"
    # PySpark keeps the stack trace of a Java exception, with its causes, in `_stackTrace`.
    for line in message + (getattr(error, "_stackTrace", None) or "").splitlines():
        # Py4J writes the first line of a Java stack trace as ": java.lang.Error: …".
        yield line.strip().removeprefix(": ").removeprefix("Caused by: ")
