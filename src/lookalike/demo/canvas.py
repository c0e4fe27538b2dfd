"""Draws shapes that can be moved, turned and shaded, larger than the picture and then reduced for smooth edges."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from lookalike.demo.colours import Colour, Paint, Shade

# ImageDraw does not smooth edges, so pictures are drawn this many times larger and then averaged down.
OVERSAMPLING = 2
# Blurred shapes have no detail, so their masks are drawn this many times smaller than the canvas.
COARSE = 4

Points = npt.NDArray[np.float64]
Outline = Points | Sequence[tuple[float, float]]


def smooth(corners: Outline, steps: int = 8) -> Points:
    """Returns a closed curve through the corners (a Catmull-Rom spline), `steps` points from each to the next."""
    p1 = np.asarray(corners, dtype=float)
    p0, p2, p3 = np.roll(p1, 1, 0), np.roll(p1, -1, 0), np.roll(p1, -2, 0)
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    a, b = (p2 - p0)[:, None], (2 * p0 - 5 * p1 + 4 * p2 - p3)[:, None]
    c = (3 * p1 - p0 - 3 * p2 + p3)[:, None]
    curve: Points = p1[:, None] + t * (a + t * (b + t * c)) / 2
    return curve.reshape(-1, 2)


def oval(x: float, y: float, rx: float, ry: float = 0.0, angle: float = 0.0) -> Points:
    """Returns an ellipse around (x, y), turned clockwise by `angle` degrees; a circle if there is no `ry`."""
    turns = np.linspace(0, math.tau, 48, endpoint=False)
    around = np.stack([rx * np.cos(turns), (ry or rx) * np.sin(turns)], 1)
    ellipse: Points = around @ _turn(angle).T + (x, y)
    return ellipse


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """Returns a rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=float)


def mirrored(outline: Outline) -> Points:
    """Returns an outline with left and right exchanged."""
    return np.asarray(outline, dtype=float) * (-1, 1)


def scattered(rng: np.random.Generator, count: int, gap: float) -> Points:
    """Returns at most `count` random points in the circle of radius 1, no two of them closer than `gap`."""
    kept: list[Points] = []
    for point in rng.uniform(-1, 1, (count * 12, 2)):
        if math.hypot(*point) < 1 and all(math.dist(point, other) > gap for other in kept):
            kept.append(point)
        if len(kept) == count:
            break
    return np.array(kept)


def _turn(angle: float) -> Points:
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return np.array([(cosine, -sine), (sine, cosine)])


@dataclass(frozen=True)
class Pen:
    """Draws on a picture in its own coordinates.

    The first pen of a picture has its origin in the middle, y downwards, and a unit of half the shorter side, so the
    picture spans -right..right and -bottom..bottom, and a circle of radius 1 fits.
    """

    image: Image.Image
    origin: Points
    axes: Points  # columns: one unit to the right and one unit down, in pixels

    @classmethod
    def on(cls, width: int, height: int) -> "Pen":
        """Returns the first pen of a new picture of this size, in pixels."""
        canvas = Image.new("RGB", (width * OVERSAMPLING, height * OVERSAMPLING))
        return cls(canvas, np.array(canvas.size) / 2, np.eye(2) * min(canvas.size) / 2)

    def at(self, x: float, y: float, size: float = 1.0, angle: float = 0.0, flip: bool = False) -> "Pen":
        """Returns a pen with its origin at (x, y) and a unit of `size`, turned clockwise and perhaps mirrored."""
        axes = self.axes @ _turn(angle) @ np.diag([-size if flip else size, size])
        return replace(self, origin=self._pixels([(x, y)])[0], axes=axes)

    @property
    def right(self) -> float:
        """The right edge of the picture; for its first pen only."""
        return float(self.image.width / 2 / self._unit)

    @property
    def bottom(self) -> float:
        """The lower edge of the picture; for its first pen only."""
        return float(self.image.height / 2 / self._unit)

    def anywhere(self, rng: np.random.Generator) -> tuple[float, float]:
        """Returns a random point of the picture; for its first pen only."""
        return rng.uniform(-self.right, self.right), rng.uniform(-self.bottom, self.bottom)

    def below(self, level: float) -> Points:
        """Returns the outline of the picture below `level`; for its first pen only."""
        return box(-self.right, level, self.right, self.bottom)

    @property
    def _unit(self) -> float:
        (a, b), (c, d) = self.axes.tolist()
        return math.sqrt(abs(a * d - b * c))

    def _pixels(self, outline: Outline) -> Points:
        pixels: Points = np.asarray(outline, dtype=float) @ self.axes.T + self.origin
        return pixels

    def fill(self, shade: Shade) -> None:
        """Paints the whole picture."""
        self.image.paste(shade.over(self.image.size))

    def shape(self, outline: Outline, paint: Paint) -> None:
        """Draws a filled shape."""
        points = self._pixels(outline)
        if not isinstance(paint, Shade):
            ImageDraw.Draw(self.image).polygon(points.ravel().tolist(), fill=paint)
            return
        corner = np.floor(points.min(0)).astype(int)
        width, height = (np.ceil(points.max(0)).astype(int) - corner + 1).tolist()
        mask = Image.new("L", (width, height))
        ImageDraw.Draw(mask).polygon((points - corner).ravel().tolist(), fill=255)
        self.image.paste(paint.over(mask.size), (int(corner[0]), int(corner[1])), mask)

    def line(self, outline: Outline, width: float, colour: Colour) -> None:
        """Draws an open line with round ends."""
        points, pixels = self._pixels(outline), max(1, round(width * self._unit))
        draw = ImageDraw.Draw(self.image)
        draw.line(points.ravel().tolist(), fill=colour, width=pixels, joint="curve")
        if pixels > 3:
            for end in (points[0], points[-1]):
                draw.circle((float(end[0]), float(end[1])), pixels / 2, fill=colour)

    def soft(self, outlines: Sequence[Outline], colour: Colour, *, blur: float, opacity: float = 1.0) -> None:
        """Draws blurred shapes, such as glow, shadow and clouds; `blur` is the standard deviation of the Gaussian."""
        drawn = [self._pixels(outline) for outline in outlines]
        deviation = blur * self._unit
        left, top, right, bottom = self._frame(np.concatenate(drawn), 3 * deviation)
        mask = Image.new("L", ((right - left) // COARSE + 1, (bottom - top) // COARSE + 1))
        for points in drawn:
            small = (points - (left, top)) / COARSE
            ImageDraw.Draw(mask).polygon(small.ravel().tolist(), fill=round(255 * opacity))
        mask = mask.filter(ImageFilter.GaussianBlur(deviation / COARSE))
        mask = mask.resize((right - left, bottom - top), Image.Resampling.BILINEAR)
        self.image.paste(colour, (left, top, right, bottom), mask)

    @contextmanager
    def inside(self, outline: Outline) -> Iterator["Pen"]:
        """Yields a pen that draws only within the outline."""
        points = self._pixels(outline)
        frame = self._frame(points, 1)
        layer, corner = self.image.crop(frame), np.array(frame[:2])
        yield replace(self, image=layer, origin=self.origin - corner)
        mask = Image.new("L", layer.size)
        ImageDraw.Draw(mask).polygon((points - corner).ravel().tolist(), fill=255)
        self.image.paste(layer, frame, mask)

    def _frame(self, points: Points, margin: float) -> tuple[int, int, int, int]:
        """Returns the bounding box of the points and a margin, in pixels, clipped to the picture; never empty."""
        size = np.array(self.image.size)
        low = np.clip(np.floor(points.min(0) - margin), 0, size - 1).astype(int)
        high = np.clip(np.ceil(points.max(0) + margin), low + 1, size).astype(int)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def finish(self, rng: np.random.Generator) -> Image.Image:
        """Returns the picture at its final size, with some grain, as a photo has."""
        picture = self.image.reduce(OVERSAMPLING)
        noise = rng.normal(128, 2.5, (picture.height, picture.width)).clip(0, 255).astype(np.uint8)
        grain = Image.fromarray(noise).convert("RGB")
        return ImageChops.add(picture, grain, offset=-128)
