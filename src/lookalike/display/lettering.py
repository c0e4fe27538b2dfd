"""Sets one line of text in fonts that have its letters, in whatever script; no letter ever becomes an empty box."""

import functools
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from PIL import ImageDraw

from lookalike.display import fonts
from lookalike.display.bidirectional import from_left, levels
from lookalike.display.fonts import Face, Font
from lookalike.display.text import escaped

_JOINER = "\u200d"
_JOINING = frozenset("\u200c\u200d\ufe0e\ufe0f")  # the joiners, and the selectors of a variant; they have no shape
_SKIN = range(0x1F3FB, 0x1F400)  # the modifiers of emoji
_COMPLEX = (("\u0590", "\u08ff"), ("\u0900", "\u0dff"), ("\u0e80", "\u109f"), ("\u1780", "\u18af"))


@dataclass(frozen=True)
class _Run:
    """A part of a line in one font: `direction` is "ltr" or "rtl", or None to have libraqm find it out."""

    text: str
    face: Face
    direction: str | None


class Lettering:
    """Sets lines of text in one size.

    Attributes:
        size: of the font, in pixels.
        missing: the letters so far that no font has, which are shown without their accents or as escapes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.missing: set[str] = set()
        own = fonts.load(fonts.PILLOWS, size)
        self._ascent = own.getmetrics()[0] if own else size

    def draw(
        self, draw: ImageDraw.ImageDraw, middle_top: tuple[int, int], text: str, colour: str, *, width: int
    ) -> None:
        """Draws a line below the point `middle_top`; if it is wider than `width` pixels, it ends in an ellipsis."""
        runs = self._runs(self.shortened(text, width))
        middle, top = middle_top
        x = middle - sum(map(self._width, runs)) / 2
        for run in runs:
            place = (round(x), top + self._ascent)
            draw.text(place, run.text, colour, self._font(run.face), anchor="ls", direction=run.direction)
            x += self._width(run)

    def width(self, text: str) -> float:
        """The width of a line in pixels."""
        return sum(map(self._width, self._runs(text)))

    def shortened(self, text: str, width: int) -> str:
        """A text as it is if it is at most so wide, in pixels, else its beginning and an ellipsis."""
        if self.width(text) <= width:
            return text
        clusters = list(_clusters(unicodedata.normalize("NFC", text)))
        low, high = 0, len(clusters)  # so many fit, and so many do not
        while high - low > 1:
            half = (low + high) // 2
            fits = self.width("".join(clusters[:half]).rstrip() + "…") <= width
            low, high = (half, high) if fits else (low, half)
        return "".join(clusters[:low]).rstrip() + "…"

    def wrapped(self, text: str, width: int, lines: int) -> list[str]:
        """A text in at most so many lines of this width, broken between words, and within a word that is too wide."""
        found, line = [], ""
        for word in text.split(" "):
            for piece in self._pieces(word, width):
                longer = f"{line} {piece}" if line else piece
                if self.width(longer) <= width:
                    line = longer
                else:
                    found.append(line)
                    line = piece
        found.append(line)
        if len(found) > lines:
            found[lines - 1 :] = [self.shortened(" ".join(found[lines - 1 :]), width)]
        return found

    def _pieces(self, word: str, width: int) -> Iterator[str]:
        while word and self.width(word) > width:
            clusters = list(_clusters(word))
            fitting = len(clusters) - 1
            while fitting > 1 and self.width("".join(clusters[:fitting])) > width:
                fitting -= 1
            yield "".join(clusters[: max(fitting, 1)])
            word = "".join(clusters[max(fitting, 1) :])
        yield word

    def _font(self, face: Face) -> Font:
        font = fonts.load(face, self.size)
        assert font  # `_face` has tried it
        return font

    def _width(self, run: _Run) -> float:
        return self._font(run.face).getlength(run.text)

    def _runs(self, text: str) -> list[_Run]:
        """The parts of a line from left to right."""
        clusters = [
            shown for cluster in _clusters(unicodedata.normalize("NFC", text)) for shown in self._shown(cluster)
        ]
        if not clusters:
            return []
        if (face := _face_for(tuple(clusters))) or not fonts.can_shape():
            return [_Run("".join(clusters), face or fonts.PILLOWS, None)]
        found = [_face_for((cluster,)) or fonts.PILLOWS for cluster in clusters]
        parts = zip(found, levels(clusters), clusters, strict=True)
        joined = [
            (face, level, "".join(cluster for *_, cluster in group))
            for (face, level), group in groupby(parts, key=lambda part: part[:2])
        ]
        return [_Run(text, face, "rtl" if level % 2 else "ltr") for face, level, text in from_left(joined)]

    def _shown(self, cluster: str) -> Iterator[str]:
        """A letter as it is if a font has it; else without its accents if that is ASCII; else as an escape."""
        if cluster.isascii() or _face_for((cluster,)):
            yield cluster
            return
        self.missing.add(cluster)
        bare = "".join(c for c in unicodedata.normalize("NFKD", cluster) if not unicodedata.combining(c))
        yield from bare if bare.isascii() else escaped(cluster)


def _clusters(text: str) -> Iterator[str]:
    """The letters of a text, each with what combines with it."""
    cluster = ""
    for character in text:
        combines = unicodedata.category(character).startswith("M") or character in _JOINING or ord(character) in _SKIN
        if cluster and not combines and not cluster.endswith(_JOINER):
            yield cluster
            cluster = ""
        cluster += character
    if cluster:
        yield cluster


@functools.lru_cache(maxsize=8192)
def _face_for(clusters: tuple[str, ...]) -> Face | None:
    """The first font that has all of these letters and can set them; None if there is none."""
    wanted = {character for cluster in clusters for character in cluster} - _JOINING
    if any(map(_is_complex, wanted)) and not fonts.can_shape():
        return None
    return next((face for face in fonts.faces() if all(fonts.has(face, character) for character in wanted)), None)


def _is_complex(character: str) -> bool:
    """Whether a letter has another place or shape in a text than alone: Arabic, Hebrew, the Indic scripts, and such."""
    return unicodedata.bidirectional(character) in ("R", "AL") or any(a <= character <= z for a, z in _COMPLEX)
