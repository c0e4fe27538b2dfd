"""Draws a contact sheet: the queries and their look-alikes as one image."""

import io
import math
import os
import textwrap
import unicodedata
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from lookalike import arguments
from lookalike.display import write_file
from lookalike.display.text import role_text, safe_text, score_text
from lookalike.display.thumbnail import Thumbnail, thumbnails
from lookalike.errors import UsageError
from lookalike.images import marks
from lookalike.results import Matches

_PAPER, _INK, _GREY, _TILE, _ACCENT = "#ffffff", "#222222", "#707070", "#eeeeee", "#4a8a86"
_MAX_SIDE = 65_500  # pixels; a JPEG may have 65,535
_FORMATS: dict[str, Literal["JPEG", "PNG"]] = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}


def sheet(matches: Matches, *, columns: int | None = None, side: int = 240) -> Image.Image:
    """Draws the queries, each in a frame, and then the matches, best first, with rank, score and label.

    The font is Pillow's own, which has ASCII characters only: letters lose their accents, and a label in another
    script is left out.

    Args:
        matches: the matches with their queries.
        columns: images in a row; by default about as many as there are rows.
        side: of the square that each image fits into, in pixels, at least 32.

    Raises:
        UsageError: `columns` or `side` is too small, or the sheet would be larger than an image file can be.
    """
    captions = _captions(matches)
    layout = _layout(len(captions), columns, side)
    paper = Image.new("RGB", (layout.width, layout.height), _PAPER)
    for number, thumbnail in enumerate(thumbnails([*matches.queries, *matches], side, matches.max_pixels)):
        x, y = layout.corner(number)
        box = _draw_image(paper, thumbnail, (x, y), layout)
        if number < len(matches.queries):
            _draw_frame(paper, box, layout)
        _draw_caption(paper, captions[number], (x, y + side + layout.font), layout)
    return paper


def write_sheet(
    matches: Matches,
    path: str | os.PathLike[str],
    *,
    columns: int | None = None,
    side: int = 240,
    overwrite: bool = False,
) -> None:
    """Writes `sheet(matches)` as a JPEG or PNG file, depending on the suffix, whole or not at all.

    Raises:
        UsageError: the suffix is another one, no file can be written at that path, one that Lookalike has not written
            would be replaced without `overwrite`, or see `sheet`.
        StorageError: the disk is full or failing.
    """
    path = write_file.checked_arguments(path, overwrite=overwrite)
    arguments.instance(matches, Matches, "matches", "what a search returns")
    image_format = _FORMATS.get(path.suffix.lower())
    if image_format is None:
        raise UsageError(f"{safe_text(path)}: a contact sheet is a .jpg or .png file; name it so")
    buffer, mark = io.BytesIO(), marks.image_options(image_format, marks.SHEET)
    sheet(matches, columns=columns, side=side).save(buffer, image_format, quality=90, **mark)
    write_file.write(path, buffer.getvalue(), overwrite=overwrite)


@dataclass(frozen=True)
class _Layout:
    """The sizes and positions of a sheet's parts, in pixels; `columns` and `rows` are counts."""

    columns: int
    rows: int
    side: int

    @property
    def font(self) -> int:
        """The font size, which also scales the margins."""
        return max(10, self.side // 15)

    @property
    def margin(self) -> int:
        return 2 * self.font

    @property
    def step(self) -> tuple[int, int]:
        """The distance from one image to the next, across and down; a caption of two lines is below each."""
        return self.side + self.margin, self.side + 4 * self.font + self.margin

    @property
    def width(self) -> int:
        return self.columns * self.step[0] + self.margin

    @property
    def height(self) -> int:
        return self.rows * self.step[1] + self.margin

    def corner(self, number: int) -> tuple[int, int]:
        """The upper left corner of an image's square."""
        row, column = divmod(number, self.columns)
        return self.margin + column * self.step[0], self.margin + row * self.step[1]


def _layout(images: int, columns: int | None, side: int) -> _Layout:
    side = arguments.whole(side, "side")
    if side < 32:
        raise UsageError(f"side: {side} is too small for an image on a sheet; give 32 or more")
    if columns is None:
        columns = max(1, math.ceil(math.sqrt(images)))
    if (columns := arguments.whole(columns, "columns")) < 1:
        raise UsageError(f"columns: {columns} is too few; give 1 or more")
    layout = _Layout(columns, max(1, math.ceil(images / columns)), side)
    if max(layout.width, layout.height) > _MAX_SIDE:
        size = f"{layout.width} x {layout.height}"
        raise UsageError(f"a sheet of {size} pixels is too large; show fewer matches or smaller images")
    return layout


def _captions(matches: Matches) -> list[tuple[str, str]]:
    """Returns the two lines of each caption."""
    found = [
        (f"{rank}   {score_text(match.score)}", _plain(match.label or "")) for rank, match in enumerate(matches, 1)
    ]
    return [(role_text(query), "") for query in matches.queries] + found


def _plain(text: str) -> str:
    """Returns the part of a text that the font can draw."""
    letters = unicodedata.normalize("NFKD", safe_text(text))
    plain = "".join(c if c.isascii() else "?" for c in letters if not unicodedata.combining(c))
    return plain if plain.strip("? ") else ""


def _draw_image(
    paper: Image.Image, thumbnail: Thumbnail, corner: tuple[int, int], layout: _Layout
) -> tuple[int, int, int, int]:
    """Draws an image in the middle of its square; returns its left, top, right and bottom."""
    image = thumbnail.image or _text_tile(thumbnail, layout)
    left = corner[0] + (layout.side - image.width) // 2
    top = corner[1] + (layout.side - image.height) // 2
    paper.paste(image, (left, top))
    return left, top, left + image.width, top + image.height


def _text_tile(thumbnail: Thumbnail, layout: _Layout) -> Image.Image:
    """Draws the text of a query, or the reason why there is no image."""
    tile = Image.new("RGB", (layout.side, layout.side), _TILE)
    text = f'"{_plain(thumbnail.text)}"' if thumbnail.text else f"not shown: {_plain(thumbnail.reason)}"
    lines = textwrap.wrap(text, max(6, 2 * layout.side // layout.font - 6), max_lines=layout.side // layout.font // 2)
    middle = (layout.side / 2, layout.side / 2)
    font, colour = ImageFont.load_default(layout.font), _INK if thumbnail.text else _GREY
    ImageDraw.Draw(tile).multiline_text(middle, "\n".join(lines), colour, font, anchor="mm", align="center")
    return tile


def _draw_frame(paper: Image.Image, box: tuple[int, int, int, int], layout: _Layout) -> None:
    width = max(2, layout.font // 4)
    out = 2 * width
    left, top, right, bottom = box
    frame = (left - out, top - out, right + out - 1, bottom + out - 1)
    ImageDraw.Draw(paper).rectangle(frame, outline=_ACCENT, width=width)


def _draw_caption(paper: Image.Image, caption: tuple[str, str], corner: tuple[int, int], layout: _Layout) -> None:
    draw = ImageDraw.Draw(paper)
    font = ImageFont.load_default(layout.font)
    for line, colour, down in zip(caption, (_INK, _GREY), (0, 3 * layout.font // 2), strict=True):
        top_middle = (corner[0] + layout.side // 2, corner[1] + down)
        draw.text(top_middle, _shortened(line, font, layout.side), colour, font, anchor="ma")


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
