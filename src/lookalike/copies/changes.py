"""Tells from two registered pictures what was done to one of them to make the other, and says it in words."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from lookalike.copies.agreement import Agreement
from lookalike.copies.features import Plane
from lookalike.copies.prepared import PreparedPicture
from lookalike.copies.registration import Affine, grid, inside, mapped, sampled
from lookalike.copies.surrounding import surrounding

Extent: TypeAlias = Literal["same", "crop", "cropped", "frame", "framed", "part"]
"""What the first picture shows of the second: the same, a crop of it, more than it ("cropped": the second is the crop),
the second in a frame, itself in a frame in the second, or each shows a part of the other."""

# These were read off 33 kinds of edit of 14 photographs, as the values that separate those with the change from those
# without.
_WHOLE = 0.96  # share of a picture that lies in the other from which on all of it does; a trimmed edge goes unnoticed
_WHOLE_TURNED = 0.8  # the same if it is turned by a small angle, which moves corners out
_LEAST_SKEW = 0.12  # logarithm of the ratio of the scales in two directions; a change of perspective reaches 0.09
_GREY, _COLOURED = 3.0, 8.0  # mean spread of red, green and blue, at most and at least
_OTHER_COLOURS = 8.0  # mean difference of the colours, without the brightness; a logo makes up to 6
_OTHER_BRIGHTNESS = 20.0  # mean difference
_GRID, _POINTS = 6, 5  # places along a side where colours are compared, and points along the side of a place


@dataclass(frozen=True)
class Changes:
    """What was done to the second of two pictures to make the first.

    Attributes:
        extent: what the first shows of the second.
        mirrored: whether left and right are exchanged.
        angle: by how many degrees it is turned clockwise, after mirroring, in (-180, 180]; a multiple of 90 if it is
            within 1.5 degrees of one.
        stretched: whether width and height are scaled differently.
        tone: "grey", "colourless" (the second one is grey, the first is not), "colours" (other colours), "brighter",
            "darker", or "" if there is no such difference.
        area: how large the first is if the second has the area 1 and both show everything at one size: 0.5 of a crop to
            half of the area, whatever its number of pixels; 1 if they show the same.
        only_margin: whether all that one shows beyond the other is a margin of plain colour, perhaps with a text on it,
            and that colour goes on in the other.
    """

    extent: Extent
    mirrored: bool
    angle: float
    stretched: bool
    tone: str
    area: float = 1.0
    only_margin: bool = False

    def in_words(self, first: str = "A", second: str = "B") -> str:
        """Says it in words, such as "A is a crop of B, mirrored".

        Args:
            first: what the first picture is called.
            second: what the second is called.
        """
        if self._is_of_second:
            return self.swapped().in_words(second, first)
        beginning = {
            "same": f"{first} is {second}",
            "crop": f"{first} is a crop of {second}",
            "frame": f"{first} shows {second} within a frame or other content",
            "part": f"{first} and {second} show parts of one picture",
        }[self.extent]
        return ", ".join([beginning, *self._details()])

    def briefly(self, second: str | None = None) -> str:
        """Says it beside the name of the first picture, without it: "a crop of it, mirrored", "mirrored".

        Args:
            second: what the second is called; None for "it", where its name stands above.
        """
        it = second or "it"
        if self._is_of_second:
            return self.swapped().in_words(it, "this")
        beginning = {
            "same": [second] if second else [],
            "crop": [f"a crop of {it}"],
            "frame": [f"shows {it} within a frame or other content"],
            "part": [f"shows a part of one picture, as {second} does" if second else "both show parts of one picture"],
        }[self.extent]
        return ", ".join([*beginning, *self._details()])

    def swapped(self) -> "Changes":
        """What was done to the first picture to make the second."""
        extents: dict[str, Extent] = {"crop": "cropped", "cropped": "crop", "frame": "framed", "framed": "frame"}
        tones = {"grey": "colourless", "colourless": "grey", "brighter": "darker", "darker": "brighter"}
        angle = self.angle if self.mirrored or self.angle == 180 else -self.angle
        return Changes(
            extents.get(self.extent, self.extent),
            self.mirrored,
            angle,
            self.stretched,
            tones.get(self.tone, self.tone),
            1 / self.area,
            self.only_margin,
        )

    @property
    def _is_of_second(self) -> bool:
        """Whether it is the second that was made of the first."""
        return self.extent in ("cropped", "framed") or (self.extent == "same" and self.tone == "colourless")

    def _details(self) -> list[str]:
        found = [*self._turns(), *(["stretched"] if self.stretched else []), *self._tones()]
        return found or (["at most compressed, resized or retouched"] if self.extent == "same" else [])

    def _turns(self) -> list[str]:
        if self.mirrored and self.angle == 180:
            return ["flipped upside down"]
        found = ["mirrored"] if self.mirrored else []
        if self.angle:
            direction = "" if self.angle == 180 else " clockwise" if self.angle > 0 else " counter-clockwise"
            found.append(f"turned by {abs(round(self.angle))}°{direction}")
        return found

    def _tones(self) -> list[str]:
        words = {"grey": "in grey", "colours": "in other colours", "colourless": "in colour"}
        return [words.get(self.tone, self.tone)] if self.tone else []


def changes(first: PreparedPicture, second: PreparedPicture, affine: Affine, agreement: Agreement) -> Changes:
    """Tells what was done to the second of two pictures to make the first.

    Args:
        first: one picture.
        second: another, which shows the same.
        affine: the map from the first to the second.
        agreement: how well they agree by it.
    """
    mirrored, angle = affine.inverse().turn()
    whole = _WHOLE if affine.is_upright() else _WHOLE_TURNED
    extent, only_margin = _extent(first, second, affine, agreement, whole)
    return Changes(
        extent,
        mirrored,
        angle,
        affine.skew() > _LEAST_SKEW,
        _tone(first, second, affine),
        1.0 if extent == "same" else _area(first, second, affine),
        only_margin,
    )


def _area(first: PreparedPicture, second: PreparedPicture, affine: Affine) -> float:
    return affine.scale() ** 2 * first.levels[0].size / second.levels[0].size


def _extent(
    first: PreparedPicture, second: PreparedPicture, affine: Affine, agreement: Agreement, whole: float
) -> tuple[Extent, bool]:
    """What the first shows of the second, and whether all that one shows beyond the other is a margin."""
    all_of_first, all_of_second = agreement.of_first >= whole, agreement.of_second >= whole
    if all_of_first and all_of_second:
        return "same", False
    if all_of_first:
        around = surrounding(first, second, affine)
        return "framed" if around == "frame" else "crop", around == "margin"
    if all_of_second:
        around = surrounding(second, first, affine.inverse())
        return "frame" if around == "frame" else "cropped", around == "margin"
    return "part", False


def _tone(first: PreparedPicture, second: PreparedPicture, affine: Affine) -> str:
    here, there = _same_places(first, second, affine)
    if not len(here):
        return ""
    coloured, other = float(np.ptp(here, axis=1).mean()), float(np.ptp(there, axis=1).mean())
    if coloured < _GREY and other > _COLOURED:
        return "grey"
    if other < _GREY and coloured > _COLOURED:
        return "colourless"
    brightness, other_brightness = here.mean(axis=1, keepdims=True), there.mean(axis=1, keepdims=True)
    if np.abs((here - brightness) - (there - other_brightness)).mean() > _OTHER_COLOURS:
        return "colours"
    brighter = float((brightness - other_brightness).mean())
    return "" if abs(brighter) < _OTHER_BRIGHTNESS else "brighter" if brighter > 0 else "darker"


def _same_places(first: PreparedPicture, second: PreparedPicture, affine: Affine) -> tuple[Plane, Plane]:
    """The mean red, green and blue of places that both pictures show, shape (n, 3) each."""
    height, width = first.levels[0].shape
    x, y = grid((_GRID * _POINTS, _GRID * _POINTS))
    x, y = x * np.float32(width / len(x)), y * np.float32(height / len(y))
    to_x, to_y = mapped(affine, x, y)
    lies = inside(second.levels[0].shape, to_x, to_y)
    count = _place_sums(lies[None].astype(np.float32))
    here, there = (
        _place_sums(_colours(picture, *points) * lies) for picture, points in ((first, (x, y)), (second, (to_x, to_y)))
    )
    shown = count[:, 0] > _POINTS**2 / 2
    return here[shown] / count[shown], there[shown] / count[shown]


def _place_sums(planes: Plane) -> Plane:
    sums: Plane = planes.reshape(-1, _GRID, _POINTS, _GRID, _POINTS).sum(axis=(2, 4)).reshape(-1, _GRID**2).T
    return sums


def _colours(picture: PreparedPicture, x: Plane, y: Plane) -> Plane:
    """Red, green and blue around points of a picture, shape (3, ...)."""
    height, width = picture.levels[0].shape
    planes = picture.colours
    return sampled(planes, x * np.float32(planes.shape[2] / width), y * np.float32(planes.shape[1] / height))
