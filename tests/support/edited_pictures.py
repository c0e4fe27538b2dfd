"""Drawn pictures with much to see, and what people do to pictures."""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from lookalike.copies import thumbnails
from lookalike.copies.prepared import PreparedPicture, prepare
from tests.support.pictures import ColourEncoder


def scene(seed: int, width: int = 400, height: int = 300) -> Image.Image:
    """Many overlapping shapes in many colours on a background that changes slowly; no two parts are alike."""
    rng = np.random.default_rng(seed)
    ground = Image.fromarray(rng.integers(60, 200, (4, 5, 3), dtype=np.uint8))
    image = ground.resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for number in range(60):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        size = rng.uniform(0.02, 0.14) * width
        colour = tuple(rng.integers(0, 256, 3).tolist())
        if number % 3:
            draw.regular_polygon((x, y, size / 2), int(rng.integers(3, 8)), float(rng.uniform(0, 90)), fill=colour)
        else:
            draw.line((x, y, x + rng.uniform(-2, 2) * size, y + rng.uniform(-2, 2) * size), colour, round(size / 8) + 1)
    return image.filter(ImageFilter.GaussianBlur(0.7))


def kept(image: Image.Image) -> PreparedPicture:
    """A picture as it is compared: kept as bytes, unpacked and prepared."""
    return prepare(thumbnails.unpack(thumbnails.pack(image)))


def recompressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC).save(file, "JPEG", quality=20)
    with Image.open(file) as copy:
        return copy.convert("RGB")


def part(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """A part of a picture, by shares of its sides."""
    box = (left * image.width, top * image.height, right * image.width, bottom * image.height)
    return image.crop(tuple(map(round, box)))  # type: ignore[arg-type]  # they are four


def lettered(image: Image.Image) -> Image.Image:
    copy = image.copy()
    font = ImageFont.load_default(image.height // 8)
    ImageDraw.Draw(copy).text((10, 10), "LOOK AT THIS", "white", font, stroke_width=3, stroke_fill="black")
    return copy


def logo(image: Image.Image) -> Image.Image:
    copy, size = image.copy(), image.width / 5
    ImageDraw.Draw(copy).ellipse((image.width - size, image.height - size, image.width, image.height), fill="#c02030")
    return copy


def screenshot(image: Image.Image) -> Image.Image:
    screen = Image.new("RGB", (image.width, image.width * 2), "white")
    screen.paste(image, (0, image.width // 2))
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, image.width, image.width // 8), fill="#3060c0")
    draw.text((20, image.width * 1.6), "Seen today", "black", ImageFont.load_default(30))
    return screen


def tinted(image: Image.Image) -> Image.Image:
    red, green, blue = image.split()
    return Image.merge("RGB", (red.point([round(value * 0.6) for value in range(256)]), green, blue))


# What was done, and how a comparison says it of the edited copy A and its original B.
EDITED: dict[str, tuple[Callable[[Image.Image], Image.Image], str]] = {
    "re-compressed and made small": (recompressed, "A is B, at most compressed, resized or retouched"),
    "blurred": (lambda i: i.filter(ImageFilter.GaussianBlur(2)), "A is B, at most compressed, resized or retouched"),
    "cropped to two thirds": (lambda i: part(i, 0.1, 0.1, 0.9, 0.92), "A is a crop of B"),
    "cropped to a quarter": (lambda i: part(i, 0.3, 0.4, 0.8, 0.9), "A is a crop of B"),
    "mirrored": (ImageOps.mirror, "A is B, mirrored"),
    "upside down": (ImageOps.flip, "A is B, flipped upside down"),
    "turned clockwise": (lambda i: i.transpose(Image.Transpose.ROTATE_270), "A is B, turned by 90° clockwise"),
    "turned the other way": (
        lambda i: i.transpose(Image.Transpose.ROTATE_90),
        "A is B, turned by 90° counter-clockwise",
    ),
    "half a turn": (lambda i: i.transpose(Image.Transpose.ROTATE_180), "A is B, turned by 180°"),
    "transposed": (
        lambda i: i.transpose(Image.Transpose.TRANSPOSE),
        "A is B, mirrored, turned by 90° counter-clockwise",
    ),
    "turned a little": (
        lambda i: i.rotate(-8, Image.Resampling.BICUBIC),
        "A is B, turned by 8° clockwise",
    ),
    "straightened": (
        lambda i: part(i.rotate(6, Image.Resampling.BICUBIC), 0.15, 0.15, 0.85, 0.85),
        "A is a crop of B, turned by 6° counter-clockwise",
    ),
    "mirrored and cropped": (
        lambda i: ImageOps.mirror(part(i, 0.2, 0.1, 0.9, 0.8)),
        "A is a crop of B, mirrored",
    ),
    "stretched": (lambda i: i.resize((i.width, round(i.height * 1.4))), "A is B, stretched"),
    "grey": (lambda i: i.convert("L").convert("RGB"), "A is B, in grey"),
    "tinted": (tinted, "A is B, in other colours"),
    "darker": (lambda i: i.point([value * 5 // 8 for value in range(256)] * 3), "A is B, darker"),
    "framed": (
        lambda i: ImageOps.expand(i, i.width // 8, "black"),
        "A shows B within a frame or other content",
    ),
    "lettered": (lettered, "A is B, at most compressed, resized or retouched"),
    "with a logo": (logo, "A is B, at most compressed, resized or retouched"),
    "screenshot": (screenshot, "A shows B within a frame or other content"),
}


class DimEncoder(ColourEncoder):
    """One that finds all images rather alike, so that each is a candidate for each."""

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors = super().encode(pixels)
        vectors[:, -1] = 400
        return vectors
