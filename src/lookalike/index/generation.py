"""An index on the disk: written beside, read back, and only then named in the catalog.

A generation is two files, `index/000003.faiss` and `index/000003.json`: the FAISS index, and what is known of it.
The catalog has the checksums of both, so that nothing damaged ever answers.
Nothing in them is precious: they can be built again from the vectors.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from lookalike.errors import CorruptError, StorageError, UsageError
from lookalike.index.faiss_index import Effort, Index
from lookalike.index.spec import IndexSpec
from lookalike.index.tuning import OperatingPoint, cheapest
from lookalike.storage.catalog import StoredGeneration
from lookalike.storage.rows import RowSet
from lookalike.storage.vectors import Part
from lookalike.system import durable

FOLDER = "index"
_FORMAT = 1
_PROBES = 16


@dataclass(frozen=True)
class Generation:
    """What is known of an index.

    Attributes:
        spec: its FAISS index factory string.
        dim: of the vectors.
        rows: it covers the vectors in the rows below this; younger ones are compared one by one.
        trained_rows: how many vectors there were when it was trained.
        promise: the recall that it was asked for.
        reached: the recall that it does promise: the same, or less where that could not be had.
        asked: what was asked for: a factory string and a size in bytes, each None where it was left open.
        points: how hard to look, and what that is worth.
        exact_milliseconds: the median time of an exact search, one query at a time on one thread.
        bytes: the size of its file.
        sha256: of its file, in hexadecimal.
    """

    spec: str
    dim: int
    rows: int
    trained_rows: int
    promise: float
    reached: float
    asked_spec: str | None
    asked_memory: int | None
    points: tuple[OperatingPoint, ...]
    exact_milliseconds: float
    bytes: int = 0
    sha256: str = ""

    def effort(self, *, depth: float, recall: float | None) -> Effort | None:
        """The least effort that promises so much recall for so many neighbours; None where an exact search is better.

        Without `recall` it is the generation's own promise. Where recall was measured for more neighbours, as many
        candidates in all are ranked as there were then: a few for each would leave out too many of the nearest.
        """
        point = cheapest(self.points, self.reached if recall is None else recall, depth)
        if point and self.reached < self.promise and point.milliseconds >= self.exact_milliseconds:
            return None  # it finds less than was asked for, and takes no less time than to look at everything
        return Effort(point.effort.breadth, point.effort.candidates * point.depth / depth) if point else None

    @property
    def chosen(self) -> OperatingPoint | None:
        """What a search for ten images does unless it is told otherwise."""
        return cheapest(self.points, self.reached, min((point.depth for point in self.points), default=0))


def write(directory: Path, number: int, index: Index, about: Generation, stored: Part) -> StoredGeneration:
    """Puts a generation on the disk, whole and read back, and gives what the catalog is to say of it.

    Args:
        directory: the collection's.
        number: the generation's.
        index: what is to be searched.
        about: what is known of it; size and checksum are filled in.
        stored: the rows that the index covers, for trying it out.

    Raises:
        StorageError: the disk is full or failing, or gives back something else.
    """
    path, card = _paths(directory, number)
    beside, card_beside = path.with_name(f"{path.name}.new"), card.with_name(f"{card.name}.new")
    try:
        path.parent.mkdir(exist_ok=True)
        written = durable.write(beside, index.write)
        _try_out(beside, index, written.sha256, stored)
        about = replace(about, bytes=written.size, sha256=written.sha256)
        text = json.dumps({"format": _FORMAT, **asdict(about)}, indent=2) + "\n"
        card_written = durable.write(card_beside, lambda take: take(text.encode()))
        beside.replace(path)
        card_beside.replace(card)
        for folder in (path.parent, directory):
            durable.sync_folder(folder)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
    sums = (bytes.fromhex(each.sha256) for each in (written, card_written))
    return StoredGeneration(number, about.rows, *sums)


def read_about(directory: Path, stored: StoredGeneration) -> Generation:
    """What is known of a generation, without its index.

    Raises:
        CorruptError: its file is missing, damaged, or cannot be read.
    """
    _, card = _paths(directory, stored.number)
    try:
        text = card.read_bytes()
        if hashlib.sha256(text).digest() != stored.card_sha256:
            raise CorruptError(f"{card}: the file is damaged")
        facts = json.loads(text)
        if facts.pop("format") != _FORMAT:
            raise CorruptError(f"{card}: another version of Lookalike wrote it")
        points = tuple(
            OperatingPoint(**{**point, "effort": Effort(**point["effort"])}) for point in facts.pop("points")
        )
        return Generation(points=points, **facts)
    except FileNotFoundError as error:
        raise CorruptError(f"{card}: the file is missing") from error
    except OSError as error:
        raise CorruptError(f"{card}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptError(f"{card}: the file is damaged: {error}") from error


def read_index(directory: Path, stored: StoredGeneration, about: Generation) -> Index:
    """A generation's index, every byte of it as it was written.

    Raises:
        CorruptError: its file is missing, damaged, or cannot be read.
    """
    path, _ = _paths(directory, stored.number)
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").digest() != stored.index_sha256:
                raise CorruptError(f"{path}: the file is damaged")
            index = Index.read(IndexSpec(about.spec, about.dim), file)
    except UsageError as error:
        raise CorruptError(f"{path}: this version of FAISS cannot use it: {error}") from error
    except FileNotFoundError as error:
        raise CorruptError(f"{path}: the file is missing") from error
    except OSError as error:
        raise CorruptError(f"{path}: {error.strerror}") from error
    if index.rows != stored.rows:
        raise CorruptError(f"{path}: it covers {index.rows:,} vectors instead of {stored.rows:,}")
    return index


def is_sound(directory: Path, stored: StoredGeneration) -> bool:
    """Whether a generation's index is as it was written."""
    try:
        with _paths(directory, stored.number)[0].open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest() == stored.index_sha256
    except OSError:
        return False


def check_is_there(directory: Path, stored: StoredGeneration, about: Generation) -> None:
    """Raises CorruptError unless a generation's index has its size; what is in it, only `read_index` can tell."""
    path, _ = _paths(directory, stored.number)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise CorruptError(f"{path}: {error.strerror}") from error
    if size != about.bytes:
        raise CorruptError(f"{path}: it has {size:,} bytes instead of {about.bytes:,}")


def sweep(directory: Path, keep: int | None) -> None:
    """Takes away all generations but one, and what was left of any that did not come about."""
    kept = set() if keep is None else {path.name for path in _paths(directory, keep)}
    folder = directory / FOLDER
    try:
        for name in os.listdir(folder) if folder.is_dir() else ():
            if name not in kept:
                (folder / name).unlink()
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}") from error


def _paths(directory: Path, number: int) -> tuple[Path, Path]:
    return directory / FOLDER / f"{number:06}.faiss", directory / FOLDER / f"{number:06}.json"


def _try_out(path: Path, index: Index, digest: str, stored: Part) -> None:
    """Reads a written index back, and compares its answers with those of the one in memory."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise StorageError(f"{path}: the disk gives back something else than was written")
        again = Index.read(index.spec, file)
    queries = stored.faiss.reconstruct_n(0, min(_PROBES, index.rows))
    row_set, effort = RowSet(index.rows), Effort(8, 4)
    answers = [each.search(queries, 5, effort=effort, stored=stored, row_set=row_set) for each in (index, again)]
    if not all(np.array_equal(*pair) for pair in zip(*answers, strict=True)):
        raise StorageError(f"{path}: FAISS reads something else than it has written")
