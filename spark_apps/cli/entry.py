"""The entry point of `tweet-sentiment`: Ctrl-C ends it without a traceback, even during the imports."""

import signal


def main() -> None:
    # The imports take most of a second: until they are done, Ctrl-C ends the process without KeyboardInterrupt.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from spark_apps.cli.main import main as run_command

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run_command()


if __name__ == "__main__":
    main()
