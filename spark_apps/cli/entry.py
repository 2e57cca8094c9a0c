"""The entry point of `tweet-sentiment`: it makes Ctrl-C quiet before the command is imported."""

import signal


def main() -> None:
    # The imports take most of a second, in which Ctrl-C would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from spark_apps.cli.main import main as run_command

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run_command()


if __name__ == "__main__":
    main()
