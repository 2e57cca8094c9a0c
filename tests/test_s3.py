"""Landing and lake on S3: a moto server, with AWS's default credential chain and a custom endpoint."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from spark_apps import storage
from spark_apps.cli.main import app
from spark_apps.demo.generator import Generator, Mix
from tests import process


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    credentials = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    for name, value in {**credentials, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="tweets")
    yield endpoint
    server.stop()


@pytest.mark.slow
@pytest.mark.usefixtures("s3")
def test_all_layers_run_on_s3() -> None:
    client = boto3.client("s3")
    generator = Generator(9, mix=Mix(malformed=0.05, duplicates=0.1))
    first, second = generator.files(200, 100)
    client.put_object(Bucket="tweets", Key=f"voc_volume/a folder/{first.name}", Body=first.data)
    where = ["--landing", "s3a://tweets/voc_volume/", "--lake", "s3a://tweets/lake"]

    done = process.run("run", "bronze", *where, "--once", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["bronze"] == first.expected.documents

    client.put_object(Bucket="tweets", Key=f"voc_volume/日本 ☃/{second.name}", Body=second.data)
    done = process.run("run", *where, "--once", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    total = first.expected + second.expected
    assert (result["bronze"], result["gold"]) == (second.expected.documents, total.tweets)
    assert result["quarantine"] == dict(sorted(total.quarantine.items()))
    tables = result["tables"]
    assert (tables["documents"], tables["silver"], tables["duplicates"], tables["gold"]) == (
        total.documents,
        total.tweets,
        total.duplicates,
        total.tweets,
    )
    # In a separate process: deltalake holds the interpreter's lock while it reads, and this process runs the server.
    status = process.run("tables", "--lake", "s3a://tweets/lake", "--json")
    assert json.loads(status.stdout)["tables"]["gold/sentiment"]["rows"] == total.tweets, status.stderr


@pytest.mark.usefixtures("s3")
def test_an_object_is_read_from_an_offset_in_one_version_only() -> None:
    client = boto3.client("s3")
    version = client.put_object(Bucket="tweets", Key="a", Body=b"0123456789")["ETag"].strip('"')
    with storage.open_binary("s3a://tweets/a", version) as stream:
        assert stream.read(2) == b"01"
        stream.seek(7)
        assert stream.read() == b"789"
    with storage.open_binary("s3a://tweets/a", version) as stream:
        client.put_object(Bucket="tweets", Key="a", Body=b"9876543210")
        with pytest.raises((OSError, ClientError), match="PreconditionFailed"):
            stream.seek(7)
    with pytest.raises(FileNotFoundError):
        storage.open_binary("s3a://tweets/a", version)
    with storage.open_binary("s3a://tweets/a") as stream:
        assert stream.read(2) == b"98"


@pytest.mark.slow
@pytest.mark.usefixtures("s3")
def test_bronze_reads_the_messages_of_a_queue() -> None:
    """The file of a repeated message is read once, a file without a message is not, and a foreign message stays."""
    sqs = boto3.client("sqs")
    # Longer than the test: SQS delivers a received message again after this time, unless it is deleted.
    queue = sqs.create_queue(QueueName="landing", Attributes={"VisibilityTimeout": "3600"})["QueueUrl"]
    event = {
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-28T10:00:00.000Z",
        "s3": {"bucket": {"name": "tweets"}, "object": {"key": "landing/a.json", "size": 9, "eTag": "1"}},
    }
    for name in ("a", "without a message"):
        boto3.client("s3").put_object(Bucket="tweets", Key=f"landing/{name}.json", Body=b'{"id": 1}')
    for body in (json.dumps({"Records": [event]}), json.dumps({"Records": [event]}), "hello"):
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    # Use other folders than the other tests, because moto keeps their objects.
    where = ["--landing", "s3a://tweets/landing", "--lake", "s3a://tweets/queue"]
    done = process.run("run", "bronze", *where, "--once", "--json", env={"TWEETS_LANDING_QUEUE": queue})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["bronze"] == 1
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == "0"
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "1"


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("on_s3", [True, False])
def test_a_file_is_created_once(tmp_path: Path, on_s3: bool) -> None:
    folder = "s3a://tweets/created" if on_s3 else str(tmp_path / "created")
    storage.create(folder, "a.json", b"one")
    storage.create(folder, "a.json", b"one")  # as the S3 client does if a response is lost
    with pytest.raises(FileExistsError, match=r"created/a\.json"):
        storage.create(folder, "a.json", b"two")
    assert storage.read(f"{folder}/a.json") == b"one" and storage.names(folder) == ["a.json"]


@pytest.mark.usefixtures("s3")
def test_small_files_are_read_without_smart_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dashboard shows the state of erasures, and its image does not contain smart_open."""
    monkeypatch.setitem(sys.modules, "smart_open", None)
    storage.put("s3a://tweets/small", "a.json", b"one")
    assert storage.read("s3a://tweets/small/a.json") == b"one"
    assert storage.read("s3a://tweets/small/b.json") is None


@pytest.mark.usefixtures("s3")
def test_a_missing_bucket_is_named() -> None:
    arguments = ["--landing", "s3a://absent/x", "--lake", "s3a://tweets/lake", "--once"]
    done = CliRunner().invoke(app, ["run", *arguments])
    assert done.exit_code == 2, done.output
    message = " ".join(done.stderr.split())
    assert "landing s3a://absent/x is not readable" in message and "check that the bucket absent exists" in message


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("lake", ["s3a://tweets/none", "s3a://absent/lake"])
def test_a_lake_without_objects_does_not_exist(lake: str) -> None:
    shown = CliRunner().invoke(app, ["tables", "--lake", lake])
    assert shown.exit_code == 2
    assert f"lake {lake} does not exist: check --lake, or start the streams" in " ".join(shown.stderr.split())


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("code", ["AccessDenied", "InvalidObjectState"])
def test_an_object_that_s3_refuses_is_named(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Bronze quarantines the file as unreadable; otherwise every retry of its batch would fail."""
    boto3.client("s3").put_object(Bucket="tweets", Key="a.json", Body=b"{}")
    assert storage.open_binary("s3a://tweets/a.json").read() == b"{}"
    monkeypatch.setattr(ClientError, "__init__", _with_code(ClientError.__init__, code))
    with pytest.raises(PermissionError, match=code):
        storage.open_binary("s3a://tweets/no.json")


def _with_code(init: Callable[..., None], code: str) -> Callable[..., None]:
    """Return an `__init__` that gives each error of S3 the code `code`, because moto does not refuse requests."""

    def patched(self: ClientError, response: dict[str, Any], operation: str) -> None:
        init(self, response | {"Error": {"Code": code, "Message": "refused"}}, operation)

    return patched
