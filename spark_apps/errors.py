"""What every error that a person can mend has in common."""


class UserError(Exception):
    """Ends a command with its text, which names what is wrong and the remedy, and with `exit_code`."""

    exit_code = 2
