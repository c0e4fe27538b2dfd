"""How the indexes of all shards are searched as one: operating points that were measured over the whole.

They are kept in searching.json, beside the manifest, with the checksums of the indexes that they were measured with.
Once one of these is another, each shard goes by its own operating points again. The file can be deleted at any time.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from lookalike.cluster.parts import Part
from lookalike.errors import CorruptError
from lookalike.index import generation
from lookalike.index.generation import Generation
from lookalike.storage import files, layout
from lookalike.system import durable

_MAX_BYTES = 2**28


class KeptTuning:
    """The operating points beside the manifest, which are read again when their file has changed."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / layout.TUNED
        self._seen: tuple[int, int, int] | None = None
        self._kept: tuple[Generation, Mapping[str, str]] | None = None

    def card(self, parts: Sequence[Part]) -> Generation | None:
        """How these shards are searched as one; None if that was not measured with the indexes that they have."""
        if (kept := self._current()) is None:
            return None
        card, indexes = kept
        return card if all(index_of(part) == indexes.get(part.shard.name, "") for part in parts) else None

    def last(self) -> Generation | None:
        """How the shards were searched as one when that was measured last, with whatever indexes; None if never."""
        kept = self._current()
        return kept[0] if kept else None

    def keep(self, card: Generation, parts: Sequence[Part]) -> None:
        """Keeps what was measured.

        Raises:
            StorageError: it cannot be written.
        """
        indexes = {part.shard.name: index_of(part) for part in parts}
        facts = {"card": generation.as_facts(card), "indexes": indexes}
        with durable.storage_errors(self._path):
            durable.replace(self._path, (json.dumps(facts, indent=2) + "\n").encode())

    def forget(self) -> None:
        """Removes what was measured, if anything.

        Raises:
            StorageError: it cannot be removed.
        """
        with durable.storage_errors(self._path):
            files.remove(self._path)

    def _current(self) -> tuple[Generation, Mapping[str, str]] | None:
        if (seen := self.version()) != self._seen:
            self._seen, self._kept = seen, self._read() if seen else None
        return self._kept

    def _read(self) -> tuple[Generation, Mapping[str, str]] | None:
        try:
            facts = json.loads(files.read(self._path, max_bytes=_MAX_BYTES))
            return generation.from_facts(facts["card"]), dict(facts["indexes"])
        except (OSError, CorruptError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def version(self) -> tuple[int, int, int] | None:
        """What changes whenever the file does; None if there is none."""
        try:
            status = os.lstat(self._path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def index_of(part: Part) -> str:
    """What tells the index of a shard from all others; "" if it has none that can be used."""
    stored = part.snapshot.state.generation
    return stored.index_sha256.hex() if stored and part.snapshot.opened else ""


def of_all(parts: Sequence[Part]) -> str:
    """One checksum for the indexes of all shards."""
    return hashlib.sha256("".join(map(index_of, parts)).encode()).hexdigest()
