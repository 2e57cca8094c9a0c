"""Landed files in any compression, archive and encoding, and files that expand to a multiple of their size."""

import bz2
import gzip
import io
import json
import lzma
import time
from collections.abc import Callable

import pyarrow as pa
import pytest

from spark_apps.bronze.documents import Document, read_documents
from spark_apps.demo.malformed import tar
from tests.bronze.archives import zip_archive

LIMIT = 1 << 20
LINES = '{"id":1,"text":"café"}\n{"id":2}\n'
RAWS = LINES.split()
RAWS_OF_IDS = ['{"id":1}', '{"id":2}']


def split(data: bytes, name: str = "f.json") -> list[Document]:
    return list(read_documents(io.BytesIO(data), name, LIMIT))


def zstd(data: bytes) -> bytes:
    compressed: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return compressed


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd])
def test_compressed_files_are_recognised_by_their_content(compress: Callable[[bytes], bytes]) -> None:
    assert [document.raw for document in split(compress(LINES.encode()))] == RAWS
    assert [document.raw for document in split(compress(LINES.encode()) * 2)] == RAWS * 2


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-8-sig"]
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_unicode_encodings_are_read_with_and_without_a_byte_order_mark(
    encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    documents = split(compress(LINES.encode(encoding)))
    assert [document.raw for document in documents] == RAWS
    assert [document.problem for document in documents] == [None, None]


@pytest.mark.parametrize("start", [b"{\x00", b"[\x00", b"\x00{", b"{\x00\x00\x00", b"\xff\xfe"])
def test_a_damaged_first_line_does_not_change_the_encoding_of_the_others(start: bytes) -> None:
    documents = split(start + b"\n" + LINES.encode())
    assert [document.raw for document in documents][1:] == RAWS


@pytest.mark.parametrize(
    "pack", [tar, zip_archive, lambda members: gzip.compress(tar(members)), lambda members: bz2.compress(tar(members))]
)
def test_each_file_in_an_archive_is_read(pack: Callable[[dict[str, bytes]], bytes]) -> None:
    members = {
        "a.json": LINES.encode(),
        "b/c.json.bz2": bz2.compress(b'{"id":3}'),
        "empty": b"",
        "no": b"\x00\x01" * 99,
    }
    documents = split(pack(members))
    assert [(document.member, document.raw, document.problem) for document in documents] == [
        ("a.json", RAWS[0], None),
        ("a.json", RAWS[1], None),
        ("b/c.json.bz2", '{"id":3}', None),
        ("no", None, "binary"),
    ]


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress, zstd, lambda data: zip_archive({"a": data})])
def test_documents_before_the_damage_of_a_file_are_kept(compress: Callable[[bytes], bytes]) -> None:
    lines = b"".join(b'{"id":%d,"text":"%s"}\n' % (n, bytes(str(n * n * 7919), "ascii") * 9) for n in range(40_000))
    whole = compress(lines)
    damaged = whole[: len(whole) // 2] + bytes(64) + whole[len(whole) // 2 + 64 :]
    documents = split(damaged)
    assert documents[-1].problem == "damaged"
    assert {document.problem for document in documents[:-1]} <= {None}


def test_the_detail_of_an_encrypted_archive_says_so() -> None:
    data = bytearray(zip_archive({"a.json": b"{}" * 9}))
    data[6] |= 1  # the flag of encryption, in the header of the file and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (document,) = split(bytes(data))
    assert document.problem == "damaged" and "encrypted" in str(document.detail)


def test_a_zip_archive_in_a_tar_archive_is_opened_unless_that_is_compressed() -> None:
    inner = {"x.zip": zip_archive({"a.json": LINES.encode()}), "y.tar": tar({"b.json": LINES.encode()})}
    members = [document.member for document in split(tar(inner))]
    assert members == ["x.zip/a.json"] * 2 + ["y.tar/b.json"] * 2
    documents = split(gzip.compress(tar(inner)))
    assert [(document.member, document.problem) for document in documents] == [
        ("x.zip", "binary"),
        ("y.tar/b.json", None),
        ("y.tar/b.json", None),
    ]


def test_an_archive_within_archives_is_opened_to_a_bounded_depth() -> None:
    data = LINES.encode()
    for _ in range(2):
        data = gzip.compress(data)
    assert [document.raw for document in split(data)] == RAWS
    for _ in range(20):
        data = gzip.compress(data)
    assert [document.problem for document in split(data)] == ["binary"]


@pytest.mark.parametrize(
    "compress", [gzip.compress, bz2.compress, lzma.compress, zstd, lambda data: zip_archive({"a": data})]
)
@pytest.mark.parametrize("line", [b"\n", b"1\n"])
def test_a_decompression_bomb_takes_bounded_time_and_rows(compress: Callable[[bytes], bytes], line: bytes) -> None:
    bomb = compress(line * ((8 << 20) // len(line)))
    began = time.process_time()
    documents = split(bomb)
    assert documents[-1].problem == "too_compressed"
    assert len(documents) < 1000
    assert time.process_time() - began < 60


def test_a_file_may_expand_like_real_files() -> None:
    lines = b"".join(b'{"id":%d,"text":"good morning to all of you out there"}\n' % n for n in range(400_000))
    assert sum(document.problem is None for document in split(gzip.compress(lines, 1))) == 400_000


def test_blank_lines_take_no_time() -> None:
    data = b'{"id":1}' + b"\n" * (50 << 20) + b" \r\n" * (1 << 20) + b'{"id":2}'
    began = time.process_time()
    assert [document.raw for document in split(data)] == RAWS_OF_IDS
    assert time.process_time() - began < 5


def test_lines_that_are_not_json_are_joined() -> None:
    table = "".join(f"{n},2020-01-01,some text\n" for n in range(20_000))
    documents = split(('{"id":1}\n' + table + '{"id":2}\n').encode())
    assert (documents[0].raw, documents[-1].raw) == ('{"id":1}', '{"id":2}')
    assert 100 < len(documents) < 120
    assert "\n".join(str(document.raw) for document in documents[1:-1]) == table.strip()


def test_lengths_and_record_separators_are_not_documents() -> None:
    assert [document.raw for document in split(b'8\r\n{"id":1}\r\n8\r\n{"id":2}\r\n')] == RAWS_OF_IDS
    assert len(split(b'\x1e{"id":1}\n\x1e{"id":2}\n')) == 2
    assert [document.raw for document in split(b"7\n8\n")] == ["7", "8"]


def test_the_archive_of_an_account_is_one_document() -> None:
    tweets = json.dumps([{"tweet": {"id": "1"}}, {"tweet": {"id": "2"}}], indent=2)
    text = f"window.YTD.tweets.part0 = {tweets}"
    assert [document.raw for document in split(text.encode())] == [text]


def test_cesu8_is_decoded() -> None:
    (document,) = split(b'{"text":"a smile: \xed\xa0\xbd\xed\xb8\x80", "lang": "en", "user": {"id": 1}, "id": 1}')
    assert document.raw is not None and '"a smile: \U0001f600"' in document.raw


class _Broken(io.BytesIO):
    """A file with a connection that breaks after the first megabyte."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise ConnectionResetError("the connection was reset")
        return super().read(size)


def test_an_error_of_the_storage_is_not_damage() -> None:
    data = gzip.compress(bytes(range(256)) * 40_000, 0)
    with pytest.raises(ConnectionResetError):
        list(read_documents(_Broken(data), "f.json.gz", LIMIT))
