"""Makes text from outside safe to print: a tweet or a file name may have control sequences of a terminal."""


def printable(text: str) -> str:
    """Escape control characters, including those that change the writing direction."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
