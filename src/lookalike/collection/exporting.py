"""The method of a collection that writes it to files of other programs."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Manifest

if TYPE_CHECKING:
    from lookalike.exchange.export import ExportReport


class Exportable:
    """Writes a collection to files of other programs."""

    directory: Path
    folder: Path
    _manifest: Manifest
    _catalog: Catalog

    def export(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        dtype: Literal["float16", "float32"] = "float16",
        vectors: bool = True,
        overwrite: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> "ExportReport":
        """Writes the vectors and the catalog to files, whose suffixes say what they are.

        .npy is an array of the vectors; .parquet the catalog and the vectors; .csv the catalog; .faiss, or .index, an
        exact FAISS index whose ids are those of the images. There is a row for each image that can be found, by id, so
        that row n is of the same image in all files of one call. Each vector is compared with its checksum.

        Args:
            paths: a file, or several.
            dtype: the precision of the vectors in .npy and .parquet files: as they are stored, or "float32".
            vectors: whether a .parquet file has them, as the column `embedding`.
            overwrite: replace files that are there.
            progress: called with the number of images that have been written, and of all; an exception that it raises
                ends the export, and no file has changed.

        Raises:
            UsageError: a suffix is not known, a file is there already, or is in the directory of a collection.
            CorruptError: a record or a vector is damaged; no file has changed.
            StorageError: the disk is full or failing; no file has changed.
        """
        from lookalike.exchange import export
        from lookalike.exchange.blocks import BlockReader
        from lookalike.exchange.export import PRECISIONS, ExportOptions

        if isinstance(paths, str | os.PathLike):
            files = [arguments.path(paths, "paths")]
        else:
            files = [arguments.path(each, "paths") for each in arguments.several(paths, "paths")]
        if dtype not in PRECISIONS:
            raise UsageError(f"dtype={arguments.shown(dtype)}: give {' or '.join(map(repr, PRECISIONS))}")
        options = ExportOptions(dtype, arguments.flag(vectors, "vectors"), arguments.flag(overwrite, "overwrite"))
        report, total = arguments.callback(progress, "progress"), self._catalog.totals().images
        dim = self._manifest.made_by.dim
        reader = BlockReader(self._catalog, self._manifest.data_directory(self.directory), dim)
        return export.export(
            reader, self.folder, dim, files, options, lambda done: report(done, max(total, done)) if report else None
        )
