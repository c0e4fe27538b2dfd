"""What a file that is downloaded should be, and whether it is that."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lookalike.errors import ModelError, UsageError

_PIECE = 1 << 20


@dataclass(frozen=True)
class Checksum:
    """What a file is known by.

    Attributes:
        algorithm: of the digest.
        digits: hexadecimal, of the whole digest or of its beginning, 8 or more.
    """

    algorithm: Literal["sha256", "md5"]
    digits: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-fA-F]{8,64}", self.digits):
            raise UsageError(f"checksum: {self.digits!r} is not 8 or more hexadecimal digits")


class WrongFileError(ModelError):
    """A file is not what it should be."""


class Digests:
    """The SHA-256 of a file that grows, another digest if one is asked for, and its size."""

    def __init__(self, algorithm: str) -> None:
        self.size = 0
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in {"sha256", algorithm}}

    def take(self, piece: bytes) -> None:
        self.size += len(piece)
        for digest in self._hashes.values():
            digest.update(piece)

    def take_file(self, path: Path) -> None:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                self.take(piece)

    def hexadecimal(self, algorithm: str) -> str:
        return self._hashes[algorithm].hexdigest()


@dataclass(frozen=True)
class Expected:
    """What a file has to be.

    Attributes:
        url: where it comes from, for messages.
        size: in bytes, None if that is not known.
        checksum: None if that is not known.
    """

    url: str
    size: int | None
    checksum: Checksum | None

    def digests(self) -> Digests:
        """Those of a file of which nothing is there yet."""
        return Digests(self.checksum.algorithm if self.checksum else "sha256")

    def check(self, digests: Digests) -> None:
        """Raises WrongFileError if it is something else."""
        self.check_size(digests.size)
        if self.checksum:
            found, digits = digests.hexadecimal(self.checksum.algorithm), self.checksum.digits.lower()
            if not found.startswith(digits):
                raise self._error(f"{self.checksum.algorithm} {digits}", found)

    def check_size(self, size: int) -> None:
        """Raises WrongFileError if it is another size than it should be."""
        if self.size is not None and size != self.size:
            raise self._error(f"{self.size:,} bytes", f"{size:,}")

    def _error(self, expected: str, found: str) -> WrongFileError:
        return WrongFileError(
            f"{self.url}: this is not the file that it should be: expected {expected}, found {found};"
            " nothing of it is kept. Try again; if it stays so, the file at the server is damaged, or another one"
        )
