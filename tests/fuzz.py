"""Generates files of damaged, deep, large and oddly encoded documents; each hundred is followed by a canary.

Run as a program, it reads 100,000 documents like Bronze and Silver: python -m tests.fuzz --documents 100000 --seed 7
"""

import bz2
import gzip
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Annotated, Any

import typer

from spark_apps.bronze.documents import read_documents
from spark_apps.demo.generator import Generator
from spark_apps.demo.malformed import dumps
from spark_apps.demo.shapes import ONE
from spark_apps.silver.records import Rejected, Tweet, read_records
from spark_apps.tables import REASONS

DOCUMENTS_PER_FILE = 100
LIMIT = 8 << 20
_MAX_COMPRESSED = 4 << 20
_COMPRESSIONS: list[Callable[[bytes], bytes]] = [bytes, bytes, gzip.compress, bz2.compress]
_WORDS = ["data", "id", "id_str", "text", "full_text", "created_at", "user", "legacy", "tweet", "payload", "x", "_json"]
_TIMES = ["2099-01-01T00:00:00Z", "", 0, 10**30, -1, 1e300, "28/11/2022 10:11", "Mon Foo 99", None, {}]


@dataclass(frozen=True)
class FuzzFile:
    """A file of damaged documents. The last line is a valid tweet, the canary; `canary` is its id."""

    name: str
    data: bytes
    canary: str


def files(documents: int, seed: int) -> Iterator[FuzzFile]:
    """Yield files with `documents` damaged documents in total; the same seed yields the same files."""
    random = Random(seed)
    generator = Generator(seed)
    for number in range(-(-documents // DOCUMENTS_PER_FILE)):
        count = min(DOCUMENTS_PER_FILE, documents - number * DOCUMENTS_PER_FILE)
        lines = [_document(random, generator) for _ in range(count)]
        id_ = str(10**18 + seed * 10**9 + number)
        canary = {"id": id_, "full_text": f"a canary, number {number}", "timestamp": "2026-01-01T00:00:00Z"}
        data = b"\n".join([*lines, dumps(canary)]) + random.choice([b"", b"\n", b"\r\n\n"])
        # Bronze would reject the end of a large compressed file, with the canary, as a decompression bomb.
        compress = random.choice(_COMPRESSIONS) if len(data) < _MAX_COMPRESSED else bytes
        yield FuzzFile(f"fuzz/{seed}-{number}.json", compress(data), id_)


def _document(random: Random, generator: Generator) -> bytes:
    draft = generator.new_draft()
    value: Any = random.choice(list(ONE.values()))(draft)
    for _ in range(random.choice([0, 1, 1, 2, 5])):
        value = _damaged_value(random, value)
    data = json.dumps(value, ensure_ascii=random.random() < 0.3).encode("utf-8", "surrogatepass")
    for _ in range(random.choice([0, 0, 1, 2])):
        data = random.choice([_cut, _noise, _deep, _twice, _decorated, _encoded])(random, data)
    return data.replace(b"\n", b" ")


def _value(random: Random) -> Any:
    return random.choice(
        [None, True, 0, -1, 1.5, 2**64, "", "x", "\ud800", "\x00", "9" * 5000, [], {}, [1, 2], {"id": 1}, {"text": "t"}]
    )


def _damaged_value(random: Random, value: Any) -> Any:
    """Replace or drop fields, or wrap the value."""
    match random.randrange(7):
        case 0 if isinstance(value, dict) and value:
            return value | {random.choice(list(value)): _value(random)}
        case 1 if isinstance(value, dict):
            return value | {random.choice(["created_at", "timestamp", "date"]): random.choice(_TIMES)}
        case 2 if isinstance(value, dict) and value:
            return {name: inner for name, inner in value.items() if name != random.choice(list(value))}
        case 3:
            return {random.choice(_WORDS): value, random.choice(_WORDS): _value(random)}
        case 4:
            return [value, _value(random)] * random.choice([1, 2, 50])
        case 5:
            return {"Message": json.dumps(value)}
        case _ if isinstance(value, dict):
            size = random.choice([10, 1_000, 200_000])
            return value | {random.choice(["full_text", "text", "user_id", "lang"]): "@a1 " * (size // 4)}
    return value


def _cut(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(1, len(data) + 1)]


def _noise(random: Random, data: bytes) -> bytes:
    position = random.randrange(len(data))
    return (
        data[:position] + random.choice([b"\xff", b"\x00", b'"', b"\\", b"\xed\xa0\x80", b"//", b"{"]) + data[position:]
    )


def _deep(random: Random, data: bytes) -> bytes:
    depth = random.choice([5, 99, 101, 500, 990, 1_500, 10_000])
    opening, closing = random.choice([(b"[", b"]"), (b'{"data":', b"}"), (b'{"x":[', b"]}")])
    inside = random.choice([data, b"1", b'"x"'])
    nested = opening * depth + inside + closing * depth
    return random.choice([nested, b'{"id":"1","text":"t","created_at":' + nested + b"}"])


def _twice(random: Random, data: bytes) -> bytes:
    return data + random.choice([b"", b",", b" ", b"\x1e", b" and "]) + data


def _decorated(random: Random, data: bytes) -> bytes:
    return random.choice([b"\xef\xbb\xbf", b"window.YTD.tweets.part0 = ", b"// ", b"\x1e", b"1234", b"\t "]) + data


def _encoded(random: Random, data: bytes) -> bytes:
    text = data.decode("utf-8", "replace")
    return random.choice(
        [json.dumps(text).encode(), text.encode("latin-1", "ignore") or b"x", text.encode("cp1252", "ignore") or b"x"]
    )


@dataclass
class Result:
    """Records by reason ("tweet" for tweets), files that lost a canary, and CPU seconds of the slowest file."""

    records: Counter[str] = field(default_factory=Counter)
    documents: int = 0
    lost: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def read(self, file: FuzzFile) -> None:
        """Read a file like Bronze and Silver."""
        began = time.process_time()
        ids = set()
        for document in read_documents(io.BytesIO(file.data), file.name, LIMIT):
            self.documents += 1
            if document.problem:
                self.records[document.problem] += 1
                continue
            records = list(read_records(document.raw or "", datetime.now(UTC), document.raw_bytes))
            assert records, "each document has a record"
            for record in records:
                self.records[record.reason if isinstance(record, Rejected) else "tweet"] += 1
                if isinstance(record, Tweet):
                    ids.add(record.id)
        if file.canary not in ids:
            self.lost.append(file.name)
        self.slowest = max(self.slowest, time.process_time() - began)

    def check(self) -> None:
        assert not self.lost, f"canaries lost in {self.lost}"
        assert self.records.keys() <= REASONS.keys() | {"tweet"}
        assert self.records["internal_error"] == 0, "a document raises an exception in Silver"


def main(
    documents: Annotated[int, typer.Option(min=1, help="Number of damaged documents.")] = 100_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same documents.")] = 0,
) -> None:
    """Read damaged documents and check that no canary is lost. Example: python -m tests.fuzz --documents 10000."""
    result = Result()
    for number, file in enumerate(files(documents, seed)):
        result.read(file)
        if number % 100 == 99:
            print(
                f"{(number + 1) * DOCUMENTS_PER_FILE:,} documents, the slowest file took {result.slowest:.1f} s",
                flush=True,
            )
    print(dict(result.records.most_common()))
    result.check()


if __name__ == "__main__":
    typer.run(main)
