"""Draws a contact sheet: the queries and their look-alikes as one image."""

import io
import math
import os
import warnings
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw

from lookalike import arguments
from lookalike.display import write_file
from lookalike.display.fonts import can_shape
from lookalike.display.lettering import Lettering
from lookalike.display.text import chance_text, copy_words, label_text, role_text, safe_text, score_text
from lookalike.display.thumbnail import Thumbnail, thumbnails
from lookalike.errors import FontWarning, Hint, UsageError
from lookalike.images import marks
from lookalike.results import Matches

_PAPER, _INK, _GREY, _TILE, _ACCENT = "#ffffff", "#222222", "#707070", "#eeeeee", "#4a8a86"
_MINUS = "#c0573d"  # the frame of a negative example
_NAMED_LETTERS = 5  # in the warning that no font has them
_MAX_SIDE = 65_500  # pixels; a JPEG may have 65,535
_FORMATS: dict[str, Literal["JPEG", "PNG"]] = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}


def sheet(matches: Matches, *, columns: int | None = None, side: int = 240) -> Image.Image:
    """Draws the queries, each in a frame, and then the matches, best first, with rank, score, label and name.

    Beside the label are the probability that it is the query's, that of the match being an edited copy, and whether it
    is nearer than chance.

    The letters come from fonts of the extra `fonts` and of the system. If none has a letter, it is shown without its
    accents or as an escape, and a FontWarning says so.

    Args:
        matches: the matches with their queries.
        columns: images in a row; by default about as many as there are rows.
        side: of the square that each image fits into, in pixels, at least 32.

    Raises:
        UsageError: `columns` or `side` is too small, or the sheet would be larger than an image file can be.
    """
    layout = _layout(len(matches.queries) + len(matches), columns, side)
    shown = thumbnails([*matches.queries, *matches], layout.side, matches.max_pixels)
    captions = _captions(matches, shown)
    lettering = Lettering(layout.font)
    paper = Image.new("RGB", (layout.width, layout.height), _PAPER)
    for number, thumbnail in enumerate(shown):
        x, y = layout.corner(number)
        box = _draw_image(paper, thumbnail, (x, y), layout, lettering)
        if number < len(matches.queries):
            is_negative = role_text(matches.queries[number]).startswith("minus")
            _draw_frame(paper, box, layout, _MINUS if is_negative else _ACCENT)
        _draw_caption(paper, captions[number], (x, y + layout.side + layout.font), layout, lettering)
    if lettering.missing:
        warnings.warn(_letters_missing(lettering.missing), stacklevel=2)
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


def _captions(matches: Matches, shown: Sequence[Thumbnail]) -> list[tuple[str, str]]:
    """Returns the two lines of each caption: what it is, and its name."""
    first = [role_text(query) for query in matches.queries]
    for rank, match in enumerate(matches, 1):
        label = "query" if match.is_query else label_text(match)
        score = f"{score_text(match.score)} {chance_text(match)}".strip()
        first.append("   ".join(filter(None, (str(rank), score, copy_words(match), label))))
    queries = len(matches.queries)
    names = [thumbnail.name.rpartition("/")[2] for thumbnail in shown[:queries]]
    names += _distinct_names([thumbnail.name for thumbnail in shown[queries:]])
    return list(zip(first, names, strict=True))


def _distinct_names(keys: Sequence[str]) -> list[str]:
    """Returns the name at the end of each key, with as many folders before it as it takes to tell it from the others.

    Copies often have the same name in several folders.
    """
    parts = [key.split("/") for key in keys]
    lengths = [1] * len(keys)
    while True:
        names = ["/".join(part[-length:]) for part, length in zip(parts, lengths, strict=True)]
        number_of = Counter({name: len({keys[i] for i, n in enumerate(names) if n == name}) for name in set(names)})
        longer = [length + (number_of[name] > 1) for name, length in zip(names, lengths, strict=True)]
        longer = [min(length, len(part)) for length, part in zip(longer, parts, strict=True)]
        if longer == lengths:
            return names
        lengths = longer


def _letters_missing(letters: Collection[str]) -> FontWarning:
    some = " ".join(sorted(letters)[:_NAMED_LETTERS])
    more = " and others" if len(letters) > _NAMED_LETTERS else ""
    if can_shape():
        return FontWarning(
            f"contact sheet: there is no font that has {some}{more}", Hint("install", {"extra": "fonts"})
        )
    return FontWarning(f"contact sheet: {some}{more} cannot be drawn without a font that has them, and libraqm")


def _draw_image(
    paper: Image.Image, thumbnail: Thumbnail, corner: tuple[int, int], layout: _Layout, lettering: Lettering
) -> tuple[int, int, int, int]:
    """Draws an image in the middle of its square; returns its left, top, right and bottom."""
    image = thumbnail.image or _text_tile(thumbnail, layout, lettering)
    left = corner[0] + (layout.side - image.width) // 2
    top = corner[1] + (layout.side - image.height) // 2
    paper.paste(image, (left, top))
    return left, top, left + image.width, top + image.height


def _text_tile(thumbnail: Thumbnail, layout: _Layout, lettering: Lettering) -> Image.Image:
    """Draws the text of a query, or the reason why there is no image."""
    tile = Image.new("RGB", (layout.side, layout.side), _TILE)
    text = f'"{thumbnail.text}"' if thumbnail.text else f"not shown: {thumbnail.reason}"
    colour = _INK if thumbnail.text else _GREY
    line_height = 5 * layout.font // 4
    lines = lettering.wrapped(text, layout.side - layout.font, max(1, layout.side // line_height - 1))
    top = (layout.side - len(lines) * line_height) // 2
    for number, line in enumerate(lines):
        place = layout.side // 2, top + number * line_height
        lettering.draw(ImageDraw.Draw(tile), place, line, colour, width=layout.side)
    return tile


def _draw_frame(paper: Image.Image, box: tuple[int, int, int, int], layout: _Layout, colour: str) -> None:
    width = max(2, layout.font // 4)
    out = 2 * width
    left, top, right, bottom = box
    frame = (left - out, top - out, right + out - 1, bottom + out - 1)
    ImageDraw.Draw(paper).rectangle(frame, outline=colour, width=width)


def _draw_caption(
    paper: Image.Image, caption: tuple[str, str], corner: tuple[int, int], layout: _Layout, lettering: Lettering
) -> None:
    draw = ImageDraw.Draw(paper)
    for line, colour, down in zip(caption, (_INK, _GREY), (0, 3 * layout.font // 2), strict=True):
        middle_top = corner[0] + layout.side // 2, corner[1] + down
        lettering.draw(draw, middle_top, line, colour, width=layout.side)
