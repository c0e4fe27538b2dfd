"""Opens files that have to be regular ones. A pipe or a device would make the reader wait, or read without an end."""

import errno
import io
import os
import stat
from pathlib import Path


def open_to_read(path: Path) -> io.BufferedReader:
    """Opens a regular file, or a link to one, without ever waiting.

    Raises:
        OSError: there is no such file, it cannot be read, or it is not a regular file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(handle, "rb")


def read(path: Path, *, most: int) -> bytes:
    """Returns the bytes of a regular file.

    Raises:
        OSError: it has more than `most` bytes, or see `open_to_read`.
    """
    with open_to_read(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"more than {most:,} bytes", str(path))
    return data
