"""Makes foreign text safe to print: a tweet or a file name may contain control sequences for the terminal."""


def printable(text: str) -> str:
    """Escape control characters, including those that change the writing direction."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
