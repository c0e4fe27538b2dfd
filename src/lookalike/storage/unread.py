"""Images whose files nobody has read: their vectors were made elsewhere and imported.

In the place of the SHA-256 of the file, such an image has one that no file has, and in the place of the file's size and
times a status that no file has. So it is never shown, and a run that does not find its file does not miss it. A run
that finds the file reads it, as one that has changed. Its key may be a URL.
"""

import secrets
from collections.abc import Iterator

from lookalike.images.reading import FileStatus

STATUS = FileStatus(-2, -1, -1)
"""The status of a file that was never read."""

_MARK = bytes(16)  # at the beginning; of a file, one SHA-256 in 2**128 begins so


def stand_ins() -> Iterator[bytes]:
    """What stands for the SHA-256s of files: 32 bytes for each, one after the other, and never the same again."""
    start, number = _MARK + secrets.token_bytes(8), 0
    while True:
        yield start + number.to_bytes(8, "big")  # ascending, which is the quickest for an index of them
        number += 1


def is_known(sha256: bytes) -> bool:
    """Whether it is the SHA-256 of a file, and not what stands for one."""
    return not sha256.startswith(_MARK)
