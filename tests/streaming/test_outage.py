"""What counts as an outage, and how a stream waits for its end."""

import errno
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from pyspark.sql import DataFrame

from spark_apps import spark_context
from spark_apps.lake.commits import LakeError
from spark_apps.streaming import outage
from spark_apps.streaming.outage import find_outage, outlast
from spark_apps.streaming.query_group import QueryError
from spark_apps.streaming.runner import StreamError
from spark_apps.streaming.stream import Batch, BatchResult, always_ready
from spark_apps.tables import BRONZE_TWEETS
from tests.conftest import Pipeline

_ENDPOINT = "http://127.0.0.1:9000"
# As PySpark reports errors of S3A in the driver.
_JAVA = """Writing job aborted
=== Streaming Query ===
Identifier: silver [id = 1, runId = 2]
org.apache.spark.SparkException: Writing job aborted
\tat org.apache.spark.sql.errors.QueryExecutionErrors$.writingJobAbortedError(QueryExecutionErrors.scala:931)
Caused by: {}
\tat org.apache.hadoop.fs.s3a.S3AUtils.translateException(S3AUtils.java:271)
\t... 67 more"""


def chained(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EIO, "Input/output error"),
        ConnectionResetError("Connection reset by peer"),
        EndpointConnectionError(endpoint_url=_ENDPOINT),
        ReadTimeoutError(endpoint_url=_ENDPOINT),
        ClientError({"Error": {"Code": "SlowDown", "Message": "reduce your request rate"}}, "PutObject"),
        ClientError({"Error": {"Code": "503"}}, "HeadObject"),
        chained(LakeError("s3a://lake cannot be read"), OSError("Kernel error -> Generic S3 error\n  503")),
        QueryError("silver", _JAVA.format("java.net.UnknownHostException: lake.s3.amazonaws.com")),
        QueryError("silver", _JAVA.format("org.apache.hadoop.fs.s3a.AWSServiceThrottledException: PUT 0.json")),
        QueryError("silver", _JAVA.format("java.io.IOException: No space left on device")),
        QueryError("bronze", "".join(traceback.format_exception(EndpointConnectionError(endpoint_url=_ENDPOINT)))),
    ],
    ids=str,
)
def test_outages_are_recognised(error: Exception) -> None:
    assert find_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a tweet says: TimeoutError: timed out"),
        QueryError("silver", _JAVA.format("java.lang.ClassCastException: a string is not a number")),
        QueryError("silver", "[PATH_NOT_FOUND] s3a://ConnectException/x does not exist"),
        ClientError({"Error": {"Code": "AccessDenied", "Message": "not permitted"}}, "PutObject"),
        ClientError({"Error": {"Code": "NoSuchBucket"}}, "PutObject"),
        PermissionError(errno.EACCES, "Permission denied"),
        LakeError("silver/tweets was written by another process"),
    ],
    ids=str,
)
def test_other_errors_are_no_outages(error: Exception) -> None:
    assert find_outage(error) is None


def test_an_outage_is_described_by_its_longest_line() -> None:
    error = chained(ReadTimeoutError(endpoint_url=_ENDPOINT), TimeoutError("timed out"))
    assert find_outage(error) == f'ReadTimeoutError: Read timeout on endpoint URL: "{_ENDPOINT}"'


def attempts(*errors: Exception) -> Callable[[], str]:
    """Return a function that raises `errors`, one per call, and then returns "done"."""
    left = list(errors)

    def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return attempt


def test_an_action_is_repeated_until_the_outage_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "_FIRST_DELAY_SECONDS", 0.01)
    reasons: list[str] = []
    action = attempts(TimeoutError("first"), TimeoutError("second"))
    assert outlast(action, reasons.append, threading.Event()) == "done"
    assert set(reasons) == {"TimeoutError: first", "TimeoutError: second"}


def test_an_outage_after_work_is_a_new_one(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The log names each outage, although their errors are equal."""
    monkeypatch.setattr(outage, "_FIRST_DELAY_SECONDS", 0.01)
    attempts, batches = [0, 0, 1, 1, 2], 0

    def action() -> str:
        nonlocal batches
        if not attempts:
            return "done"
        batches = attempts.pop(0)
        raise OSError(errno.ENOSPC, "No space left on device")

    assert outlast(action, lambda _: None, threading.Event(), lambda: batches) == "done"
    logged = [record for record in caplog.records if "waiting for the end of an outage" in record.message]
    assert len(logged) == 3


def test_an_error_that_is_no_outage_is_raised_at_once() -> None:
    with pytest.raises(ValueError, match="wrong"):
        outlast(attempts(ValueError("wrong")), pytest.fail, threading.Event())


def test_a_stop_ends_the_wait() -> None:
    stop = threading.Event()
    assert outlast(attempts(TimeoutError("away")), lambda _: stop.set(), stop) is None


def test_a_stream_waits_for_space_on_the_disk(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is repeated until it is written, and written once."""
    monkeypatch.setattr(outage, "_FIRST_DELAY_SECONDS", 0.2)
    (stream,) = pipeline.streams("bronze")
    pipeline.land("1.json", "{}")
    process, stop = stream.prepare(), threading.Event()
    assert process
    failures = attempts(*[OSError(errno.ENOSPC, "No space left on device")] * 3)
    waits: list[tuple[str, str]] = []

    def run(batch: Batch) -> BatchResult:
        failures()
        return process.run(batch)

    runner = pipeline.runner(
        stop=stop, on_batch=lambda _: stop.set(), on_wait=lambda name, reason: waits.append((name, reason))
    )
    runner.run([replace(stream, prepare=always_ready(run))], "0 seconds")
    remedy = "delete files, or enlarge the volume"
    assert set(waits) == {("bronze", f"OSError: [Errno 28] No space left on device: {remedy}")}
    assert len(pipeline.rows(BRONZE_TWEETS)) == 1


def test_a_single_run_does_not_wait(pipeline: Pipeline) -> None:
    (stream,) = pipeline.streams("bronze")
    pipeline.land("1.json", "{}")

    def run(_: Batch) -> BatchResult:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StreamError, match="No space left on device"):
        pipeline.run_once(replace(stream, prepare=always_ready(run)))


def test_a_driver_that_has_lost_its_jvm_ends(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    (stream,) = pipeline.streams("bronze")

    def source() -> DataFrame:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    monkeypatch.setattr(spark_context, "is_alive", lambda _: False)
    with pytest.raises(StreamError, match="the JVM of the driver has ended"):
        pipeline.runner().run([replace(stream, source=source)], "0 seconds")
