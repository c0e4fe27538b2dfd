"""What this process may use and has used: cores and memory."""

import os
import resource
import sys
from pathlib import Path

from lookalike import arguments

_STATUS = Path("/proc/self/status")
_PAGES = Path("/proc/self/statm")
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


def cores() -> int:
    """The number of threads that can run at once in this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def checked_threads(threads: int | None) -> int | None:
    """A number of threads that a caller asks for; raises UsageError unless it is at least 1 or None."""
    return None if threads is None else arguments.whole(threads, "threads", least=1)


def peak_memory() -> int:
    """The peak resident memory of this process, in bytes.

    On Linux, getrusage reports the size of the parent for a process that was forked from a larger one, so /proc is
    read instead.
    """
    if _STATUS.exists():
        lines = [line.split() for line in _STATUS.read_text().splitlines()]
        if found := next((int(fields[1]) * 1024 for fields in lines if fields and fields[0] == "VmHWM:"), 0):
            return found
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT


def limit_memory(more: int) -> None:
    """Keeps this process from allocating more than so many bytes from now on: allocations fail then.

    Only Linux does so; elsewhere nothing happens.
    """
    if _PAGES.exists():
        now = int(_PAGES.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + more, resource.getrlimit(resource.RLIMIT_AS)[1]))


def keep_freed_memory() -> None:
    """Lets the C library keep freed memory of some megabytes for what is allocated next, in this process.

    glibc otherwise returns it to the system at once, which clears each page again: for many arrays of 100 kB that
    takes an eighth of the time. Its limits rise with the largest block that is freed (mallopt(3), M_MMAP_THRESHOLD),
    up to 32 MB. With other C libraries nothing happens.
    """
    bytearray(2**24)
