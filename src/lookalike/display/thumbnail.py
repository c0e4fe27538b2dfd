"""Makes thumbnails of matches and queries for all displays."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from lookalike.display.text import safe_text
from lookalike.errors import ImageError, LookalikeError
from lookalike.images import decode
from lookalike.results import Match
from lookalike.search.query import Term


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


def thumbnails(sources: Iterable[Any], side: int) -> list[Thumbnail]:
    """Returns a thumbnail of each source, at most `side` x `side` pixels, in order.

    A source is a match, a term of a query, or any other query image: a path, the bytes of a file, an open file, a
    PIL image or a `uint8` array.
    """
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda source: _thumbnail(source, side), sources))


def _thumbnail(source: Any, side: int) -> Thumbnail:
    if isinstance(source, Term):
        if source.text is not None:
            return Thumbnail("", None, None, text=safe_text(source.text))
        source = source.image
    name, path = _name(source)
    if isinstance(source, Match):
        source = source.path
    if source is None:
        return Thumbnail(name, path, None, "not a file of its own")
    try:
        return Thumbnail(name, path, decode.thumbnail(source, side))
    except LookalikeError as error:
        reason = error.reason if isinstance(error, ImageError) else str(error)
        return Thumbnail(name, path, None, safe_text(reason))


def _name(source: Any) -> tuple[str, Path | None]:
    if isinstance(source, Match):
        return safe_text(source.key), source.path
    if isinstance(source, str | os.PathLike):
        path = Path(source).absolute()
        return safe_text(path.name), path
    return "", None
