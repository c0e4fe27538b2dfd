"""A generation of the index on the disk: written beside, read back, and only then named in the catalog.

A generation is two files: `index/000003.faiss`, the FAISS index, and `index/000003.json`, its card, which says what is
known of it. The catalog has the checksums of both, so that a damaged one is never used. Both can be built again from
the vectors.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any

import numpy as np

from lookalike.errors import CorruptError, StorageError, UsageError
from lookalike.index.faiss_index import Index
from lookalike.index.operating_point import OperatingPoint, SearchParameters, cheapest
from lookalike.index.spec import IndexSpec
from lookalike.storage import files, layout
from lookalike.storage.mapped_vectors import Part
from lookalike.storage.records import StoredGeneration
from lookalike.storage.rows import RowSet
from lookalike.system import durable

_FORMAT = 1
_MAX_CARD_BYTES = 2**24
# The largest numbers that a card may have: of rows and bytes, of neighbours and lists, of milliseconds.
_ROWS, _NEIGHBOURS, _MILLISECONDS = 2**48, 2**24, 1e9
_PROBES = 16  # queries whose answers are compared before and after writing


@dataclass(frozen=True)
class Generation:
    """What is known of an index.

    Attributes:
        spec: its FAISS index factory string.
        dim: the dimension of the vectors.
        rows: the number of rows that it covers; the vectors in later rows are compared one by one.
        trained_rows: the number of vectors that there were when it was trained.
        target_recall: the recall that was asked for.
        reached_recall: the recall that it reaches: the target, or less if that could not be reached.
        asked_spec: the factory string that was asked for, or None.
        asked_memory: the size in bytes that was asked for, or None.
        points: the measured operating points.
        exact_milliseconds: the median time of an exact search, one query at a time on one thread.
        bytes: the size of its file.
        sha256: the SHA-256 of its file, in hexadecimal.
    """

    spec: str
    dim: int
    rows: int
    trained_rows: int
    target_recall: float
    reached_recall: float
    asked_spec: str | None
    asked_memory: int | None
    points: tuple[OperatingPoint, ...]
    exact_milliseconds: float
    bytes: int = 0
    sha256: str = ""

    def parameters(self, *, k: float, recall: float | None) -> SearchParameters | None:
        """The cheapest parameters that reach a recall for k neighbours; None if an exact search is better.

        Without `recall`, the reached recall counts. If the recall was measured for more neighbours, the total number of
        candidates stays what it was then: a few for each neighbour would leave out too many of the nearest.
        """
        point = cheapest(self.points, self.reached_recall if recall is None else recall, k)
        if point is None:
            return None
        if self.reached_recall < self.target_recall and point.milliseconds >= self.exact_milliseconds:
            return None  # it finds less than was asked for, in no less time than an exact search takes
        return SearchParameters(point.parameters.nprobe, point.parameters.candidates * point.k / k)

    @property
    def chosen(self) -> OperatingPoint | None:
        """The operating point of a search for ten images, unless another recall is asked for."""
        return cheapest(self.points, self.reached_recall, min((point.k for point in self.points), default=0))

    @property
    def is_exact_better(self) -> bool:
        """Whether such a search compares with every vector all the same, since the index finds less in no less time."""
        missed = self.reached_recall < self.target_recall
        return self.chosen is None or (missed and self.chosen.milliseconds >= self.exact_milliseconds)


# Its card as JSON, whose keys stay as they are on the disk.

_KEYS = {"target_recall": "promise", "reached_recall": "reached"}


def as_facts(card: Generation) -> dict[str, Any]:
    """What is known of an index, for JSON."""
    facts = {_KEYS.get(name, name): value for name, value in asdict(card).items()}
    facts["points"] = [_point_facts(point) for point in card.points]
    return facts


def _point_facts(point: OperatingPoint) -> dict[str, Any]:
    parameters = {"breadth": point.parameters.nprobe, "candidates": point.parameters.candidates}
    measured = {name: getattr(point, name) for name in ("recall", "recall_low", "milliseconds")}
    return {"depth": point.k, "effort": parameters, **measured}


def from_facts(facts: dict[str, Any]) -> Generation:
    """The card that JSON holds; raises ValueError for what Lookalike does not write."""
    points = tuple(map(_point_from_facts, facts.pop("points")))
    card = Generation(points=points, target_recall=facts.pop("promise"), reached_recall=facts.pop("reached"), **facts)
    whole = all(_is_number(each, _ROWS, int) for each in (card.dim, card.rows, card.trained_rows, card.bytes))
    asked = card.asked_memory is None or _is_number(card.asked_memory, _ROWS, int)
    measured = all(_is_number(each, 1) for each in (card.target_recall, card.reached_recall))
    texts = all(isinstance(each, str) for each in (card.spec, card.sha256, card.asked_spec or ""))
    if not (whole and asked and measured and texts and _is_number(card.exact_milliseconds, _MILLISECONDS)):
        raise ValueError("a value is of another type, or out of range")
    return card


def _point_from_facts(facts: Mapping[str, Any]) -> OperatingPoint:
    nprobe, candidates = facts["effort"]["breadth"], facts["effort"]["candidates"]
    k, recall, recall_low, milliseconds = (facts[name] for name in ("depth", "recall", "recall_low", "milliseconds"))
    whole = _is_number(nprobe, _NEIGHBOURS, int) and _is_number(k, _NEIGHBOURS, int) and k > 0
    measured = _is_number(recall, 1) and _is_number(recall_low, 1) and _is_number(milliseconds, _MILLISECONDS)
    if not (whole and measured and _is_number(candidates, _NEIGHBOURS)):
        raise ValueError("a value of an operating point is of another type, or out of range")
    return OperatingPoint(k, SearchParameters(nprobe, candidates), recall, recall_low, milliseconds)


def _is_number(value: object, most: float, kind: type | UnionType = int | float) -> bool:
    """Whether a value is a number from 0; a bool is none, nor is NaN in this range."""
    return isinstance(value, kind) and not isinstance(value, bool) and 0 <= value <= most  # type: ignore[operator]


# On the disk


def write(data_directory: Path, number: int, index: Index, card: Generation, stored: Part) -> StoredGeneration:
    """Puts a generation on the disk, read back and tried, and returns what the catalog is to say of it.

    Args:
        data_directory: the directory of the catalog and the vectors.
        number: the generation's.
        index: the index.
        card: what is known of it; size and checksum are filled in.
        stored: the rows that the index covers, to try it with.

    Raises:
        StorageError: the disk is full or failing, or gives back something else.
    """
    path, card_path = layout.index_files(data_directory, number)
    with durable.storage_errors(path):
        files.check_directory(path.parent)
        path.parent.mkdir(exist_ok=True)
        written = durable.write(durable.beside(path), index.write)
        _try_out(durable.beside(path), index, written.sha256, stored)
        card = replace(card, bytes=written.size, sha256=written.sha256.hex())
        text = json.dumps({"format": _FORMAT, **as_facts(card)}, indent=2) + "\n"
        card_written = durable.write_bytes(durable.beside(card_path), text.encode())
        durable.rename(durable.beside(path), path)
        durable.rename(durable.beside(card_path), card_path)
        durable.sync_folder(data_directory)
    return StoredGeneration(number, card.rows, written.sha256, card_written.sha256)


def read_card(data_directory: Path, stored: StoredGeneration, *, dim: int | None = None) -> Generation:
    """Reads what is known of a generation, without its index.

    Args:
        data_directory: the directory of the catalog and the vectors.
        stored: what the catalog says of it.
        dim: the dimension that the vectors have, if it is known.

    Raises:
        CorruptError: the card is missing, damaged, or cannot be read.
    """
    _, path = layout.index_files(data_directory, stored.number)
    with _corrupt_errors(path):
        text = files.read(path, max_bytes=_MAX_CARD_BYTES)
        if hashlib.sha256(text).digest() != stored.card_sha256:
            raise CorruptError(f"{path}: the file is damaged: checksum mismatch")
        try:
            facts = json.loads(text)
            found = facts.pop("format")
            if type(found) is not int or found != _FORMAT:  # True equals 1
                raise CorruptError(f"{path}: another version of Lookalike wrote it")
            card = from_facts(facts)
            if card.rows != stored.rows or card.dim != (dim or card.dim):
                raise ValueError("it is of another index")
            return card
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CorruptError(f"{path}: the file is damaged: {error}") from error


def read_index(data_directory: Path, stored: StoredGeneration, card: Generation) -> Index:
    """Reads a generation's index, after a check of its checksum.

    Raises:
        CorruptError: the file is missing, damaged, or cannot be read.
    """
    path, _ = layout.index_files(data_directory, stored.number)
    with _corrupt_errors(path), files.opened(path) as file:
        if hashlib.file_digest(file, "sha256").digest() != stored.index_sha256:
            raise CorruptError(f"{path}: the file is damaged: checksum mismatch")
        try:
            index = Index.read(IndexSpec(card.spec, card.dim), file)
        except UsageError as error:
            raise _unusable(path, error) from error
    if index.rows != stored.rows:
        raise CorruptError(f"{path}: it covers {index.rows:,} vectors instead of {stored.rows:,}")
    return index


def is_sound(data_directory: Path, stored: StoredGeneration) -> bool:
    """Whether the checksum of a generation's index matches."""
    try:
        with files.opened(layout.index_files(data_directory, stored.number)[0]) as file:
            return hashlib.file_digest(file, "sha256").digest() == stored.index_sha256
    except (OSError, CorruptError):
        return False


def check_size(data_directory: Path, stored: StoredGeneration, card: Generation) -> None:
    """Makes sure that a generation's index is there, of a known kind, and has its size; `read_index` checks the rest.

    Raises:
        CorruptError: it is missing, or has another size, or this version of FAISS cannot use it.
    """
    path, _ = layout.index_files(data_directory, stored.number)
    with _corrupt_errors(path):
        size = files.size(path)
    if size != card.bytes:
        raise CorruptError(f"{path}: it has {size:,} bytes instead of {card.bytes:,}")
    try:
        IndexSpec(card.spec, card.dim)
    except UsageError as error:
        raise _unusable(path, error) from error


def sweep(data_directory: Path, keep: Iterable[int]) -> None:
    """Removes all generations but those to keep, and what is left of any that was never completed.

    Raises:
        StorageError: one cannot be removed.
    """
    kept = {path.name for number in keep for path in layout.index_files(data_directory, number)}
    folder = layout.index_folder(data_directory)
    with durable.storage_errors(folder):
        for name in files.names_in(folder):
            if name not in kept:
                files.remove(folder / name)


def _unusable(path: Path, error: UsageError) -> CorruptError:
    return CorruptError(f"{path}: this version of FAISS cannot use it: {error}")


@contextmanager
def _corrupt_errors(path: Path) -> Iterator[None]:
    """Turns an OSError into a CorruptError: the index can be built again, so that nothing is lost."""
    try:
        yield
    except FileNotFoundError as error:
        raise CorruptError(f"{path}: the file is missing") from error
    except OSError as error:
        raise CorruptError(f"{path}: {error.strerror or error}") from error


def _try_out(path: Path, index: Index, sha256: bytes, stored: Part) -> None:
    """Reads a written index back, and compares its answers with those of the one in memory."""
    with files.opened(path) as file:
        if hashlib.file_digest(file, "sha256").digest() != sha256:
            raise StorageError(f"{path}: the disk gives back something else than was written")
        again = Index.read(index.spec, file)
    queries = stored.faiss.reconstruct_n(0, min(_PROBES, index.rows))
    row_set, parameters = RowSet(index.rows), SearchParameters(8, 4)
    answers = [each.search(queries, 5, parameters, stored=stored, row_set=row_set) for each in (index, again)]
    if not all(np.array_equal(*pair) for pair in zip(*answers, strict=True)):
        raise StorageError(f"{path}: FAISS reads something else than it has written")
