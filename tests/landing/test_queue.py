"""S3 event notifications return each file once; repeated, late and foreign messages do not change that."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from spark_apps.landing.landed_file import LandedFile
from spark_apps.landing.queue import QueueDiscovery
from spark_apps.landing.taken import TakenFiles

Send = Callable[[Any], None]
TIME = "2026-11-28T10:00:00.500Z"


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with mock_aws():
        queue = boto3.client("sqs").create_queue(QueueName="landing", Attributes={"VisibilityTimeout": "30"})
        yield queue["QueueUrl"]


@pytest.fixture
def send(url: str) -> Send:
    return lambda body: boto3.client("sqs").send_message(
        QueueUrl=url, MessageBody=body if isinstance(body, str) else json.dumps(body)
    )


def message_count(url: str) -> int:
    """Return the number of messages in the queue, including received ones that are not deleted."""
    attributes = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"]) + int(attributes["ApproximateNumberOfMessagesNotVisible"])


def s3_event(
    key: str, tag: str = "t1", bucket: str = "tweets", size: int = 5, name: str = "ObjectCreated:Put", time: str = TIME
) -> Any:
    entity = {"key": key, "size": size, "eTag": tag}
    s3 = {"bucket": {"name": bucket}, "object": entity}
    return {"Records": [{"eventName": name, "eventTime": time, "s3": s3}]}


def take_all(discovery: QueueDiscovery, taken: TakenFiles, until: float | None = None) -> list[LandedFile]:
    files = []
    while (file := discovery.next_file(taken, float("inf"), until)) is not None:
        taken.add(file)
        files.append(file)
    return files


def uris(files: list[LandedFile]) -> list[str]:
    return sorted(file.uri.removeprefix("s3a://tweets/landing/") for file in files)


def test_messages_of_s3_eventbridge_and_sns_are_read(url: str, send: Send) -> None:
    send(s3_event("landing/a+folder/%C3%A9.json"))
    send({"Type": "Notification", "Message": json.dumps(s3_event("landing/sns.json"))})
    send(
        {
            "source": "aws.s3",
            "detail-type": "Object Created",
            "time": "2026-11-28T10:00:00Z",
            "detail": {"bucket": {"name": "tweets"}, "object": {"key": "landing/a b+.json", "size": 5, "etag": "t"}},
        }
    )
    send({"Service": "Amazon S3", "Event": "s3:TestEvent"})
    send(s3_event("landing/removed.json", name="ObjectRemoved:Delete"))
    send(s3_event("landing/folder/", size=0))
    discovery = QueueDiscovery(url, "s3a://tweets/landing")
    files = take_all(discovery, TakenFiles())
    assert uris(files) == ["a b+.json", "a folder/é.json", "sns.json"]
    assert {(file.size, file.problem) for file in files} == {(5, "")}
    assert min(file.landed_at for file in files) == 1_795_860_000.0
    assert discovery.is_idle()
    assert message_count(url) == 6
    discovery.acknowledge()
    assert message_count(url) == 0


def test_a_repeated_message_is_recognised_and_a_new_version_is_read(url: str, send: Send) -> None:
    taken = TakenFiles()
    send(s3_event("landing/a.json", "t1"))
    send(s3_event("landing/a.json", "t1"))
    send(s3_event("landing/a.json", "t2", time="2026-11-28T10:00:00.600Z"))
    discovery = QueueDiscovery(url, "s3a://tweets/landing")
    assert [file.version for file in take_all(discovery, taken)] == ["t1", "t2"]
    # After a kill before the acknowledgement, SQS delivers the messages again.
    for receipt in discovery._receipts:
        boto3.client("sqs").change_message_visibility(QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=0)
    restarted = QueueDiscovery(url, "s3a://tweets/landing")
    assert [file.version for file in take_all(restarted, TakenFiles(0.0, list(taken)))] == []
    restarted.acknowledge()
    assert message_count(url) == 0


@pytest.mark.parametrize(
    "message",
    [
        "no JSON",
        [1],
        {"Records": 5},
        {"Records": [{"eventName": "ObjectCreated:Put"}]},
        {"Type": "Notification", "Message": "hello"},
        s3_event("landing/a.json", bucket="other"),
        s3_event("elsewhere/a.json"),
    ],
)
def test_a_foreign_message_stays_in_the_queue(url: str, send: Send, message: Any) -> None:
    send(message)
    send(s3_event("landing/b.json"))
    discovery = QueueDiscovery(url, "s3a://tweets/landing")
    assert uris(take_all(discovery, TakenFiles())) == ["b.json"]
    discovery.acknowledge()
    assert message_count(url) == 1


def test_only_messages_of_taken_files_are_acknowledged(url: str, send: Send) -> None:
    for number in range(5):
        send(s3_event(f"landing/{number}.json", size=10))
    discovery, taken = QueueDiscovery(url, "s3a://tweets/landing"), TakenFiles()
    file = discovery.next_file(taken, 10, None)
    assert file is not None
    taken.add(file)
    assert discovery.next_file(taken, 9, None) is None  # too large for the rest of the batch
    discovery.acknowledge()
    assert message_count(url) == 4


def test_messages_about_files_that_land_after_the_start_of_a_run_stay_in_the_queue(url: str, send: Send) -> None:
    send(s3_event("landing/a.json"))
    discovery = QueueDiscovery(url, "s3a://tweets/landing")
    assert take_all(discovery, TakenFiles(), until=1_795_850_000.0) == []
    discovery.acknowledge()
    assert message_count(url) == 1


def test_a_hidden_object_is_reported(url: str, send: Send) -> None:
    send(s3_event("landing/.a.json"))
    send(s3_event("landing/_SUCCESS"))
    (file,) = take_all(QueueDiscovery(url, "s3a://tweets/landing"), TakenFiles())
    assert file.problem == "hidden"
