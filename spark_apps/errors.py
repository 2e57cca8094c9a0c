"""The base class of all errors that a user can fix."""


class UserError(Exception):
    """Ends a command with the error's message, which names the problem and the remedy, and with `exit_code`."""

    exit_code = 2


def first_line(error: object) -> str:
    """Return the first line of an error's message that is not blank, or the error's class if the message is blank."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)
