"""Ends a Python worker that uses too much CPU time for one record.

Unlike wall-clock time, CPU time does not grow while storage is slow or the machine is busy. The kernel enforces the
limit, so it also ends a process that hangs in native code.
"""

import faulthandler
import signal
from collections.abc import Iterator
from contextlib import contextmanager

# The most expensive documents that Silver accepts take a quarter of this time.
RECORD_SECONDS = 60.0
SIGNAL = signal.SIGPROF
_STDERR = 2


def limit_cpu_time(seconds: float = RECORD_SECONDS) -> None:
    """End this process, with a stack trace on stderr, once it has used another `seconds` of CPU time.

    Call this before each record: a call replaces the previous limit and takes less than a microsecond.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)


@contextmanager
def limits_removed_after() -> Iterator[None]:
    """Remove the limit at the end of a task: the worker's next task may set no limit, but would inherit this one."""
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


# After the stack trace, the default action of the signal ends the process.
faulthandler.register(SIGNAL, file=_STDERR, all_threads=True, chain=True)
