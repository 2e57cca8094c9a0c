"""Split files into documents: the layouts that clients write, and damaged files."""

import codecs
import gzip
import io
import json
import tracemalloc

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from spark_apps.bronze.documents import Document, read_documents

LIMIT = 1 << 20
TWEET = {"id": 1, "full_text": "good morning", "user": {"id": 7}, "tags": ["a", "b"]}


def split(data: bytes, name: str = "f.json", limit: int = LIMIT) -> list[Document]:
    return list(read_documents(io.BytesIO(data), name, limit))


def raws(data: bytes) -> list[str | None]:
    return [document.raw for document in split(data)]


def problems(data: bytes, name: str = "f.json", limit: int = LIMIT) -> list[str | None]:
    return [document.problem for document in split(data, name, limit)]


def test_each_line_is_a_document_and_blank_lines_are_skipped() -> None:
    assert raws(b'{"id":1}\n\n  \r\n{"id":2}\r\n{"id":3}') == ['{"id":1}', '{"id":2}', '{"id":3}']


@pytest.mark.parametrize("indent", [0, 1, 4, "\t"])
def test_a_document_may_span_many_lines(indent: int | str) -> None:
    text = json.dumps(TWEET, indent=indent)
    assert raws(text.encode() + b"\n") == [text]


def test_a_file_may_have_several_pretty_printed_documents() -> None:
    text = json.dumps(TWEET, indent=2)
    assert raws("\n".join([text, text, '{"id":9}', text]).encode()) == [text, text, '{"id":9}', text]


def test_pretty_printed_documents_may_follow_single_lines() -> None:
    text = json.dumps(TWEET, indent=2)
    assert raws(f'{{"id":9}}\n{text}\n{{"id":8}}\n'.encode()) == ['{"id":9}', text, '{"id":8}']


def test_an_array_with_one_element_per_line_is_one_document() -> None:
    assert raws(b'[\n{"id":1},\n{"id":2}\n]\n') == ['[\n{"id":1},\n{"id":2}\n]']


def test_a_damaged_line_does_not_affect_other_lines() -> None:
    assert raws(b'{"id":1,"te\n{"id":2}\nrubbish\n{"id":3}\n') == ['{"id":1,"te', '{"id":2}', "rubbish", '{"id":3}']


def test_two_documents_on_a_line_stay_together() -> None:
    assert raws(b'{"id":1}{"id":2}\n{"id":3}') == ['{"id":1}{"id":2}', '{"id":3}']


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_pretty_printed_documents_may_have_line_ends_of_windows(line_end: str) -> None:
    documents = [json.dumps({"id": number, "text": "a"}, indent=2) for number in range(2)]
    assert raws("".join(f"{text}\n" for text in documents).replace("\n", line_end).encode()) == documents


def test_a_document_without_indentation_may_be_the_whole_file() -> None:
    document = json.dumps([{"id": number, "text": "a"} for number in range(300)], indent=0)
    assert raws(b"\n" + document.encode() + b"\n\n") == [document]
    # Followed by another document, and truncated.
    assert len(raws(document.encode() + b'\n{"id": 1}')) > 1
    assert raws(document.encode()[:-1]) != [document[:-1]]


def test_gzip_may_have_several_members() -> None:
    assert raws(gzip.compress(b'{"id":1}\n{"id":2}')) == ['{"id":1}', '{"id":2}']
    assert raws(gzip.compress(b'{"id":1}\n') + gzip.compress(b'{"id":2}\n')) == ['{"id":1}', '{"id":2}']
    assert raws(gzip.compress(b'{"id":1}\n') + b"\0" * 512) == ['{"id":1}']


def test_truncated_gzip_keeps_the_documents_before_the_damage() -> None:
    lines = b"".join(b'{"id":%d,"text":"%s"}\n' % (n, bytes(str(n * 7919), "ascii") * 20) for n in range(5000))
    documents = split(gzip.compress(lines)[:-2000])
    assert documents[0].raw is not None and documents[0].raw.startswith('{"id":0,')
    assert [document.problem for document in documents[:-1]] == [None] * (len(documents) - 1)
    assert documents[-1].problem == "bad_gzip"


def test_damaged_gzip_is_recognised_by_content_or_name() -> None:
    good = gzip.compress(b'{"id":1}\n' * 9)
    assert problems(good[:12] + b"\xff\xff\xff" + good[15:]) == ["bad_gzip"]
    assert problems(bytes(range(256)), name="f.json.gz") == ["bad_gzip"]
    assert raws(b'{"id":1}') == ['{"id":1}']


def test_a_binary_file_keeps_its_bytes() -> None:
    data = bytes(range(256)) * 50
    (document,) = split(data)
    assert (document.problem, document.raw, document.raw_bytes) == ("binary", None, data)


# A modification time would give the test case another name in each pytest process.
@pytest.mark.parametrize("data", [b"", b"\n\n  \n", gzip.compress(b"", mtime=0)])
def test_an_empty_file_has_a_problem(data: bytes) -> None:
    assert problems(data) == ["empty_file"]


def test_a_byte_order_mark_is_not_part_of_the_text() -> None:
    (document,) = split(b'\xef\xbb\xbf{"id":1}')
    assert (document.raw, document.raw_bytes) == ('{"id":1}', b'\xef\xbb\xbf{"id":1}')


def test_invalid_utf8_is_replaced_and_the_bytes_are_kept() -> None:
    first, second = split(b'{"text":"caf\xe9"}\n{"text":"caf\xc3\xa9"}\n')
    assert (first.raw, first.raw_bytes) == ('{"text":"caf\ufffd"}', b'{"text":"caf\xe9"}')
    assert (second.raw, second.raw_bytes) == ('{"text":"café"}', None)


@pytest.mark.parametrize("newline", [b"", b"\n", b"\n\n"])
def test_a_line_over_the_limit_is_rejected_and_other_lines_are_kept(newline: bytes) -> None:
    huge = b'{"text":"' + b"x" * LIMIT + b'"}'
    documents = split(b'{"id":1}\n' + huge + b'\n{"id":2}' + newline)
    assert [(document.raw, document.problem) for document in documents] == [
        ('{"id":1}', None),
        (None, "too_large"),
        ('{"id":2}', None),
    ]
    assert str(len(huge)) in str(documents[1].detail)


def test_a_pretty_printed_document_over_the_limit_is_rejected() -> None:
    printed = json.dumps({"text": ["x" * 1000] * 2000}, indent=2).encode()
    assert problems(printed + b'\n{"id":2}\n') == ["too_large", None]


def test_a_document_of_exactly_the_limit_is_accepted() -> None:
    exact = b'"' + b"x" * (LIMIT - 2) + b'"'
    assert problems(exact + b"\n") == [None]
    assert problems(exact + b"x\n") == ["too_large"]


class _Endless(io.RawIOBase):
    """A single line of 200 MB, generated while it is read."""

    left = 200 << 20

    def read(self, size: int = -1) -> bytes:
        given = min(size, self.left)
        self.left -= given
        return b"x" * given


def test_memory_is_bounded_for_a_long_line() -> None:
    tracemalloc.start()
    (document,) = read_documents(_Endless(), "f.json", LIMIT)  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert document.problem == "too_large"
    assert peak < 16 << 20


def test_memory_is_bounded_for_short_lines_that_may_be_one_document() -> None:
    """The first line is not JSON: the whole file might be a single document."""
    data = b"x\n" + b"1\n" * (LIMIT // 2 - 2)
    tracemalloc.start()
    assert sum(1 for _ in read_documents(io.BytesIO(data), "f.json", LIMIT)) > 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_memory_is_bounded_for_a_gzip_bomb() -> None:
    bomb = gzip.compress(b"x" * (100 << 20))
    tracemalloc.start()
    assert problems(bomb) == ["too_compressed"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


@given(st.binary(max_size=300))
@example(b"\x0b")
def test_any_bytes_give_at_least_one_document(data: bytes) -> None:
    assume(not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)))
    documents = split(data)
    assert documents
    assert [document.problem for document in documents if document.problem == "empty_file"] == (
        [] if data.strip() else ["empty_file"]
    )
    for document in documents:
        (document.raw or "").encode()


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=9), min_size=1), max_size=6))
def test_lines_with_any_json_object_are_returned_unchanged(values: list[dict[str, object]]) -> None:
    data = "\n".join(json.dumps(value, ensure_ascii=False) for value in values).encode("utf-8", "replace")
    if values:
        expected = [line.decode() for line in data.split(b"\n")]
        assert raws(data) == expected
