"""A small picture with its name, words that were looked for, or the reason why there is no picture."""

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
    """A picture as it is shown.

    Attributes:
        name: what the picture is called, safe to show; empty if it has no name.
        path: the file, or None if it is not a file of its own.
        image: RGB, upright, or None if it could not be read.
        reason: why there is no image, in a few words.
        words: instead of an image, safe to show.
    """

    name: str
    path: Path | None
    image: Image.Image | None
    reason: str = ""
    words: str = ""


def thumbnails(sources: Iterable[Any], side: int) -> list[Thumbnail]:
    """A thumbnail of each, within `side` x `side` pixels.

    A source is a match, a term of a query, or anything else that can be searched for: a path, the bytes of a file,
    a file object, a PIL image or a `uint8` array.
    """
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda source: _thumbnail(source, side), sources))


def _thumbnail(source: Any, side: int) -> Thumbnail:
    if isinstance(source, Term):
        if source.text is not None:
            return Thumbnail("", None, None, words=safe_text(source.text))
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
