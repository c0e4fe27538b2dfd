"""Keeps what a person has decided on copies: which images are marked, to be acted upon, and which are to be kept.

A decision is on an image by its id and the SHA-256 of its file: it does not hold for another file at its place. They
are kept beside the manifest, so that they outlive indexing with another model. A file that is damaged, or written by
another version, is as good as none. Deciding does not wait for whoever writes to the collection: it has its own lock.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import filelock

from lookalike.errors import CorruptError, LockedError, StorageError, UsageError
from lookalike.results import IndexedImage
from lookalike.storage import files, layout
from lookalike.system import durable

Decision: TypeAlias = Literal["marked", "kept"]
_DECISIONS: tuple[Decision, ...] = ("marked", "kept")
_FORMAT = 1
_MAX_BYTES = 2**25
_MOST = 300_000  # decisions, each of which takes at most some 90 bytes
_PATIENCE = 10.0  # seconds that another process may take to write the file


class Marks:
    """The decisions of one collection."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._path = directory, directory / layout.MARKS

    def decide(self, images: Iterable[IndexedImage], decision: Decision) -> None:
        """Decides on images, in place of what was decided before.

        Raises:
            UsageError: there are too many decisions.
            LockedError: another process has been changing them for seconds.
            StorageError: the disk is full or failing.
        """
        with self._locked():
            decided = self._read() | {image.id: (decision, image.sha256.hex()) for image in images}
            if len(decided) > _MOST:
                raise UsageError(f"{len(decided):,} decisions on copies; act on those that are marked first")
            self._write(decided)

    def forget(self, ids: Iterable[int]) -> None:
        """Takes decisions back; raises as `decide` does."""
        with self._locked():
            gone, decided = set(ids), self._read()
            self._write({id_: decision for id_, decision in decided.items() if id_ not in gone})

    def on(self, images: Iterable[IndexedImage]) -> dict[int, Decision]:
        """The decisions on images, by id, as far as they hold for the files that were indexed."""
        decided = self._read()
        found = ((image, decided.get(image.id)) for image in images)
        return {image.id: of[0] for image, of in found if of and of[1] == image.sha256.hex()}

    def ids(self) -> list[int]:
        """The ids of all images that were decided on, by id; some may be gone."""
        return sorted(self._read())

    def _read(self) -> dict[int, tuple[Decision, str]]:
        try:
            facts = json.loads(files.read(self._path, max_bytes=_MAX_BYTES))
            return _from_facts(facts)
        except (OSError, CorruptError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}

    def _write(self, decided: Mapping[int, tuple[Decision, str]]) -> None:
        by_decision = {
            name: {str(id_): sha256 for id_, (decision, sha256) in sorted(decided.items()) if decision == name}
            for name in _DECISIONS
        }
        files.check(self._path)
        with durable.storage_errors(self._path):
            durable.replace(self._path, (json.dumps({"format": _FORMAT, **by_decision}, indent=0) + "\n").encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        path = layout.marks_lock_file(self._directory)
        files.check(path)
        lock = filelock.FileLock(path, timeout=_PATIENCE)
        with durable.storage_errors(path):
            try:
                lock.acquire()
            except filelock.Timeout as error:
                raise LockedError(f"{path}: another process is changing the marks; try again") from error
            except PermissionError as error:
                raise StorageError(f"{path}: this user may not write to it; ask its owner for the right") from error
        try:
            yield
        finally:
            lock.release()


def _from_facts(facts: Mapping[str, Any]) -> dict[int, tuple[Decision, str]]:
    """What Lookalike writes; raises ValueError for anything else."""
    if facts["format"] != _FORMAT:
        raise ValueError("another version")
    return {_id(id_): (name, _sha256(value)) for name in _DECISIONS for id_, value in facts[name].items()}


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError("no id")
    return int(text)


def _sha256(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 64 or len(bytes.fromhex(value)) != 32:
        raise ValueError("no SHA-256")
    return value
