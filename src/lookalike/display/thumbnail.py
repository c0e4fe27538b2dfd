"""Makes thumbnails of matches and queries for all displays."""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from lookalike.display.text import safe_text
from lookalike.errors import ImageError, LookalikeError
from lookalike.images import decode
from lookalike.results import IndexedImage, Match, Region
from lookalike.search.terms import Term
from lookalike.sources import places

_STORED = (Match, IndexedImage)
_FRAME = ("#000000", "#ffffff", "#ffffff", "#000000")  # the lines around a part of an image, from the outside


@dataclass(frozen=True)
class Thumbnail:
    """A small image with its name, the text of a query, or the reason why there is no image.

    Attributes:
        name: the image's name as safe text; "" if it has none.
        path: the file, or None if the image is not a file of its own.
        image: RGB, upright, or None if it could not be read.
        reason: why there is no image, a short phrase as safe text.
        text: the text of a query without an image, as safe text.
    """

    name: str
    path: Path | None
    image: Image.Image | None
    reason: str = ""
    text: str = ""


def thumbnails(sources: Iterable[Any], side: int, max_pixels: int | None = None) -> list[Thumbnail]:
    """Returns a thumbnail of each source, at most `side` x `side` pixels, in order.

    The part of a match or of a term that counts has a frame around it.

    Of an image with more than `max_pixels`, the usual limit by default, there is only the reason.

    A source is a match, an image of a collection, a term of a query, or any other query image: a path, the bytes of a
    file, an open file, a PIL image or a `uint8` array.
    """
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda source: _thumbnail(source, side, max_pixels or decode.MAX_PIXELS), sources))


def _thumbnail(source: Any, side: int, max_pixels: int) -> Thumbnail:
    region = source.region if isinstance(source, Term | Match) else None
    if isinstance(source, Term):
        if source.image is None:
            own = "a vector" if source.id is None else f"image {source.id}"
            return Thumbnail("", None, None, text=safe_text(own if source.text is None else source.text))
        source = source.image
    name, path = _name(source)
    if source is None or (isinstance(source, _STORED) and source.path is None):
        return Thumbnail(name, path, None, "not a file of its own")
    try:
        image = decode.thumbnail(_indexed_file(source), side, max_pixels=max_pixels)
        return Thumbnail(name, path, image if region is None else framed(image, region))
    except LookalikeError as error:
        reason = error.reason if isinstance(error, ImageError) else str(error)
        return Thumbnail(name, path, None, safe_text(reason))


def framed(image: Image.Image, region: Region) -> Image.Image:
    """A copy of an image with a frame around a part of it, which shows on light and on dark."""
    across, down = image.size
    left, top = round(region.x * across), round(region.y * down)
    right = max(round((region.x + region.width) * across) - 1, left)
    bottom = max(round((region.y + region.height) * down) - 1, top)
    drawn = image.copy()
    draw = ImageDraw.Draw(drawn)
    for inset, colour in enumerate(_FRAME):
        if right - left >= 2 * inset and bottom - top >= 2 * inset:
            draw.rectangle((left + inset, top + inset, right - inset, bottom - inset), outline=colour)
    return drawn


def _indexed_file(source: Any) -> Any:
    """The bytes of a collection's image, if they are those that were indexed; any other source as it is.

    A collection of a stranger's may name any file as its image, but to have it shown, it would have to know its bytes.
    """
    if not isinstance(source, _STORED):
        return places.image_source(source)
    assert source.path
    data = places.read(source.path).data
    if source.sha256 is not None and hashlib.sha256(data).digest() != source.sha256:
        raise ImageError("changed since it was indexed", str(source.path))
    return data


def _name(source: Any) -> tuple[str, Path | None]:
    if isinstance(source, _STORED):
        return safe_text(source.key), source.path and places.file_of(source.path)
    if isinstance(source, str | os.PathLike):
        path = Path(source).absolute()
        return safe_text(path.name), path
    return "", None
