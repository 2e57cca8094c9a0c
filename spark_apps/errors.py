"""The base class of all errors that a user can fix."""


class UserError(Exception):
    """Ends a command with the error's message, which names the problem and the remedy, and with `exit_code`."""

    exit_code = 2


def first_line(error: object) -> str:
    """Return the first line of an error's message that is not blank, or the error's class if the message is blank."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def cause_line(error: str) -> str:
    """Return the line of a Spark error that names the cause: the last line with an exception, outside stack traces.

    Without such a line, return the first line; the other lines describe the query.
    """
    frames = ("at ", "File ", "...", "Suppressed:")
    lines = [line.strip() for line in error.splitlines() if line.strip() and not line.strip().startswith(frames)]
    causes = [line for line in lines if "Error" in line or "Exception" in line]
    return (causes[-1:] or lines[:1] or ["no message"])[0][:500]
