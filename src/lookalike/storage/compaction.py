"""Takes the vectors that no image has any more out of the file.

The others are written to a new file, closer together, and one commit of the catalog names that file and the new
rows. Until then the old file counts, and whoever has it open may go on.
"""

import os
import re
from pathlib import Path

from lookalike.errors import CorruptError, StorageError
from lookalike.storage import vectors
from lookalike.storage.catalog import Catalog
from lookalike.storage.checksums import VerifiedVectors
from lookalike.storage.rows import RowSet
from lookalike.storage.vectors import VectorReader, VectorWriter
from lookalike.system.durable import sync_folder

_NAME = re.compile(r"vectors(\.\d{6})?\.faiss")


def compacted(catalog: Catalog, reader: VectorReader, live: RowSet) -> VectorReader:
    """Writes the live vectors into a new file, in their order. It counts once `Transaction.compact` has named it.

    Raises:
        CorruptError: a vector is damaged.
        StorageError: the disk is full or failing.
    """
    path = reader.path.with_name(_next_name(reader.path.name))
    try:
        path.unlink(missing_ok=True)  # what a process that was killed has left
        vectors.create(path, reader.dim)
        writer = VectorWriter(path, reader.dim, 0)
        try:
            for block in VerifiedVectors(catalog, reader).blocks(live.rows(), count=live.count):
                writer.append(block)
        finally:
            writer.close()
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
    return VectorReader(path, reader.dim)


def sweep(directory: Path, keep: str) -> None:
    """Takes away the files of vectors that no longer count.

    Raises:
        CorruptError: the one that does is missing.
        StorageError: one cannot be taken away.
    """
    if not (directory / keep).is_file():  # any of the others may be what a damaged catalog means
        raise CorruptError(f"{directory / keep}: the file is missing")
    try:
        for name in os.listdir(directory):
            if name != keep and _NAME.fullmatch(name):
                (directory / name).unlink()
    except OSError as error:
        raise StorageError(f"{directory}: {error.strerror}") from error


def _next_name(name: str) -> str:
    number = int(name.split(".")[1]) if name.count(".") == 2 else 0
    return f"vectors.{number + 1:06}.faiss"
