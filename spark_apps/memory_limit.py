"""Limits the memory that a process may take for one record, so that the kernel does not end its container."""

import resource
from contextlib import suppress
from pathlib import Path

# The most expensive documents that Silver accepts take a third of this.
RECORD_BYTES = 1 << 30
_MIN_BYTES = 128 << 20
_CGROUP = Path("/sys/fs/cgroup")


def limit_memory() -> None:
    """Make allocations fail once this process has taken `RECORD_BYTES` more, or 90% of what its container has left.

    A failed allocation raises MemoryError. Without a limit, Kubernetes would end the whole container, with the JVM of
    the executor, and nothing would name the record. This function has an effect on Linux only.
    """
    with suppress(OSError, ValueError):
        free = _container_free()
        limit = RECORD_BYTES if free is None else max(_MIN_BYTES, min(RECORD_BYTES, int(free * 0.9)))
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (_taken() + limit, hard))


def _taken() -> int:
    """Return the bytes that RLIMIT_DATA counts: private, writable memory."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return int(fields["VmData"].split()[0]) << 10


def _container_free() -> int | None:
    """Return the bytes that the container may still take; None without a limit."""
    try:
        maximum = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        current = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        statistics = (_CGROUP / "memory.stat").read_text(encoding="ascii").split("\n")
    except OSError:
        return None
    # The kernel drops cached files before it ends a process.
    cached = next((int(line.split()[1]) for line in statistics if line.startswith("inactive_file ")), 0)
    return None if maximum == "max" else int(maximum) - current + cached
