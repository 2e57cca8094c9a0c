"""The stream of generated tweets."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from spark_apps import storage
from spark_apps.demo.feed import feed
from spark_apps.demo.malformed import Expected
from tests.s3_server import Outage, S3Server
from tests.waiting import until


def test_an_outage_of_s3_does_not_end_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    server, landed, stop = S3Server(), list[Expected](), threading.Event()
    # One attempt: boto3's own repetitions would outlast the outage.
    for name, value in {**server.environment, "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    with ThreadPoolExecutor() as threads:
        stream = threads.submit(feed, "s3a://lake/landing", 20, landed.append, stop)
        try:
            until(lambda: len(landed) >= 2, 30, "the first files", every=0.1)
            with server.outage(Outage.THROTTLED):
                time.sleep(3)
                before = len(landed)
            until(lambda: len(landed) >= before + 2, 30, "files after the outage", every=0.1)
        finally:
            stop.set()
    stream.result()
    assert len(list(storage.paths("s3a://lake/landing"))) == len(landed)
    server.stop()
