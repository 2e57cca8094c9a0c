"""The base class of all errors that a user can fix."""


class UserError(Exception):
    """Ends a command with the error's message, which names the problem and the remedy, and with `exit_code`."""

    exit_code = 2
