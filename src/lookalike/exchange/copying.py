"""Copies images with their vectors from collections into new ones: nothing is encoded again."""

from collections.abc import Callable, Iterator
from pathlib import Path

from lookalike.exchange.blocks import Block, BlockReader
from lookalike.filters import Value
from lookalike.sources import keys
from lookalike.sources.folder import key_of
from lookalike.storage.bulk import NewImages
from lookalike.storage.checksums import crc32s
from lookalike.storage.making import NewCollection


def moved_key(key: str, old: Path, new: Path) -> str:
    """The key of an image of one folder in a collection of another: relative to that if its file is inside.

    A URL stays as it is.
    """
    return key if keys.is_url(key) else key_of(old / key, new)


def add(block: Block, collection: NewCollection, new_key: Callable[[str], str] = str) -> int:
    """Adds images to a collection, and returns the number of those that it has not had by their keys."""
    images = block.images
    new = NewImages(
        [new_key(image.key) for image in images],
        [image.sha256 for image in images],
        crc32s(block.vectors),
        [image.label for image in images],
        [image.width for image in images],
        [image.height for image in images],
        _columns(block),
        [status for status, _ in block.files],
        [decoding for _, decoding in block.files],
    )
    return len(images) - len(collection.add(new, block.vectors).refused)


def parts(reader: BlockReader, size: int) -> Iterator[tuple[int, Block]]:
    """Yields the images of a collection with the number of the part that each block belongs to, from 0 on.

    A part has `size` images, and the last one at most as many.
    """
    done = 0
    for block in reader.blocks():
        start = 0
        while start < len(block.images):
            stop = min(len(block.images), start + size - done % size)
            yield done // size, block.part(start, stop)
            start, done = stop, done + stop - start


def _columns(block: Block) -> dict[str, list[Value | None]]:
    names = dict.fromkeys(name for image in block.images for name in image.attributes)
    return {name: [image.attributes.get(name) for image in block.images] for name in names}
