"""Decodes the character references of HTML in a text."""

import html


def unescape(text: str) -> str:
    """Replace character references such as `&amp;` and `&#38;`, as `html.unescape` does.

    `html.unescape` raises a `ValueError` for a reference with thousands of digits: such a text is returned unchanged.
    """
    try:
        return html.unescape(text)
    except ValueError:
        return text
