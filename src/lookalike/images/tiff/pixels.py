"""The numbers of a TIFF's image -> its channels with 8 bits each.

Pixels without a value (NaN, or GDAL's nodata value) become white, as transparent ones do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.images.deep_colour import DeepConversion
from lookalike.images.depth import Range, eight_bits, range_of, sixteen_bits
from lookalike.images.tiff import directory as tags
from lookalike.images.tiff.directory import Directory
from lookalike.images.tiff.layout import LAB, Layout, layout_of
from lookalike.images.tiff.numbers import numbers
from lookalike.images.tiff.segments import Unpack, read_segments

_WHITE_IS_ZERO, _RGB, _PALETTE, _CMYK = 0, 2, 3, 5
_MODES = {_RGB: "RGB", _PALETTE: "RGB", _CMYK: "CMYK", LAB: "LAB"}
_LAB_UNITS = (100 / 255, 1.0, 1.0)  # of L, a and b as floats, that are 1 in 8 bits
_ASSOCIATED, _UNASSOCIATED = 1, 2  # kinds of an extra sample that is alpha; the first is multiplied into the colours
_MAX_EXTRA = 64  # of the kinds of extra samples, and of the numbers or letters of other tags
_PIXELS_AT_ONCE = 500_000  # that are scaled to 8 bits


@dataclass(frozen=True)
class Picture:
    """What is read of an image, and how it becomes 8 bits.

    Attributes:
        layout: of its numbers.
        samples: the numbers of a pixel that are read: its colours, and alpha as the last.
        has_alpha: whether the last one is alpha.
        associated: whether alpha is multiplied into the colours.
        nodata: the value that means that there is none.
        declared: the range of values that the file names.
    """

    layout: Layout
    samples: list[int]
    has_alpha: bool
    associated: bool
    nodata: float | None
    declared: Range | None

    @property
    def mode(self) -> str:
        """Pillow's mode."""
        mode = _MODES.get(self.layout.photometric, "L")
        return {"L": "LA", "RGB": "RGBA"}[mode] if self.has_alpha else mode

    @property
    def is_deep(self) -> bool:
        """Whether its colours have more than 8 bits, and may be converted before they are rounded."""
        return self.full_range is None and self.layout.photometric != _PALETTE and not self.associated

    @property
    def full_range(self) -> Range | None:
        """The range of numbers that always use it: 8 bits and fewer, inks, Lab, indices of a palette."""
        layout = self.layout
        always = layout.bits <= 8 or layout.photometric in (_CMYK, LAB)
        return Range(0, 2**layout.bits - 1) if always and layout.kind == "u" else None


def picture_of(directory: Directory) -> Picture:
    layout = layout_of(directory)
    kinds = directory.values(tags.EXTRA_SAMPLES)[: min(layout.samples - layout.colours, _MAX_EXTRA)].tolist()
    if tags.EXTRA_SAMPLES not in directory.tags and (layout.photometric, layout.samples) == (_RGB, 4):
        kinds = [_UNASSOCIATED]  # as Pillow and libtiff take it
    if layout.photometric in (_CMYK, LAB):
        kinds = []
    alpha = [index for index, kind in enumerate(kinds) if kind in (_ASSOCIATED, _UNASSOCIATED)][:1]
    return Picture(
        layout,
        [*range(layout.colours), *(layout.colours + index for index in alpha)],
        bool(alpha),
        bool(alpha) and kinds[alpha[0]] == _ASSOCIATED,
        _nodata(directory),
        _declared(directory, layout),
    )


def _nodata(directory: Directory) -> float | None:
    """GDAL's nodata value, a text."""
    try:
        return float(directory.values(tags.GDAL_NODATA)[:_MAX_EXTRA].tobytes().partition(b"\0")[0])
    except ValueError:
        return None


def _declared(directory: Directory, layout: Layout) -> Range | None:
    """The range that SMinSampleValue and SMaxSampleValue name, or a number of bits that is no usual one."""
    low, high = (directory.values(tag)[:_MAX_EXTRA].astype(float) for tag in (tags.SMALLEST, tags.LARGEST))
    if len(high) and np.isfinite([*low, *high]).all():
        least = float(low.min()) if len(low) else 0.0
        return Range(least, float(high.max())) if least < high.max() else None
    return Range(0, 2**layout.bits - 1) if layout.kind == "u" and layout.bits < 32 else None


def bands_of(
    directory: Directory, picture: Picture, unpack: Unpack, conversion: DeepConversion | None
) -> NDArray[np.uint8]:
    """The channels of the image: uint8, shape (length, width, channels of its mode).

    Its colours are converted before they are rounded, if there is a conversion.
    """
    with np.errstate(all="ignore"):  # numbers that are not finite, or too large for their type, are expected
        values = _values(directory, picture, unpack)
        if picture.layout.photometric == _PALETTE:
            return _through_palette(values, directory, picture)
        if picture.layout.photometric == LAB and picture.layout.kind == "f":
            return _lab(values, picture)
        return _scaled(values, picture, conversion)


def _scaled(values: NDArray[Any], picture: Picture, conversion: DeepConversion | None) -> NDArray[np.uint8]:
    colours = len(picture.samples) - picture.has_alpha
    limits = picture.full_range or range_of((_visible(part, picture) for part in _parts(values)), picture.declared)
    opaque = _opaque(values, picture)
    found = np.empty(values.shape, np.uint8)
    for part, into in zip(_parts(values), _parts(found), strict=True):
        into[..., :colours] = _colours(part[..., :colours], limits, picture, conversion)
        if picture.has_alpha:
            into[..., colours:] = eight_bits(part[..., colours:], opaque)
        if picture.associated:
            _divide(into)
        if (blank := _blank(part[..., :colours], picture)) is not None:
            into[blank, :colours] = 0 if picture.mode == "CMYK" else 255
    return found


def _lab(values: NDArray[Any], picture: Picture) -> NDArray[np.uint8]:
    """Lab colours of floats in the 8 bits of TIFF 6.0, section 23, where a and b are signed."""
    found = np.empty(values.shape, np.uint8)
    for part, into in zip(_parts(values), _parts(found), strict=True):
        whole = np.rint(np.nan_to_num(part / np.array(_LAB_UNITS)))
        into[..., 0] = np.clip(whole[..., 0], 0, 255)
        into[..., 1:] = np.clip(whole[..., 1:], -128, 127).astype(np.int8).view(np.uint8)
        if (blank := _blank(part, picture)) is not None:
            into[blank] = (255, 0, 0)  # white
    return found


def _colours(
    part: NDArray[Any], limits: Range, picture: Picture, conversion: DeepConversion | None
) -> NDArray[np.uint8]:
    is_negative = picture.layout.photometric == _WHITE_IS_ZERO
    if conversion is None:
        found = eight_bits(part, limits)
        return 255 - found if is_negative else found
    wide = sixteen_bits(part, limits)
    return conversion.apply(65535 - wide if is_negative else wide)


def _values(directory: Directory, picture: Picture, unpack: Unpack) -> NDArray[Any]:
    """The numbers that are read: of the layout's type, shape (length, width, samples read)."""
    layout = picture.layout
    values = np.full((layout.length, layout.width, len(picture.samples)), _filling(picture), layout.dtype)
    for segment in read_segments(directory, layout, max(picture.samples) + 1, unpack):
        if layout.planar and segment.plane not in picture.samples:
            continue
        found = numbers(segment.rows, layout)
        into = values[segment.row : segment.row + len(found), segment.column : segment.column + found.shape[1]]
        found = found[: into.shape[0], : into.shape[1]]
        if layout.planar:
            into[..., picture.samples.index(segment.plane)] = found[..., 0]
        else:
            into[...] = found[..., _chosen(picture.samples)]
    return values


def _chosen(samples: list[int]) -> Any:
    """An index for these samples; a slice, where it can be one, takes no copy."""
    return slice(len(samples)) if samples == list(range(len(samples))) else samples


def _filling(picture: Picture) -> Any:
    """The value where the file leaves a strip or tile out."""
    if picture.nodata is None:
        return 0
    if picture.layout.kind == "f":
        return picture.nodata
    limits = np.iinfo(picture.layout.dtype)
    return int(picture.nodata) if limits.min <= picture.nodata <= limits.max else 0


def _parts(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Some rows of the image at a time."""
    step = max(1, _PIXELS_AT_ONCE // values.shape[1])
    return (values[top : top + step] for top in range(0, len(values), step))


def _blank(colours: NDArray[Any], picture: Picture) -> NDArray[np.bool_] | None:
    """Which pixels have no value: bool, shape (rows, width); None if all have one."""
    blank = np.isnan(colours).all(axis=2) if picture.layout.kind == "f" else None
    if picture.nodata is not None:
        nodata = colours.dtype.type(picture.nodata) if picture.layout.kind == "f" else picture.nodata
        empty = (colours == nodata).all(axis=2)
        blank = empty if blank is None else blank | empty
    return blank


def _visible(part: NDArray[Any], picture: Picture) -> NDArray[Any]:
    """The numbers of the colours that can be seen: of pixels that have a value and are not transparent."""
    colours = part[..., : len(picture.samples) - picture.has_alpha]
    hidden = _blank(colours, picture)
    if picture.has_alpha:
        clear = part[..., -1] == 0
        hidden = clear if hidden is None else hidden | clear
    return colours if hidden is None or not hidden.any() else colours[~hidden]


def _opaque(values: NDArray[Any], picture: Picture) -> Range:
    """The range of alpha, by the rule for values."""
    if not picture.has_alpha:
        return Range(0, 1)
    return picture.full_range or range_of([values[..., -1]])


def _divide(bands: NDArray[np.uint8]) -> None:
    """Divides the colours by alpha, which is the last channel and was multiplied into them."""
    alpha = np.maximum(bands[..., -1:], 1).astype(np.uint16)
    bands[..., :-1] = np.minimum((bands[..., :-1] * np.uint16(255) + alpha // 2) // alpha, 255)


def _through_palette(values: NDArray[Any], directory: Directory, picture: Picture) -> NDArray[np.uint8]:
    """The colours of the indices: uint8, shape (length, width, 3), or 4 with alpha."""
    entries = directory.values(tags.COLOR_MAP)
    count = 2**picture.layout.bits
    palette = np.zeros((3, count), np.uint16)
    stored = entries[: 3 * (len(entries) // 3)].reshape(3, -1)[:, :count]
    palette[:, : stored.shape[1]] = stored
    # Some writers store 8 bits instead of 16.
    colours = (palette >> 8 if palette.max() > 255 else palette).astype(np.uint8).T
    found = np.empty((*values.shape[:2], 3 + picture.has_alpha), np.uint8)
    for part, into in zip(_parts(values), _parts(found), strict=True):
        into[..., :3] = colours[part[..., 0]]
        if picture.has_alpha:
            into[..., 3:] = eight_bits(part[..., 1:], Range(0, count - 1))
    return found
