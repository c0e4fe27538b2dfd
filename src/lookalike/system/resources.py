"""How much memory this process has taken."""

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


def peak_memory() -> int:
    """The most memory that this process has taken, in bytes.

    On Linux getrusage tells, of a process that was started by a larger one, how large that was.
    """
    if _STATUS.exists():
        lines = [line.split() for line in _STATUS.read_text().splitlines()]
        if found := next((int(words[1]) * 1024 for words in lines if words and words[0] == "VmHWM:"), 0):
            return found
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT
