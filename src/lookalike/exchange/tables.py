"""Reads Parquet files that describe images, and may have their embeddings: some thousand rows at a time.

They come from anywhere, so they are first read in a process of its own with a limit of memory, see
attributes/parquet.py.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import arguments
from lookalike.attributes import parquet
from lookalike.errors import UsageError
from lookalike.exchange import columns

_CHECKED_ROWS = 1000  # read at a time
_EMBEDDINGS = ("embedding", "imageembedding", "embeddings", "emb", "imageemb", "vector", "clipembedding")
# Names of the column that names the image, without "_" and the like, the likeliest first.
_KEYS = (
    *("imagepath", "path", "filepath", "imagefile", "file", "filename", "imagename", "image", "sourcefile"),
    *("url", "imageurl", "uri", "key", "imageid", "id", "hash", "uid"),
)
_OWN_NAMES = ("id", "key", "path", "label")  # a label that was given is among the attributes


@dataclass(frozen=True)
class Layout:
    """What the columns of a table are; all tables of an import have the same.

    Attributes:
        key: the name of the column that names the images.
        embedding: that of the embeddings, or None.
        sha256: that of the SHA-256 of the files, or None.
        width: that of the width in pixels, or None.
        height: likewise.
        json: that of attributes as JSON objects, as Lookalike exports them, or None.
        attributes: those of attributes.
        left_out: the columns that are of no use, with the reason.
    """

    key: str
    embedding: str | None
    sha256: str | None
    width: str | None
    height: str | None
    json: str | None
    attributes: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def used(self) -> list[str]:
        """The names of the columns that are read."""
        named = (self.key, self.sha256, self.width, self.height, self.json)
        return list(dict.fromkeys([*filter(None, named), *self.attributes]))


@dataclass(frozen=True)
class Rows:
    """Some rows of a table.

    Attributes:
        cells: of each column that is used: text, numbers or None.
        embeddings: float16 or float32 (n, dim), if the table has them; a row that is missing or has another length is
            of NaN.
        lengths: of the embeddings, -1 for one that is missing.
    """

    cells: dict[str, list[Any]]
    embeddings: NDArray[Any] | None
    lengths: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(next(iter(self.cells.values())))


class ParquetTable:
    """A Parquet file.

    Attributes:
        path: the file.
        rows: the number of its rows.
    """

    def __init__(self, path: Path) -> None:
        """Opens a file that has been checked.

        Raises:
            UsageError: it cannot be read, or pyarrow is not installed.
        """
        self.path = path
        with parquet.opened(path) as file:
            self.rows, self.schema = int(file.metadata.num_rows), file.schema_arrow
        for name in self.schema.names:
            if self.schema.names.count(name) > 1:
                raise UsageError(f"{path}: two columns are named {arguments.shown(name)}; rename one of them")

    def embedding(self) -> str | None:
        """The name of the column of embeddings; None if there is none.

        Raises:
            UsageError: several columns may be it.
        """
        found = [name for name in self.schema.names if _is_embedding(self.schema.field(name).type)]
        named = sorted(
            (name for name in found if _bare(name) in _EMBEDDINGS), key=lambda n: _EMBEDDINGS.index(_bare(n))
        )
        if not named and len(found) > 1:
            raise UsageError(
                f"{self.path}: {', '.join(map(arguments.shown, found))} may be the embeddings; name one embedding"
            )
        return next(iter(named or found), None)

    def layout(self, key: str | None, *, embeds: bool) -> Layout:
        """What the columns are.

        Args:
            key: the name of the column that names the images; None chooses one.
            embeds: whether the embeddings are read from this table.

        Raises:
            UsageError: there is no column of that name, or none that may name images.
        """
        names, kinds = self.schema.names, {name: self.schema.field(name).type for name in self.schema.names}
        embedding = self.embedding()
        chosen = key if key is not None else self._key(names)
        if chosen not in names:
            raise UsageError(
                f"{self.path}: no column {arguments.shown(chosen)}; its columns are {', '.join(names)[:400]}"
            )
        is_own = names[: len(columns.NAMES)] == list(columns.NAMES)
        taken = {name: self._named(name) for name in ("sha256", "width", "height")}
        json = "attributes" if is_own else None
        passed = {chosen, embedding, *taken.values(), json} | (set(_OWN_NAMES) if is_own else set())
        others = [name for name in names if name not in passed and name]
        usable = tuple(name for name in others if parquet.is_usable(kinds[name]))
        left_out = tuple((name, f"of the type {kinds[name]}") for name in others if name not in usable)
        return Layout(chosen, embedding if embeds else None, **taken, json=json, attributes=usable, left_out=left_out)

    def read(self, layout: Layout, dim: int, size: int) -> Iterator[Rows]:
        """Yields the rows, about `size` at a time; `dim` is the dimension of the embeddings, if the table has them.

        Raises:
            UsageError: the file is damaged, or has not the columns of the layout.
        """
        wanted = [*layout.used, *([layout.embedding] if layout.embedding else [])]
        for name in wanted:
            if name not in self.schema.names:
                raise UsageError(f"{self.path}: no column {arguments.shown(name)}, which the first table has")
            if name != layout.embedding and not parquet.is_usable(self.schema.field(name).type):
                kind = self.schema.field(name).type
                raise UsageError(f"{self.path}: the column {arguments.shown(name)} is of the type {kind}")
        for batch in parquet.batches(self.path, wanted, size):
            cells = {name: parquet.cells_of(batch[name]) for name in layout.used}
            if layout.embedding:
                yield Rows(cells, *_embeddings(batch[layout.embedding], dim))
            else:
                yield Rows(cells, None, None)

    def first_dim(self, embedding: str) -> int:
        """The dimension of the first embedding; 0 if there is none."""
        kind = self.schema.field(embedding).type
        if hasattr(kind, "list_size"):
            return int(kind.list_size)
        for batch in parquet.batches(self.path, [embedding], _CHECKED_ROWS):
            lengths = _lengths(batch[embedding])
            if (lengths > 0).any():
                return int(lengths[lengths > 0][0])
        return 0

    def _key(self, names: Sequence[str]) -> str:
        found = [name for name in names if _bare(name) in _KEYS]
        if not found:
            raise UsageError(
                f"{self.path}: none of its columns ({', '.join(names)[:400]}) is called as one that names images; say"
                " which one does"
            )
        return min(found, key=lambda name: _KEYS.index(_bare(name)))

    def _named(self, wanted: str) -> str | None:
        return next((name for name in self.schema.names if _bare(name) == wanted), None)


def check(paths: Sequence[Path]) -> None:
    """Makes sure that files can be read, in a process of its own.

    Raises:
        UsageError: one cannot be read, or reading it takes too much memory or time, or pyarrow is not installed.
    """
    parquet.check_batches(paths, _CHECKED_ROWS)


def _bare(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


def _is_embedding(kind: Any) -> bool:
    from pyarrow import types

    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(is_list and types.is_floating(kind.value_type))


def _lengths(column: Any) -> NDArray[np.int64]:
    """The lengths of lists, -1 for one that is missing."""
    import pyarrow.compute as pc

    found: NDArray[np.int64] = pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)
    return found.astype(np.int64)


def _embeddings(column: Any, dim: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The embeddings of a column, (n, dim), with NaN in the rows that are missing or have another length."""
    import pyarrow as pa

    lengths = _lengths(column)
    fits = lengths == dim
    flat = (column if fits.all() else column.filter(pa.array(fits))).flatten()
    numbers = flat.to_numpy(zero_copy_only=False)  # a number that is missing becomes NaN
    numbers = numbers.astype("<f2" if numbers.dtype.itemsize == 2 else "<f4", copy=False).reshape(-1, dim)
    if fits.all():
        return numbers, lengths
    found = np.full((len(lengths), dim), np.nan, numbers.dtype)
    found[fits] = numbers
    return found, lengths
