"""Split the content of a file into lines, in bounded memory and time for any content."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# Consecutive blank lines: one match, even for a megabyte of blank lines.
_BLANK_LINES = re.compile(rb"\n(?:[ \t\r\v\f]*+\n)++")
# In a length-delimited stream, the line before each tweet is its number of bytes.
_LENGTH = re.compile(rb"\s*\d{1,9}\s*")


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its line end.

    Attributes:
        data: the bytes of the line; empty if the line exceeds the limit.
        size: number of bytes of the line, also if it exceeds the limit.
        end: number of bytes of the file up to the end of the line, with its line end.
    """

    data: bytes
    size: int
    end: int


def split_lines(chunks: Iterable[bytes], offset: int, limit: int) -> Iterator[Line]:
    """Yield the lines of a file, without blank lines and without the lengths of a length-delimited stream.

    Args:
        chunks: content of the file from `offset` on.
        offset: number of bytes of the file before the chunks.
        limit: a longer line has no data.
    """
    return _without_lengths(_lines(chunks, offset, limit))


def _lines(chunks: Iterable[bytes], end: int, limit: int) -> Iterator[Line]:
    """Yield the lines that are not blank; `end` is the number of bytes before the chunks."""
    line, size = bytearray(), 0
    for text, skipped in _without_blank_lines(chunks):
        first, *others = text.split(b"\n")
        end += len(first)
        size += len(first)
        if size <= limit:
            line += first
        for other in others:
            end += 1
            yield from _line(bytes(line), size, end, limit)
            end += len(other)
            line, size = bytearray(other[: limit + 1]), len(other)
        if size > limit:
            line.clear()
        end += skipped
    yield from _line(bytes(line), size, end, limit)


def _without_blank_lines(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield the text between runs of blank lines, and the number of bytes of the run that is skipped after the text."""
    for chunk in chunks:
        start = 0
        if b"\n\n" in chunk or b"\n\r\n" in chunk:
            for run in _BLANK_LINES.finditer(chunk):
                yield chunk[start : run.start() + 1], run.end() - run.start() - 1
                start = run.end()
        yield chunk[start:], 0


def _line(data: bytes, size: int, end: int, limit: int) -> Iterator[Line]:
    if size > limit:
        yield Line(b"", size, end)
    elif data.strip():
        text = data.removesuffix(b"\r")
        yield Line(text, len(text), end)


def _without_lengths(lines: Iterator[Line]) -> Iterator[Line]:
    """Drop each line that is the length of the object on the next line, with or without the line end."""
    held = None
    for line in lines:
        if held is not None and not (line.data[:1] == b"{" and abs(int(held.data) - line.size) <= 2):
            yield held
        held = line if line.size < 12 and _LENGTH.fullmatch(line.data) else None
        if held is None:
            yield line
    if held is not None:
        yield held
