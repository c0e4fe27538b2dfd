"""Which files an import is made of, and what their rows are: an embedding, and what is known of its image."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.exchange import faiss_files, tables
from lookalike.exchange.npy_files import NpyFile
from lookalike.exchange.tables import Layout, ParquetTable, Rows

_INDEXES = (".faiss", ".index")
SUFFIXES = (".npy", ".parquet", *_INDEXES)
_CLIP_RETRIEVAL = ("img_emb", "metadata")  # the folders that it writes
_ROWS, _VALUES = 10_000, 4_000_000  # read at a time: so many rows, or numbers
_BARE = Layout("", None, None, None, None, None, (), ())


@dataclass(frozen=True)
class Batch:
    """Some rows: what is known of the images, and their embeddings, float16 or float32 (n, dim)."""

    rows: Rows
    embeddings: NDArray[Any]


class Source(Protocol):
    """What an import is made of.

    Attributes:
        count: the number of its rows.
        dim: the dimension of the embeddings.
        layout: the columns that describe the images.
    """

    count: int
    dim: int
    layout: Layout

    def batches(self) -> Iterator[Batch]:
        """Yields the rows, some thousand at a time; raises UsageError if a file cannot be read."""


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files of an import: those that are named, and those in folders that are named, by the numbers in their names.

    Raises:
        UsageError: there is nothing at a path, a folder has no such file, or a file is of another kind.
    """
    found = list[Path]()
    for path in paths:
        if path.is_dir():
            parts = [path / name for name in _CLIP_RETRIEVAL]
            folders = parts if all(part.is_dir() for part in parts) else [path]
            inside = [
                file
                for folder in folders
                for file in sorted(folder.iterdir(), key=_natural)
                if _is_ours(file) and file.is_file()
            ]
            if not inside:
                raise UsageError(f"{path}: there is no {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file in it")
            found += inside
        elif not path.exists():
            raise UsageError(f"{path}: there is no such file")
        elif not _is_ours(path):
            raise UsageError(f"{path}: embeddings are read from {', '.join(SUFFIXES[:-1])} and {SUFFIXES[-1]} files")
        elif not path.is_file():
            raise UsageError(f"{path}: not a regular file")
        else:
            found.append(path)
    return list(dict.fromkeys(found))


@contextmanager
def opened(files: Sequence[Path], key: str | None) -> Iterator[Source]:
    """Opens the files of an import.

    Args:
        files: as `files_of` has them.
        key: the name of the column that names the images; None chooses one.

    Raises:
        UsageError: a file cannot be read, or they do not fit together.
    """
    arrays, parquets = ([file for file in files if file.suffix.lower() == suffix] for suffix in (".npy", ".parquet"))
    indexes = [file for file in files if file.suffix.lower() in _INDEXES]
    if len(indexes) > 1 or (indexes and arrays):
        raise UsageError(f"{indexes[0]}: a FAISS index is imported alone; name no other embeddings with it")
    tables.check(parquets)
    described = [ParquetTable(path) for path in parquets]
    if not arrays and not indexes:
        yield _Tables(described, key)
        return
    with ExitStack() as ending:
        ids = None
        if indexes:
            folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="lookalike-"))
            extracted, ids = faiss_files.extract(indexes[0], Path(folder))
            arrays = [extracted]
        opened_arrays = [NpyFile(path) for path in arrays]
        for each in opened_arrays:
            ending.callback(each.close)
        names = [path.stem for path in indexes or arrays]
        yield (
            _Arrays(opened_arrays, indexes or arrays, described, key) if described else _Bare(opened_arrays, names, ids)
        )


class _Vectors:
    """Several arrays, one after the other."""

    def __init__(self, arrays: Sequence[NpyFile]) -> None:
        self._arrays, self._place, self._left = arrays, 0, arrays[0].rows
        self.count, self.dim = sum(each.rows for each in arrays), arrays[0].dim
        for each in arrays:
            if each.dim != self.dim:
                raise UsageError(
                    f"{each.path}: its embeddings have {each.dim:,} dimensions, and those of {arrays[0].path} have"
                    f" {self.dim:,}; import them by themselves"
                )

    def read(self, count: int) -> NDArray[Any]:
        """The next embeddings."""
        parts = list[NDArray[Any]]()
        while count:
            while not self._left:
                self._place += 1
                self._left = self._arrays[self._place].rows
            taken = min(count, self._left)
            parts.append(self._arrays[self._place].read(taken))
            self._left, count = self._left - taken, count - taken
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty((0, self.dim), np.float16), *parts])


class _Arrays:
    """Arrays with tables beside, row by row."""

    def __init__(
        self, arrays: Sequence[NpyFile], named: Sequence[Path], described: Sequence[ParquetTable], key: str | None
    ) -> None:
        self._vectors, self._tables = _Vectors(arrays), described
        self.count, self.dim = self._vectors.count, self._vectors.dim
        if len(arrays) == len(described):
            pairs = zip(arrays, named, described, strict=True)
            for path, rows, table in ((path, each.rows, table) for each, path, table in pairs):
                if rows != table.rows:
                    raise UsageError(f"{path} has {rows:,} rows, and {table.path} has {table.rows:,}")
        if self.count != (total := sum(table.rows for table in described)):
            raise UsageError(f"{named[0].parent}: {self.count:,} embeddings, and {total:,} rows in the Parquet files")
        self.layout = described[0].layout(key, embeds=False)

    def batches(self) -> Iterator[Batch]:
        """Yields the rows."""
        for table in self._tables:
            for rows in table.read(self.layout, self.dim, _size(self.dim)):
                yield Batch(rows, self._vectors.read(len(rows)))


class _Tables:
    """Tables that have the embeddings, too."""

    def __init__(self, described: Sequence[ParquetTable], key: str | None) -> None:
        first = described[0]
        if (embedding := first.embedding()) is None:
            raise UsageError(f"{first.path}: it has no column of embeddings; name the .npy files, too")
        self._tables, self.layout = described, first.layout(key, embeds=True)
        self.count, self.dim = sum(table.rows for table in described), first.first_dim(embedding)
        if not self.dim:
            raise UsageError(f"{first.path}: there is no embedding in it")

    def batches(self) -> Iterator[Batch]:
        """Yields the rows."""
        for table in self._tables:
            for rows in table.read(self.layout, self.dim, _size(self.dim)):
                assert rows.embeddings is not None
                yield Batch(rows, rows.embeddings)


class _Bare:
    """Arrays alone: an image is named by its file and row, or by its id in a FAISS index."""

    layout = _BARE

    def __init__(self, arrays: Sequence[NpyFile], names: Sequence[str], ids: NDArray[np.int64] | None) -> None:
        self._arrays, self._names, self._ids, self._vectors = arrays, names, ids, _Vectors(arrays)
        self.count, self.dim = self._vectors.count, self._vectors.dim

    def batches(self) -> Iterator[Batch]:
        """Yields the rows."""
        for array, name in zip(self._arrays, self._names, strict=True):
            for start in range(0, array.rows, _size(self.dim)):
                stop = min(start + _size(self.dim), array.rows)
                numbers = range(start, stop) if self._ids is None else self._ids[start:stop].tolist()
                rows = Rows({"": [f"{name}/{number}" for number in numbers]}, None, None)
                yield Batch(rows, self._vectors.read(stop - start))


def _size(dim: int) -> int:
    return max(1, min(_ROWS, _VALUES // dim))


def _natural(path: Path) -> list[tuple[int, str]]:
    """The order of names by the numbers in them: 2 before 10."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdigit() and part.isascii() else (-1, part) for part in parts]


def _is_ours(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES
