"""Renders the templates of self-contained HTML files, with images embedded as `data:` URIs."""

import base64
import dataclasses
import functools
import io
from typing import TYPE_CHECKING, Any

from PIL import Image

from lookalike.display.text import safe_text, score_text, share_text, time_text
from lookalike.display.thumbnail import Thumbnail

if TYPE_CHECKING:
    from jinja2 import Environment

_QUALITY = 80  # of a JPEG, on Pillow's scale up to 95


@dataclasses.dataclass(frozen=True)
class Tile:
    """A thumbnail as the templates show it. Every field is safe text.

    Attributes:
        name: the image's file name.
        folder: the folders before the name in the image's key, or "".
        href: a `file:` URI, or "" if the image is not a file of its own.
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


def tile(thumbnail: Thumbnail) -> Tile:
    """Converts a thumbnail to the values that a template shows."""
    width, height = thumbnail.image.size if thumbnail.image else (0, 0)
    folder, _, name = thumbnail.name.rpartition("/")
    return Tile(
        name=name,
        folder=folder,
        href=thumbnail.path.absolute().as_uri() if thumbnail.path else "",
        src=_data_uri(thumbnail.image) if thumbnail.image else "",
        width=width,
        height=height,
        reason=thumbnail.reason,
        text=thumbnail.text,
    )


def render(template: str, **values: Any) -> str:
    """Renders a template of this package.

    Jinja escapes every value for HTML; a name has to pass through the filter `as_text` as well (`safe_text`).
    """
    return _environment().get_template(template).render(values)


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
