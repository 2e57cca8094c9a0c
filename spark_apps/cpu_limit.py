"""Ends a Python worker that uses too much CPU time for one record.

CPU time depends on the record, not on other load of the machine or on storage that does not answer. The kernel watches
the limit: a process that hangs in native code ends, too.
"""

import faulthandler
import signal
from collections.abc import Iterator
from contextlib import contextmanager

# The most expensive documents within the limits of Silver take a quarter of this time.
RECORD_SECONDS = 60.0
SIGNAL = signal.SIGPROF
_STDERR = 2


def limit_cpu_time(seconds: float = RECORD_SECONDS) -> None:
    """End this process, with a stack trace on stderr, once it has used `seconds` of CPU time.

    Each call restarts the time, and takes less than a microsecond.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)


@contextmanager
def limits_removed_after() -> Iterator[None]:
    """Remove the limit at the end of the body, which is a task: the worker also runs tasks without a limit."""
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


# After the stack trace, the default action of the signal ends the process.
faulthandler.register(SIGNAL, file=_STDERR, all_threads=True, chain=True)
