"""The ways in which `copies.py` edits photographs: what people and programs do to an image before they pass it on."""

import io
import math
import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from lookalike.evaluation.edits import recolour

Edit = Callable[[Image.Image, random.Random], Image.Image]


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    with Image.open(file) as copy:
        return copy.convert("RGB")


def resized(image: Image.Image, side: int) -> Image.Image:
    copy = image.copy()
    copy.thumbnail((side, side), Image.Resampling.BICUBIC)
    return copy


def cropped(image: Image.Image, area: float, chance: random.Random) -> Image.Image:
    """A part of the same shape, anywhere in the image."""
    side = math.sqrt(area)
    width, height = round(image.width * side), round(image.height * side)
    left, top = chance.randint(0, image.width - width), chance.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def squared(image: Image.Image, _: random.Random) -> Image.Image:
    side = min(image.size)
    return ImageOps.fit(image, (side, side))


def turned(image: Image.Image, angle: float) -> Image.Image:
    """Turned with black corners, as a scanner does."""
    return image.rotate(angle, Image.Resampling.BICUBIC)


def straightened(image: Image.Image, chance: random.Random) -> Image.Image:
    """Turned by 5 to 10 degrees and cut, so that no corner is empty."""
    copy = turned(image, chance.choice((-1, 1)) * chance.uniform(5, 10))
    return copy.crop(
        (
            round(0.15 * image.width),
            round(0.15 * image.height),
            round(0.85 * image.width),
            round(0.85 * image.height),
        )
    )


def framed(image: Image.Image, chance: random.Random) -> Image.Image:
    colour = chance.choice(("white", "black", "#a05020"))
    return ImageOps.expand(image, round(0.12 * max(image.size)), colour)


def passe_partout(image: Image.Image, _: random.Random) -> Image.Image:
    """A wide white frame within a narrow dark one."""
    inner = ImageOps.expand(image, round(0.25 * max(image.size)), "white")
    return ImageOps.expand(inner, round(0.03 * max(image.size)), "#302010")


def lettered(image: Image.Image, chance: random.Random) -> Image.Image:
    """Two lines of large white text with a black edge, above and below, as in a meme."""
    copy, size = image.copy(), max(10, image.width // 9)
    draw, font = ImageDraw.Draw(copy), ImageFont.load_default(size)
    for text, y in (("WHEN YOU SEE", 0.03), (chance.choice(("THE NEW SHIRT", "WHAT THEY WEAR")), 0.82)):
        place = image.width / 2, y * image.height
        draw.text(place, text, "white", font, anchor="ma", stroke_width=size // 12, stroke_fill="black")
    return copy


def captioned(image: Image.Image, _: random.Random) -> Image.Image:
    """A white band with text above the image."""
    band = image.height // 4
    copy = Image.new("RGB", (image.width, image.height + band), "white")
    copy.paste(image, (0, band))
    ImageDraw.Draw(copy).text((10, band // 4), "Look what I found", "black", ImageFont.load_default(image.width // 12))
    return copy


def logo(image: Image.Image, chance: random.Random) -> Image.Image:
    """A filled disc with a star of a quarter of the width, somewhere."""
    copy, size = image.copy(), image.width // 4
    left, top = chance.randint(0, image.width - size), chance.randint(0, image.height - size)
    draw = ImageDraw.Draw(copy)
    draw.ellipse((left, top, left + size, top + size), "#c02030")
    draw.regular_polygon((left + size / 2, top + size / 2, size / 3), 3, fill="white")
    return copy


def watermarked(image: Image.Image, _: random.Random) -> Image.Image:
    """Half-transparent text all over."""
    layer = Image.new("L", image.size)
    draw, font = ImageDraw.Draw(layer), ImageFont.load_default(max(10, image.width // 12))
    for row in range(0, image.height, image.height // 6):
        draw.text((-20 + row % 50, row), "SAMPLE  SAMPLE  SAMPLE", 110, font)
    return Image.composite(Image.new("RGB", image.size, "white"), image, layer)


def screenshot(image: Image.Image, chance: random.Random) -> Image.Image:
    """A telephone's screen with the image over its whole width, bars above and text below."""
    width, height = image.width, round(image.width * 2.05)
    screen = Image.new("RGB", (width, height), chance.choice(("white", "#101418")))
    top = max(height // 8, (height - image.height) // 3)
    screen.paste(image, (0, top))
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, width, height // 14), "#3060c0")
    draw.text((12, 8), "12:30   Photos", "white", ImageFont.load_default(max(8, width // 18)))
    for line in range(4):
        y = top + image.height + 20 + line * height // 28
        draw.line((20, y, width * chance.uniform(0.5, 0.9), y), "#808890", max(2, height // 120))
    return screen


def window(image: Image.Image, chance: random.Random) -> Image.Image:
    """A desktop with the image in a window that takes a quarter of it."""
    screen = Image.new("RGB", (image.width * 2, image.height * 2), "#d8dce0")
    draw = ImageDraw.Draw(screen)
    for line in range(12):
        y = (line + 1) * screen.height // 14
        draw.line((10, y, chance.randint(60, screen.width - 10), y), "#707880", 5)
    left, top = chance.randint(0, image.width), chance.randint(30, image.height)
    draw.rectangle((left - 4, top - 30, left + image.width + 4, top + image.height + 4), "#404850")
    screen.paste(image, (left, top))
    return screen


def collage(image: Image.Image, chance: random.Random) -> Image.Image:
    """The image beside its own colours, drawn as three other tiles."""
    width, height = image.size
    whole = Image.new("RGB", (2 * width, 2 * height))
    noise = np.random.default_rng(chance.randint(0, 9999))
    for tile in range(4):
        pattern = Image.fromarray(noise.integers(0, 256, (7, 5, 3), dtype=np.uint8))
        part = image if tile == 1 else pattern.resize(image.size, Image.Resampling.BICUBIC)
        whole.paste(part, (tile % 2 * width, tile // 2 * height))
    return whole


def tilted(image: Image.Image, chance: random.Random) -> Image.Image:
    """Photographed from the side: a mild change of perspective."""
    width, height, far = image.width, image.height, chance.uniform(0.05, 0.1)
    corners = (0, far * height, 0, height * (1 - far), width, height, width, 0)
    return image.transform(image.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)


def stretched(image: Image.Image, chance: random.Random) -> Image.Image:
    return image.resize((round(image.width * chance.choice((0.75, 1.3))), image.height), Image.Resampling.BICUBIC)


def noisy(image: Image.Image, chance: random.Random) -> Image.Image:
    rng = np.random.default_rng(chance.randint(0, 9999))
    pixels = np.asarray(image) + rng.normal(0, 25, (image.height, image.width, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def gamma(image: Image.Image, chance: random.Random) -> Image.Image:
    power = chance.choice((0.45, 2.2))
    return image.point([round(255 * (value / 255) ** power) for value in range(256)] * 3)


def sepia(image: Image.Image, _: random.Random) -> Image.Image:
    return ImageOps.colorize(image.convert("L"), "#201008", "#fff0d0")


def passed_on(image: Image.Image, chance: random.Random) -> Image.Image:
    """Mirrored, cropped to 60 percent, lettered, made small and compressed."""
    return recompressed(resized(lettered(cropped(ImageOps.mirror(image), 0.6, chance), chance), 240), 40)


EDITS: dict[str, Edit] = {
    "JPEG of quality 10": lambda image, _: recompressed(image, 10),
    "64 pixels": lambda image, _: recompressed(resized(image, 64), 60),
    "blurred": lambda image, _: image.filter(ImageFilter.GaussianBlur(max(image.size) / 130)),
    "sharpened": lambda image, _: image.filter(ImageFilter.UnsharpMask(3, 250, 0)),
    "noise": noisy,
    "cropped to 3/4": lambda image, chance: cropped(image, 0.75, chance),
    "cropped to 1/2": lambda image, chance: cropped(image, 0.5, chance),
    "cropped to 1/4": lambda image, chance: cropped(image, 0.25, chance),
    "cropped to 1/6": lambda image, chance: cropped(image, 1 / 6, chance),
    "cropped square": squared,
    "stretched": stretched,
    "mirrored": lambda image, _: ImageOps.mirror(image),
    "turned by 90": lambda image, _: image.transpose(Image.Transpose.ROTATE_270),
    "turned by 180": lambda image, _: image.transpose(Image.Transpose.ROTATE_180),
    "turned by 4": lambda image, _: turned(image, 4),
    "turned by 12": lambda image, _: turned(image, 12),
    "straightened": straightened,
    "perspective": tilted,
    "recoloured": recolour,
    "grey": lambda image, _: image.convert("L").convert("RGB"),
    "sepia": sepia,
    "gamma": gamma,
    "contrast": lambda image, chance: ImageEnhance.Contrast(image).enhance(chance.choice((0.4, 2.0))),
    "framed": framed,
    "passe-partout": passe_partout,
    "lettered": lettered,
    "captioned": captioned,
    "logo": logo,
    "watermark": watermarked,
    "screenshot": screenshot,
    "window of a desktop": window,
    "collage of four": collage,
    "passed on": passed_on,
}
