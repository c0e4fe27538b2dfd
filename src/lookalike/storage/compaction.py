"""Takes the vectors that no image has any more out of the file.

The others are written to a new file, closer together, and one commit of the catalog names that file and the new rows.
Until then the old file counts, and a process that has it open may go on.
"""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from lookalike.errors import CorruptError
from lookalike.storage import files, layout, vectors
from lookalike.storage.checksums import read_checked_blocks
from lookalike.storage.mapped_vectors import MappedVectors
from lookalike.storage.rows import RowSet
from lookalike.storage.vector_tables import VectorTable
from lookalike.storage.vectors import VectorWriter
from lookalike.system import durable

_KINDS = (layout.is_vectors, layout.is_regions, layout.is_augmented)


def compacted(table: VectorTable, mapped: MappedVectors, live: RowSet) -> MappedVectors:
    """Writes the live vectors to a new file, in their order. It counts once `VectorTable.compact` has named it.

    Raises:
        CorruptError: a vector is damaged.
        StorageError: the disk is full or failing.
    """
    path = mapped.path.with_name(table.next_name())
    with durable.storage_errors(path):
        files.remove(path)  # left behind by a process that was killed
        vectors.create(path, mapped.dim)
        with closing(VectorWriter(path, mapped.dim, 0)) as writer:
            for block in read_checked_blocks(table, mapped, live.rows()):
                writer.append(block)
        durable.sync_folder(path.parent)
    return MappedVectors(path, mapped.dim, live.size)


def sweep(data_directory: Path, keep: Iterable[str]) -> None:
    """Removes the files of vectors that no longer count.

    Raises:
        CorruptError: one of those to keep is missing.
        StorageError: one cannot be removed.
    """
    kept = {*keep}
    for name in sorted(kept):
        if not files.check(data_directory / name):  # any other may be the one that a damaged catalog should name
            raise CorruptError(f"{data_directory / name}: the file is missing")
    with durable.storage_errors(data_directory):
        for name in files.names_in(data_directory):
            if name not in kept and any(is_one(name) for is_one in _KINDS):
                files.remove(data_directory / name)
