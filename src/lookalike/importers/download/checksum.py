"""The expected size and checksum of a download, and the check of them."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lookalike.errors import ModelError, UsageError

_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class Checksum:
    """The checksum of a file, whole or in part.

    Attributes:
        algorithm: of the digest.
        digits: hexadecimal; the whole digest or its first digits, 8 or more.
    """

    algorithm: Literal["sha256", "md5"]
    digits: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-fA-F]{8,64}", self.digits):
            raise UsageError(f"checksum: {self.digits!r} is not 8 or more hexadecimal digits")


class MismatchError(ModelError):
    """A file's size or checksum is not the expected one."""


class Digests:
    """The size and the SHA-256 of a growing file, and a digest by another algorithm if one is named."""

    def __init__(self, algorithm: str) -> None:
        self.size = 0
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in {"sha256", algorithm}}

    def update(self, chunk: bytes) -> None:
        """Adds the next bytes of the file."""
        self.size += len(chunk)
        for digest in self._hashes.values():
            digest.update(chunk)

    def update_from(self, path: Path) -> None:
        """Adds the content of a file."""
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                self.update(chunk)

    def hexdigest(self, algorithm: str) -> str:
        """Returns the digest of what has been added, in hexadecimal."""
        return self._hashes[algorithm].hexdigest()


@dataclass(frozen=True)
class Expected:
    """The expected properties of a file.

    Attributes:
        url: where it comes from, for messages.
        size: in bytes; None if unknown.
        checksum: None if unknown.
    """

    url: str
    size: int | None
    checksum: Checksum | None

    def new_digests(self) -> Digests:
        """Returns the digests of an empty file, by the algorithm of the checksum."""
        return Digests(self.checksum.algorithm if self.checksum else "sha256")

    def check(self, digests: Digests) -> None:
        """Raises MismatchError if the size or the checksum differs."""
        self.check_size(digests.size)
        if self.checksum:
            found, digits = digests.hexdigest(self.checksum.algorithm), self.checksum.digits.lower()
            if not found.startswith(digits):
                raise self._mismatch(f"{self.checksum.algorithm} {digits}", found)

    def check_size(self, size: int) -> None:
        """Raises MismatchError if the size differs."""
        if self.size is not None and size != self.size:
            raise self._mismatch(f"{self.size:,} bytes", f"{size:,}")

    def _mismatch(self, expected: str, found: str) -> MismatchError:
        return MismatchError(
            f"{self.url}: this is not the expected file: expected {expected}, found {found}; it was discarded."
            " Try again; if that does not help, the file on the server is damaged or has been replaced"
        )
