"""The vectors of parts of a collection's images."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from lookalike.collection.originals import indexed_bytes
from lookalike.encoders import Encoder
from lookalike.ingest.regions import PartEmbedder, RegionIngest
from lookalike.ingest.suspects import UnderWay
from lookalike.storage import files, layout, vectors
from lookalike.storage.catalog import Catalog
from lookalike.storage.stored_regions import FileOfRow
from lookalike.storage.vectors import VectorWriter
from lookalike.system import durable


def keep_regions(catalog: Catalog, data_directory: Path, dim: int, per_image: int) -> bool:
    """Keeps vectors of so many parts of each image from now on, or of none, and returns whether that is a change.

    The vectors of another number of parts do not count any more. The caller holds the lock.
    """
    known = catalog.state().regions
    if per_image == (known.per_image if known else 0):
        return False
    name = layout.next_regions(catalog.regions.last_file())
    if per_image:
        with durable.storage_errors(data_directory):
            files.remove(data_directory / name)  # left behind by a process that was killed
        vectors.create(data_directory / name, dim)
    with catalog.writing() as transaction:
        if per_image:
            transaction.regions.begin(per_image, name)
        else:
            transaction.regions.end()
    return True


@contextmanager
def region_ingest(
    catalog: Catalog, data_directory: Path, encoder: Encoder, folder: Path, max_pixels: int, under_way: UnderWay
) -> Iterator[RegionIngest | None]:
    """Gives what makes the vectors of parts of the images of a locked collection; None if it keeps none.

    Args:
        catalog: the collection's.
        data_directory: where its vectors are.
        encoder: the one that made them.
        folder: the folder that the keys of its images are relative to.
        max_pixels: the most pixels of an image.
        under_way: is told what is decoded.
    """
    state = catalog.state().regions
    if state is None:
        yield None
        return
    read = partial(_read, folder)
    embedder = PartEmbedder(encoder, state.per_image, read, max_pixels, under_way)
    with closing(VectorWriter(data_directory / state.vectors, encoder.dim, state.count)) as writer:
        yield RegionIngest(catalog, writer, embedder)


def _read(folder: Path, file: FileOfRow) -> bytes:
    return indexed_bytes(folder, file.key, file.hash)
