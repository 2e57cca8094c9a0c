"""The one-line texts of errors in messages."""

import pytest

from spark_apps.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\nsecond"), "first"),
        (ValueError("\n  second\n"), "second"),
        (ValueError(""), "ValueError"),
        (ValueError("\n"), "ValueError"),
        ("a text", "a text"),
    ],
)
def test_the_first_line_of_an_error_is_never_empty(error: object, line: str) -> None:
    assert first_line(error) == line
