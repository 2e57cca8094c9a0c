"""What a driver answers over HTTP: from real queries, and when they stand still."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from spark_apps.demo.feed import land
from spark_apps.monitoring.progress import Listener, Progress
from spark_apps.monitoring.server import serve
from spark_apps.settings import SettingsError
from spark_apps.stream import BatchReport, Streams
from tests.conftest import Place
from tests.waiting import until


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def progress() -> Progress:
    return Progress(["bronze"])


@pytest.fixture
def port(progress: Progress) -> Iterator[int]:
    with serve(progress, 0, stuck_seconds=0.3) as port:
        yield port


def test_a_stream_that_stands_still_is_unhealthy_until_it_advances(progress: Progress, port: int) -> None:
    progress.touch("bronze")
    assert get(port, "/healthz")[0] == 200
    time.sleep(0.4)
    progress.touch("silver")
    assert get(port, "/healthz")[0] == 503
    progress.on_batch(BatchReport("bronze", 3, 1.5, {"rows": 7}))
    assert get(port, "/healthz")[0] == 200


def test_a_process_whose_streams_never_start_is_unhealthy(port: int) -> None:
    assert get(port, "/healthz")[0] == 200
    time.sleep(0.4)
    assert get(port, "/healthz")[0] == 503


def test_other_paths_are_named(port: int) -> None:
    code, text = get(port, "/")
    assert (code, "/progress" in text) == (404, True)


def test_a_taken_port_is_refused(progress: Progress) -> None:
    with (
        socket.create_server(("0.0.0.0", 0)) as taken,
        pytest.raises(SettingsError, match="TWEETS_MONITOR_PORT"),
        serve(progress, taken.getsockname()[1], 1),
    ):
        pass


def test_the_queries_of_a_run(place: Place) -> None:
    """Batches are counted, and a query that has nothing to do goes on advancing."""
    expected = land(place.landing, 40, seed=2)
    progress, stop = Progress(["bronze", "silver"]), threading.Event()
    listener = Listener(progress)
    place.spark.streams.addListener(listener)
    streams = [stream for stream in place.layers() if stream.name in {"bronze", "silver"}]
    run = threading.Thread(
        target=Streams(place.spark, place.lake, progress.on_batch, stop).run, args=(streams, "0 seconds")
    )
    try:
        with serve(progress, 0, stuck_seconds=60) as port:
            run.start()
            counted = f'tweet_sentiment_rows_total{{kind="rows",stream="silver"}} {expected.tweets}.0'
            until(lambda: counted in get(port, "/metrics")[1], 90, "the tweets counted")
            assert (
                f'tweet_sentiment_rows_total{{kind="rows",stream="bronze"}} {expected.documents}.0'
                in (get(port, "/metrics")[1])
            )
            time.sleep(12)
            ages = {name: query["seconds_since_progress"] for name, query in _progress(port)["streams"].items()}
            assert ages.keys() == {"bronze", "silver"}
            assert max(ages.values()) < 12
    finally:
        stop.set()
        run.join(60)
        place.spark.streams.removeListener(listener)


def _progress(port: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get(port, "/progress")[1])
    return found
