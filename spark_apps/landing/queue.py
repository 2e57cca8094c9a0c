"""Finds the new files of a landing by the messages that S3 sends to an SQS queue, without listing the landing."""

import json
import logging
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from spark_apps import storage
from spark_apps.landing.landed_file import LandedFile, name_problem
from spark_apps.landing.taken import TakenFiles

_log = logging.getLogger(__name__)
# Maximum number of messages in a request to SQS.
_MESSAGES = 10
# Maximum number of requests in a search for a new file.
_REQUESTS = 100


class QueueDiscovery:
    """Receives S3's notifications, directly or through EventBridge or SNS.

    A message is deleted once its files are in the log. Until then, and sometimes after, SQS delivers it again:
    `TakenFiles` recognises repeated files. A message that is not about the landing stays in the queue, and SQS moves it
    to the dead-letter queue.
    """

    def __init__(self, url: str, landing: str) -> None:
        self._url = url
        self._bucket, self._prefix = storage.bucket_and_prefix(landing)
        self._sqs = storage.client("sqs")
        # Files with the receipt of their message; only the last file of a message has the receipt, the others have "".
        self._found: deque[tuple[LandedFile, str]] = deque()
        # Receipts of messages that can be deleted: each of their files was returned, or is not new.
        self._receipts: list[str] = []
        self._idle = False

    def next_file(self, taken: TakenFiles, max_bytes: float, until: float | None) -> LandedFile | None:
        for _ in range(_REQUESTS):
            while self._found:
                file, receipt = self._found[0]
                is_new = taken.is_new(file)
                if is_new and file.size > max_bytes:
                    return None
                self._found.popleft()
                if receipt:
                    self._receipts.append(receipt)
                if is_new:
                    return file
            taken.drop_oldest()
            if not self._receive(until):
                break
        return None

    def is_idle(self) -> bool:
        return self._idle

    def acknowledge(self) -> None:
        for start in range(0, len(self._receipts), _MESSAGES):
            receipts = self._receipts[start : start + _MESSAGES]
            entries = [{"Id": str(index), "ReceiptHandle": receipt} for index, receipt in enumerate(receipts)]
            self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)
        self._receipts = []

    def _receive(self, until: float | None) -> bool:
        """Receive up to ten messages; return whether the queue had any."""
        answer = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=_MESSAGES, WaitTimeSeconds=0)
        messages = answer.get("Messages", [])
        self._idle = not messages
        foreign = 0
        for message in messages:
            try:
                files = list(self._files(message["Body"]))
            except (ValueError, KeyError, TypeError, AttributeError):
                foreign += 1
                continue
            receipt = message["ReceiptHandle"]
            if not files:
                self._receipts.append(receipt)
            elif until is None or all(file.landed_at <= until for file in files):
                self._found.extend((file, receipt if file is files[-1] else "") for file in files)
        if foreign:
            _log.warning(
                "%d messages in %s are not about files of the landing and stay in the queue: check the bucket's event "
                "notifications, and give the queue a dead-letter queue",
                foreign,
                self._url,
            )
        return bool(messages)

    def _files(self, body: str) -> Iterator[LandedFile]:
        """Yield the files of a message; raise an error if the message is not an S3 event notification."""
        message = json.loads(body)
        if message.get("Type") == "Notification":
            message = json.loads(message["Message"])
        if message.get("Event") == "s3:TestEvent":
            return
        if message.get("source") == "aws.s3":
            if message["detail-type"] == "Object Created":
                detail = message["detail"]
                yield from self._file(detail["bucket"]["name"], detail["object"], "etag", message["time"])
            return
        for record in message["Records"]:
            if record["eventName"].startswith("ObjectCreated:"):
                entity = record["s3"]["object"] | {"key": unquote_plus(record["s3"]["object"]["key"])}
                yield from self._file(record["s3"]["bucket"]["name"], entity, "eTag", record["eventTime"])

    def _file(self, bucket: str, entity: dict[str, Any], tag: str, landed: str) -> Iterator[LandedFile]:
        key = entity["key"]
        landed_at = datetime.fromisoformat(landed).timestamp()
        if bucket != self._bucket or not key.startswith(self._prefix):
            raise ValueError("a file outside of the landing")
        if key.endswith("/"):
            return
        # Report a hidden object at once: no later message is about it.
        problem = name_problem(key.removeprefix(self._prefix), landed_at, float("inf"))
        if problem is not None:
            uri = f"s3a://{bucket}/{key}"
            yield LandedFile(min(landed_at, time.time()), uri, int(entity.get("size", 0)), entity.get(tag, ""), problem)
