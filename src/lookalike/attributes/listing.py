"""Tables that name the images to index, and have attributes of them: lists, and the metadata of image folders."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lookalike.attributes import json_lines
from lookalike.attributes.table import Table, read_table
from lookalike.errors import UsageError
from lookalike.images.reading import read_start

_TEXT = frozenset({".csv", ".tsv", ".tab"})
_SUFFIXES = frozenset({*_TEXT, *json_lines.SUFFIXES, ".parquet"})
_METADATA = "metadata.jsonl", "metadata.csv", "metadata.parquet"
_FILE_NAME = "file_name"  # the column that names an image in the metadata of an image folder
_TRIED = 100  # rows
_START = 4096  # bytes, in which the first path of a list ends


@dataclass(frozen=True)
class ListingTable:
    """A table that names images.

    Attributes:
        path: of the table.
        base: the folder that the paths in it are relative to.
    """

    path: Path
    base: Path

    def paths(self) -> list[Path]:
        """The paths that it names, absolute, each once, in its order; raises UsageError if it cannot be read."""
        names = (name for name, _ in _table(self.path, self.base).rows() if name)
        return list(dict.fromkeys(self.base / name for name in names))


def listing_table(path: Path, base: Path) -> ListingTable | None:
    """The table in a file, if it is one; else it may be a list of paths, one a line.

    Paths in it are relative to `base` or, if fewer of them are there, to its own folder.

    Raises:
        UsageError: it is called a table, but cannot be read, and is no list either.
    """
    if path.suffix.lower() not in _SUFFIXES:
        return None
    folders = dict.fromkeys((base, path.parent))
    try:
        return ListingTable(path, max(folders, key=lambda folder: _hits(_table(path, folder), folder)))
    except UsageError:
        if path.suffix.lower() in _TEXT and _begins_with_a_path(path, [*folders]):
            return None
        raise


def metadata_tables(folder: Path) -> Iterator[ListingTable]:
    """The tables of an image folder: `metadata.jsonl` and the like in it, or in the folders in it, such as `train`."""
    try:
        below = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    except OSError:
        below = []
    for place in (folder, *map(Path, below)):
        for name in _METADATA:
            if (place / name).is_file() and _names_files(place / name):
                yield ListingTable(place / name, place)
                break


def _names_files(path: Path) -> bool:
    """Whether a table has the column that Hugging Face's image folders name images by."""
    try:
        return _table(path, path.parent).column == _FILE_NAME
    except UsageError:
        return False


def _table(path: Path, base: Path) -> Table:
    return read_table(path, lambda name: os.path.lexists(base / name))


def _hits(table: Table, base: Path) -> int:
    return sum(os.path.lexists(base / name) for name, _ in islice(table.rows(), _TRIED) if name)


def _begins_with_a_path(path: Path, folders: list[Path]) -> bool:
    try:
        line = os.fsdecode(read_start(path, _START).partition(b"\n")[0].rstrip(b"\r"))
    except (OSError, ValueError):
        return False
    return bool(line) and any(os.path.lexists(folder / line) for folder in folders)
