"""Cutting files into documents: every layout in which clients write them, and every way a file can be broken."""

import gzip
import io
import json
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spark_apps.bronze.documents import Document, read_documents

LIMIT = 1 << 20
TWEET = {"id": 1, "full_text": "good morning", "user": {"id": 7}, "tags": ["a", "b"]}


def cut(data: bytes, name: str = "f.json", limit: int = LIMIT) -> list[Document]:
    return list(read_documents(io.BytesIO(data), name, limit))


def raws(data: bytes) -> list[str | None]:
    return [document.raw for document in cut(data)]


def problems(data: bytes, name: str = "f.json", limit: int = LIMIT) -> list[str | None]:
    return [document.problem for document in cut(data, name, limit)]


def test_one_document_a_line_without_the_blank_ones() -> None:
    assert raws(b'{"id":1}\n\n  \r\n{"id":2}\r\n{"id":3}') == ['{"id":1}', '{"id":2}', '{"id":3}']


@pytest.mark.parametrize("indent", [0, 1, 4, "\t"])
def test_a_document_over_many_lines_is_one(indent: int | str) -> None:
    text = json.dumps(TWEET, indent=indent)
    assert raws(text.encode() + b"\n") == [text]


def test_several_printed_documents_in_one_file() -> None:
    text = json.dumps(TWEET, indent=2)
    assert raws("\n".join([text, text, '{"id":9}', text]).encode()) == [text, text, '{"id":9}', text]


def test_printed_documents_after_single_lines() -> None:
    text = json.dumps(TWEET, indent=2)
    assert raws(f'{{"id":9}}\n{text}\n{{"id":8}}\n'.encode()) == ['{"id":9}', text, '{"id":8}']


def test_an_array_with_an_element_a_line_is_one_document() -> None:
    assert raws(b'[\n{"id":1},\n{"id":2}\n]\n') == ['[\n{"id":1},\n{"id":2}\n]']


def test_a_broken_line_costs_only_itself() -> None:
    assert raws(b'{"id":1,"te\n{"id":2}\nrubbish\n{"id":3}\n') == ['{"id":1,"te', '{"id":2}', "rubbish", '{"id":3}']


def test_two_documents_on_a_line_stay_together() -> None:
    assert raws(b'{"id":1}{"id":2}\n{"id":3}') == ['{"id":1}{"id":2}', '{"id":3}']


def test_gzip_of_one_and_of_several_members() -> None:
    assert raws(gzip.compress(b'{"id":1}\n{"id":2}')) == ['{"id":1}', '{"id":2}']
    assert raws(gzip.compress(b'{"id":1}\n') + gzip.compress(b'{"id":2}\n')) == ['{"id":1}', '{"id":2}']
    assert raws(gzip.compress(b'{"id":1}\n') + b"\0" * 512) == ['{"id":1}']


def test_gzip_that_ends_early_keeps_what_came_before() -> None:
    lines = b"".join(b'{"id":%d,"text":"%s"}\n' % (n, bytes(str(n * 7919), "ascii") * 20) for n in range(5000))
    found = cut(gzip.compress(lines)[:-2000])
    assert found[0].raw is not None and found[0].raw.startswith('{"id":0,')
    assert [document.problem for document in found[:-1]] == [None] * (len(found) - 1)
    assert found[-1].problem == "bad_gzip"


def test_damaged_gzip_and_gzip_by_name_only() -> None:
    good = gzip.compress(b'{"id":1}\n' * 9)
    assert problems(good[:12] + b"\xff\xff\xff" + good[15:]) == ["bad_gzip"]
    assert problems(bytes(range(256)), name="f.json.gz") == ["bad_gzip"]
    assert raws(b'{"id":1}') == ['{"id":1}']


def test_binary_keeps_its_bytes() -> None:
    data = bytes(range(256)) * 50
    (document,) = cut(data)
    assert (document.problem, document.raw, document.raw_bytes) == ("binary", None, data)
    assert "UTF-16" in str(cut('{"id":1}'.encode("utf-16"))[0].detail)


# Without the time, which would give the case another name in each process that collects it.
@pytest.mark.parametrize("data", [b"", b"\n\n  \n", gzip.compress(b"", mtime=0)])
def test_an_empty_file_holds_no_document(data: bytes) -> None:
    assert cut(data) == []


def test_byte_order_mark_is_no_part_of_the_text() -> None:
    (document,) = cut(b'\xef\xbb\xbf{"id":1}')
    assert (document.raw, document.raw_bytes) == ('{"id":1}', b'\xef\xbb\xbf{"id":1}')


def test_invalid_utf8_is_replaced_and_its_bytes_kept() -> None:
    first, second = cut(b'{"text":"caf\xe9"}\n{"text":"caf\xc3\xa9"}\n')
    assert (first.raw, first.raw_bytes) == ('{"text":"caf\ufffd"}', b'{"text":"caf\xe9"}')
    assert (second.raw, second.raw_bytes) == ('{"text":"café"}', None)


@pytest.mark.parametrize("newline", [b"", b"\n", b"\n\n"])
def test_too_large_a_line_is_one_problem_and_its_neighbours_live(newline: bytes) -> None:
    huge = b'{"text":"' + b"x" * LIMIT + b'"}'
    documents = cut(b'{"id":1}\n' + huge + b'\n{"id":2}' + newline)
    assert [(document.raw, document.problem) for document in documents] == [
        ('{"id":1}', None),
        (None, "too_large"),
        ('{"id":2}', None),
    ]
    assert str(len(huge)) in str(documents[1].detail)


def test_too_large_a_printed_document() -> None:
    printed = json.dumps({"text": ["x" * 1000] * 2000}, indent=2).encode()
    assert problems(printed + b'\n{"id":2}\n') == ["too_large", None]


def test_the_limit_itself_is_allowed() -> None:
    exact = b'"' + b"x" * (LIMIT - 2) + b'"'
    assert problems(exact + b"\n") == [None]
    assert problems(exact + b"x\n") == ["too_large"]


class _Endless(io.RawIOBase):
    """200 MB of one line, made as it is read."""

    left = 200 << 20

    def read(self, size: int = -1) -> bytes:
        given = min(size, self.left)
        self.left -= given
        return b"x" * given


def test_memory_is_bounded() -> None:
    tracemalloc.start()
    (document,) = read_documents(_Endless(), "f.json", LIMIT)  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert document.problem == "too_large"
    assert peak < 16 << 20


def test_a_gzip_bomb_is_bounded() -> None:
    bomb = gzip.compress(b"x" * (100 << 20))
    tracemalloc.start()
    assert problems(bomb) == ["too_large"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


@given(st.binary(max_size=300))
@example(b"\x0b")
def test_any_bytes_but_blanks_make_at_least_one_document(data: bytes) -> None:
    found = cut(data)
    assert bool(found) == bool(data.strip())
    for document in found:
        (document.raw or "").encode()


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=9), min_size=1), max_size=6))
def test_lines_of_any_json_objects_come_back(values: list[dict[str, object]]) -> None:
    data = "\n".join(json.dumps(value, ensure_ascii=False) for value in values).encode("utf-8", "replace")
    if values:
        expected = [line.decode() for line in data.split(b"\n")]
        assert raws(data) == expected
