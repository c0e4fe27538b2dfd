"""Renders the templates of self-contained HTML files, with images embedded as `data:` URIs."""

import base64
import dataclasses
import functools
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import lookalike
from lookalike.display.text import date_text, safe_text, score_text, share_text, time_text
from lookalike.display.thumbnail import Thumbnail
from lookalike.results import Origin

if TYPE_CHECKING:
    from jinja2 import Environment

_QUALITY = 80  # of a JPEG, on Pillow's scale up to 95
_FINGERPRINT_DIGITS = 12  # enough to tell models apart by eye


@dataclasses.dataclass(frozen=True)
class Tile:
    """A thumbnail as the templates show it. Every field is safe text.

    Attributes:
        name: the image's file name.
        folder: the folders before the name in the image's key, or "".
        href: the address of the file (see `address`), or "" if the image is not a file of its own.
        src: the image as a `data:` URI, or "" if there is a `reason` or a `text` instead.
        width: in pixels; 0 without `src`.
        height: in pixels; 0 without `src`.
        reason: why there is no image.
        text: the text of a query without an image.
    """

    name: str
    folder: str
    href: str
    src: str
    width: int
    height: int
    reason: str
    text: str


@dataclasses.dataclass(frozen=True)
class OriginText:
    """Where an answer comes from, as the templates show it. Every field is safe text.

    Attributes:
        folder: the folder of the collection.
        model: the model and its precision.
        fingerprint: the first digits of the model's fingerprint.
        date: date and time, with the time zone.
    """

    folder: str
    model: str
    fingerprint: str
    date: str


def tile(thumbnail: Thumbnail, page: str | os.PathLike[str] | None) -> Tile:
    """Converts a thumbnail to the values that a template shows, on a page that will be written to the path `page`."""
    width, height = thumbnail.image.size if thumbnail.image else (0, 0)
    folder, _, name = thumbnail.name.rpartition("/")
    return Tile(
        name=name,
        folder=folder,
        href=address(thumbnail.path, page) if thumbnail.path else "",
        src=_data_uri(thumbnail.image) if thumbnail.image else "",
        width=width,
        height=height,
        reason=thumbnail.reason,
        text=thumbnail.text,
    )


def origin_text(origin: Origin | None) -> OriginText | None:
    """Converts an origin to what a template shows."""
    if origin is None:
        return None
    return OriginText(
        safe_text(origin.folder),
        safe_text(origin.model),
        safe_text(origin.fingerprint[:_FINGERPRINT_DIGITS]),
        date_text(origin.date),
    )


def address(path: Path, page: str | os.PathLike[str] | None = None) -> str:
    """Returns the address by which a page links to a file.

    It is relative to the page, so that both can be moved together, if they have a folder in common besides the root of
    the file system; otherwise, or if it is not known where the page will be, it is a `file:` URI. A browser follows
    `..` by the names in the address alone, so that pages behind symlinks have no address with `..` in it.
    """
    if page is None or Path(page).is_symlink():
        return path.absolute().as_uri()
    named = Path(page).absolute().parent
    real = named.resolve()
    if os.pardir in path.parts:
        path = Path(path.parent.resolve(), path.name)
    try:
        relative = os.path.relpath(path, real)
        common = Path(os.path.commonpath([path.absolute(), real]))
    except ValueError:  # they are on two drives
        return path.absolute().as_uri()
    if common == common.parent or (real != named and relative.startswith(os.pardir)):
        return path.absolute().as_uri()
    # A name with a colon would be taken for the scheme of a URI.
    return quote(os.fsencode(f"{os.curdir}/{Path(relative).as_posix()}"))


def render(template: str, **values: Any) -> str:
    """Renders a template of this package.

    Jinja escapes every value for HTML; a name has to pass through the filter `as_text` as well (`safe_text`).
    """
    return _environment().get_template(template).render(version=lookalike.__version__, **values)


def mark_uri(mark: NDArray[np.bool_], colour: tuple[int, int, int], opacity: float) -> str:
    """Returns a `data:` URI of an image of that shape, in one colour where `mark` says so and clear elsewhere."""
    image = Image.fromarray(mark.astype(np.uint8), "L")
    image.putpalette([0, 0, 0, *colour])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", bits=1, transparency=bytes([0, round(255 * opacity)]))
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


@functools.cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # loaded only when a page is made

    environment = Environment(
        loader=PackageLoader("lookalike.display"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"as_text": safe_text, "as_share": share_text, "as_score": score_text, "as_time": time_text}
    return environment
