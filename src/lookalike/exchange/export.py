"""Exports a collection: its vectors and its catalog, to files whose suffixes say of which kind they are."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, get_args

from lookalike.display import write_file
from lookalike.errors import Hint, UsageError
from lookalike.exchange.blocks import BlockReader
from lookalike.exchange.writers import CsvWriter, FaissWriter, NpyWriter, ParquetWriter, Writer

Precision: TypeAlias = Literal["float16", "float32"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
_OF_VECTORS, _FAISS = (".npy",), (".faiss", ".index")
SUFFIXES = (*_OF_VECTORS, ".parquet", ".csv", *_FAISS)


@dataclass(frozen=True)
class ExportReport:
    """What an export has written.

    Attributes:
        images: the number of images, each of which is a row in each file.
        files: the files, each with its number of bytes.
    """

    images: int
    files: tuple[tuple[Path, int], ...]


@dataclass(frozen=True)
class ExportOptions:
    """What is to be written.

    Attributes:
        dtype: the precision of the vectors in .npy and .parquet files: "float16", as they are stored, or "float32".
        vectors: whether a .parquet file has them.
        overwrite: replace files that are there.
    """

    dtype: Precision = "float16"
    vectors: bool = True
    overwrite: bool = False


def export(
    reader: BlockReader,
    folder: Path,
    dim: int,
    paths: Sequence[Path],
    options: ExportOptions,
    progress: Callable[[int], None],
) -> ExportReport:
    """Writes all files in one pass, so that row n is of the same image in each: by id, the smallest first.

    Args:
        reader: of the collection.
        folder: that the keys of its images are relative to.
        dim: of its vectors.
        paths: the files.
        options: what is to be written.
        progress: is called with the number of images that have been written.

    Raises:
        UsageError: a suffix is not known, a file is there already, or pyarrow is not installed.
        CorruptError: a record or a vector is damaged.
        StorageError: the disk is full or failing. No file has changed then.
    """
    check(paths, options)
    count = 0
    with ExitStack() as files:
        opened = [files.enter_context(write_file.streamed(path, overwrite=options.overwrite)) for path in paths]
        writers = [_writer(path, file, folder, dim, options) for path, file in zip(paths, opened, strict=True)]
        for block in reader.blocks():
            for writer in writers:
                writer.write(block)
            progress(count := count + len(block.images))
        for writer in writers:
            writer.finish()
    return ExportReport(count, tuple((path, path.stat().st_size) for path in paths))


def check(paths: Sequence[Path], options: ExportOptions) -> None:
    """Raises UsageError if these files cannot be written, or would replace others; to be called before long work."""
    if not paths:
        raise UsageError(f"paths: name a file to write, of one of these kinds: {', '.join(SUFFIXES)}")
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise UsageError(f"{path}: the suffix says what is written; give one of {', '.join(SUFFIXES)}")
        if not options.vectors and path.suffix.lower() in (*_OF_VECTORS, *_FAISS):
            raise UsageError(f"{path}: such a file is of vectors; give a .parquet or .csv file if they are left out")
        if not options.overwrite and path.is_file() and path.stat().st_size:
            raise UsageError(f"{path}: there is a file already; give another path", Hint("overwrite"))
        write_file.check(path, overwrite=True)
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise UsageError("paths: two of them are the same file; give two paths")


def _writer(path: Path, file: BinaryIO, folder: Path, dim: int, options: ExportOptions) -> Writer:
    match path.suffix.lower():
        case ".npy":
            return NpyWriter(file, dim, options.dtype)
        case ".parquet":
            return ParquetWriter(file, folder, dim, options.dtype if options.vectors else None)
        case ".csv":
            return CsvWriter(file, folder)
    return FaissWriter(file, dim)
