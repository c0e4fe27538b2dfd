"""Images whose files nobody has read: their vectors were made elsewhere and imported.

In the place of the SHA-256 of the file, such an image has one that no file has, and in the place of the file's size and
times a status that no file has. So it is never shown, and a run that does not find its file does not miss it. A run
that finds the file reads it, as one that has changed.
"""

import hashlib

from lookalike.images.reading import FileStatus

STATUS = FileStatus(-2, -1, -1)
"""The status of a file that was never read."""

_MARK = bytes(16)  # at the beginning; of a file, one SHA-256 in 2**128 begins so


def sha256_of(key: str) -> bytes:
    """What stands for the SHA-256 of the file of an image: 32 bytes, others for each key."""
    return _MARK + hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()[:16]


def is_known(sha256: bytes) -> bool:
    """Whether it is the SHA-256 of a file, and not what stands for one."""
    return not sha256.startswith(_MARK)
