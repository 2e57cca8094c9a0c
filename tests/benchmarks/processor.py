"""The processor of this machine, with the instructions that decide the speed of the scorer."""

import platform
from pathlib import Path

# 256-bit and 512-bit vectors, 8-bit dot products, and matrix products, on x86 and on ARM.
_FLAGS = (
    "avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8",
    "asimd", "asimddp", "i8mm", "sve",
)  # fmt: skip


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the name of the processor and its relevant flags, such as `AMD EPYC (avx2, avx512f)`."""
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    # ARM names the flags "Features" and has no model name.
    flags = f"{fields.get('flags', '')} {fields.get('Features', '')}".split()
    name = fields.get("model name") or platform.processor() or platform.machine()
    return f"{name} ({', '.join(flag for flag in _FLAGS if flag in flags) or 'unknown flags'})"
