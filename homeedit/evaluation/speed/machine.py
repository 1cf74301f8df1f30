"""The machine, and the memory of this process.

A process's peak is read from Linux's /proc where there is one: ``resource.ru_maxrss`` starts, in a process that was
just started, from the memory of the one that started it, and cannot be set back.
"""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from homeedit.evaluation.speed.measurement import Measurement

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def machine(threads: int) -> Measurement:
    """A line on the machine: its kind, processor, memory and load, and the versions that matter."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processor = _field(Path("/proc/cpuinfo"), "model name") or platform.processor() or "unknown processor"
    parts = [f"{platform.system()} {platform.machine()}", processor]
    if memory := _field(Path("/proc/meminfo"), "MemTotal"):
        parts.append(f"{int(memory.split()[0]) / 1e6:.0f} GB")
    parts += [f"Python {platform.python_version()}", f"torch {version('torch')}", f"{threads} threads used"]
    if hasattr(os, "getloadavg"):
        parts.append(f"load {os.getloadavg()[0]:.1f} before (others at work make all of this slower)")
    return Measurement("machine", cores, "cores", note=", ".join(parts))


def available_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not say."""
    found = _field(Path("/proc/meminfo"), "MemAvailable")
    return int(found.split()[0]) * 1024 if found else None


@dataclass(slots=True)
class Growth:
    """Bytes of resident memory at the peak of a piece of work, above what was there before it."""

    bytes: int = 0


@contextmanager
def peak_growth() -> Iterator[Growth]:
    """Measure the peak of what runs inside, as far as memory that was freed before does not suffice for it.

    Elsewhere than on Linux only what exceeds every earlier peak counts.
    """
    found = Growth()
    try:
        _RESET.write_text("5")
        before = _resident("VmRSS")
    except OSError:
        before = peak_memory()
    yield found
    found.bytes = max(0, peak_memory() - before)


def peak_memory() -> int:
    """Largest resident memory of this process in bytes, since its start or since the last ``peak_growth`` began."""
    try:
        return _resident("VmHWM")
    except OSError:
        import resource

        found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return found if platform.system() == "Darwin" else found * 1024


def _resident(name: str) -> int:
    found = _field(_STATUS, name)
    if not found:
        raise OSError(f"{_STATUS} has no {name}")
    return int(found.split()[0]) * 1024


def _field(file: Path, name: str) -> str:
    """The value of ``name: value`` in a file of /proc, or nothing."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
