"""A matrix of TIFF files, which tifffile writes: numbers, channels, byte order, codec, layout, profile."""

import functools
import io
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from tests.support.shown_pictures import (
    ImageFile,
    cut_out,
    full_picture,
    grey_of,
    picture,
    wide_picture,
    wide_profile,
)

NUMBERS: dict[str, tuple[str, float, float]] = {  # NumPy's type, the numbers that are black and white
    "8 bits": ("u1", 0, 255),
    "10 bits": ("u2", 0, 1023),
    "12 bits": ("u2", 0, 4095),
    "14 bits": ("u2", 0, 16383),
    "16 bits": ("u2", 0, 65535),
    "10 of 16 bits": ("u2", 0, 1023),
    "12 of 16 bits": ("u2", 0, 4095),
    "14 of 16 bits": ("u2", 0, 16383),
    "32 bits": ("u4", 0, 2**32 - 1),
    "16 of 32 bits": ("u4", 0, 65535),
    "signed 8 bits": ("i1", -128, 127),
    "signed 16 bits": ("i2", -32768, 32767),
    "15 of signed 16 bits": ("i2", 0, 32767),
    "half": ("f2", 0, 1),
    "float": ("f4", 0, 1),
    "float to 255": ("f4", 0, 255),
    "float to 1.02": ("f4", 0, 1.02),
    "float from -1": ("f4", -1, 1),
    "double": ("f8", 0, 1),
}
CHANNELS = (
    "grey",
    "white is zero",
    "grey, alpha",
    "RGB",
    "RGB, alpha",
    "RGB, extra",
    "RGB, profile",
    "palette",
    "CMYK",
)
CODECS = {"none": (), "lzw": (2, 3), "deflate": (2, 3), "packbits": (), "zstd": (2, 3), "lzma": (2, 3)}
LAYOUTS: dict[str, dict[str, Any]] = {"one strip": {}, "strips": {"rowsperstrip": 7}, "tiles": {"tile": (48, 64)}}


def tiffs() -> Iterator[tuple[str, Callable[[int], ImageFile]]]:
    """Yields the names of all TIFFs of the matrix, each with a function that writes it with the picture of a number."""
    for numbers, channels, order, (codec, predictors), layout in itertools.product(
        NUMBERS, CHANNELS, "<>", CODECS.items(), LAYOUTS
    ):
        kind = NUMBERS[numbers][0][0]
        if channels in ("palette", "CMYK", "RGB, profile") and numbers not in ("8 bits", "16 bits"):
            continue
        if channels == "palette" and numbers != "8 bits":
            continue
        packed = numbers in ("10 bits", "12 bits", "14 bits")
        if packed and (layout == "tiles" or channels not in ("grey", "white is zero", "RGB")):
            continue
        for predictor, planar, big in itertools.product((1, *predictors), (False, True), (False, True)):
            if predictor == (2 if kind == "f" else 3) or (packed and (predictor > 1 or planar)):
                continue
            if planar and channels in ("grey", "white is zero", "palette"):
                continue
            name = f"{channels} {numbers} {order} {codec} {predictor} {layout}{' planar' * planar}{' big' * big}"
            options = {
                "compression": None if codec == "none" else codec,
                "predictor": predictor if predictor > 1 else None,
                "byteorder": order,
                "bigtiff": big,
                **LAYOUTS[layout],
            }
            yield name, functools.partial(_tiff, name, numbers, channels, planar, options)


def _tiff(name: str, numbers: str, channels: str, planar: bool, options: dict[str, Any], number: int) -> ImageFile:
    dtype, black, white = NUMBERS[numbers]
    rgb = full_picture(number) if black else picture(number)
    shown = rgb if channels.startswith(("RGB", "CMYK", "palette")) else grey_of(rgb)
    alpha = channels.endswith("alpha")
    shown, opaque = cut_out(shown) if alpha else (shown, np.full(shown.shape[:2], 255, np.uint8))
    extra: dict[str, Any] = {"photometric": "rgb" if channels.startswith("RGB") else "minisblack"}
    stored = shown
    if channels == "palette":
        few = Image.fromarray(rgb).quantize(200, dither=Image.Dither.NONE)
        shown, stored = np.asarray(few.convert("RGB")), np.asarray(few)
        colours = np.zeros((3, 256), np.uint16)
        found = np.array(few.getpalette(), np.uint16).reshape(-1, 3).T
        colours[:, : found.shape[1]] = found * (257 if number % 2 else 1)  # as some writers store it
        extra = {"photometric": "palette", "colormap": colours}
    if channels == "CMYK":
        stored, extra = np.asarray(Image.fromarray(rgb).convert("CMYK")), {"photometric": "separated"}
    if channels == "white is zero":
        stored, extra = 255 - shown, {"photometric": "miniswhite"}
    if channels == "RGB, profile":
        stored, extra["iccprofile"] = wide_picture(number), wide_profile()
    values = _scaled(stored, dtype, black, white)
    if alpha or channels.endswith("extra"):
        more = opaque if alpha else np.full_like(opaque, 90)
        values = np.dstack([values, _scaled(more, dtype, 0, white)])
        extra["extrasamples"] = ["unassalpha" if alpha else "unspecified"]
    if numbers in ("10 bits", "12 bits", "14 bits"):
        data = _packed(values, int(numbers[:2]), extra["photometric"], options)
    else:
        if values.ndim == 3:
            extra["planarconfig"] = "separate" if planar else "contig"
            values = np.ascontiguousarray(values.transpose(2, 0, 1)) if planar else values
        file = io.BytesIO()
        tifffile.imwrite(file, values, metadata=None, **extra, **options)
        data = file.getvalue()
    profile = channels == "RGB, profile"
    return ImageFile("TIFF", name, data, shown, black, white, channels == "white is zero", alpha, profile)


def _scaled(values: NDArray[np.uint8], dtype: str, black: float, white: float) -> NDArray[Any]:
    exact = values / 255 * (white - black) + black
    return (exact if dtype[0] == "f" else np.rint(exact)).astype(dtype)


def _packed(values: NDArray[Any], bits: int, photometric: str, options: dict[str, Any]) -> bytes:
    """Returns a TIFF of numbers that lie bit by bit; tifffile writes them as bytes, and the tags are changed then."""
    samples = values.shape[2] if values.ndim == 3 else 1
    single = values.reshape(len(values), -1, 1) >> np.arange(bits)[::-1] & 1
    rows = np.packbits(single.reshape(len(values), -1).astype(np.uint8), axis=1)
    file = io.BytesIO()
    tifffile.imwrite(file, rows, metadata=None, photometric="minisblack", **options)
    file.seek(0)
    with tifffile.TiffFile(file, mode="r+") as written:
        tags = written.pages.first.tags
        tags["ImageWidth"].overwrite(values.shape[1])
        tags["BitsPerSample"].overwrite(bits)
        tags["SamplesPerPixel"].overwrite(samples)
        tags["PhotometricInterpretation"].overwrite({"minisblack": 1, "miniswhite": 0, "rgb": 2}[photometric])
    return file.getvalue()
