"""An HTML file that holds everything it shows: how templates are filled in, and pictures as text."""

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

_QUALITY = 80


@dataclasses.dataclass(frozen=True)
class Tile:
    """What a template says of one thumbnail. All of it is safe text; without `src` there are `words` or a `reason`."""

    name: str
    folder: str
    href: str
    src: str
    width: int
    height: int
    reason: str
    words: str


def tile(thumbnail: Thumbnail) -> Tile:
    """A thumbnail as a template shows it, its picture inside the page as a `data:` URI."""
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
        words=thumbnail.words,
    )


def render(template: str, **values: Any) -> str:
    """Fills in a template of this package; what goes in is escaped, and a name has to pass through `plainly`."""
    return _environment().get_template(template).render(values)


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


@functools.cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only when a page is made

    environment = Environment(
        loader=PackageLoader("lookalike.display"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plainly": safe_text, "as_share": share_text, "as_score": score_text, "as_time": time_text}
    return environment
