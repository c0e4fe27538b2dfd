"""PNG files of 16 bits and several channels, of which Pillow keeps the upper 8 bits, though an image may use the lower.

Such an image is decoded a second time for its lower 8 bits, and scaled by the rule of all formats (`depth.py`).
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from lookalike.images.deep_colour import DeepConversion, deep_conversion
from lookalike.images.depth import Range, eight_bits, range_of, sixteen_bits

_UPPER = 64  # from this on in the upper 8 bits, the range of 16 bits is used: a quarter of it
_STRIP_PIXELS = 2_000_000  # that are scaled at once
# By the type of colour: the mode and raw mode that give the lower 8 bits. Grey with alpha comes as all of its 4 bytes.
_LOWER = {2: ("RGB", "RGB;16L"), 4: ("RGBA", "RGBA"), 6: ("RGBA", "RGBA;16L")}


class DeepPng(PngImagePlugin.PngImageFile):
    """A PNG with 16 bits for each of several channels.

    Attributes:
        working_bytes: of memory that decoding takes at most besides the pixels.
    """

    def _open(self) -> None:
        super()._open()
        assert isinstance(self.fp, io.BytesIO)
        self._data = self.fp.getvalue()
        self._key = self.info.get("transparency")  # of 16 bits; it may be scaled later
        self.working_bytes = self.size[0] * self.size[1] * 4 + 16 * _STRIP_PIXELS

    def load(self) -> Any:
        """Decodes the image."""
        is_new = self._im is None
        found = super().load()
        conversion = deep_conversion(self.info.get("icc_profile"), 3) if is_new else None
        if is_new and (conversion or _brightest(self) < _UPPER):
            self._add_lower_bits(conversion)
            if conversion:
                self.info["icc_profile"] = None  # it is in sRGB now
            found = Image.Image.load(self)
        return found

    def _add_lower_bits(self, conversion: DeepConversion | None) -> None:
        lower = PngImagePlugin.PngImageFile(io.BytesIO(self._data))
        lower._mode, raw = _LOWER[self._data[25]]
        lower.tile = [tile._replace(args=raw) for tile in lower.tile]
        lower.load()
        step = max(1, _STRIP_PIXELS // self.width)
        boxes = [(0, top, self.width, min(top + step, self.height)) for top in range(0, self.height, step)]
        limits = range_of(_visible(self._numbers(lower, box)) for box in boxes)
        self.info.pop("transparency", None)
        whole = Image.new("RGBA" if self._key or self.mode == "RGBA" else "RGB", self.size)
        for box in boxes:
            whole.paste(_scaled(self._numbers(lower, box), limits, self._key, conversion), box)
        self.im, self._mode = whole.im, whole.mode

    def _numbers(self, lower: Image.Image, box: tuple[int, int, int, int]) -> NDArray[np.uint16]:
        """The numbers of 16 bits in a box: shape (rows, width, 3), or 4 with alpha."""
        low = np.asarray(lower.crop(box))
        if self._data[25] == 4:  # grey and alpha, the upper 8 bits of each first
            low = low[..., [1, 1, 1, 3]]
        high = np.asarray(self.crop(box)).astype(np.uint16)
        numbers: NDArray[np.uint16] = high << 8 | low
        return numbers


def _brightest(image: Image.Image) -> int:
    """The largest value of a colour that is not transparent, in an image of mode RGB or RGBA."""
    red, green, blue, *alpha = image.split()
    seen = alpha[0].point([0] + [255] * 255) if alpha else None
    counts = (band.histogram(seen) for band in (red, green, blue))
    return max(max((value for value, count in enumerate(found) if count), default=0) for found in counts)


def _visible(numbers: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The colours that are not transparent."""
    return numbers if numbers.shape[2] == 3 else numbers[numbers[..., 3] > 0][:, :3]


def _scaled(
    numbers: NDArray[np.uint16], limits: Range, key: tuple[int, int, int] | None, conversion: DeepConversion | None
) -> Image.Image:
    wide = numbers[..., :3]
    colours = conversion.apply(sixteen_bits(wide, limits)) if conversion else eight_bits(wide, limits)
    if key is not None:
        alpha = np.where((numbers == np.array(key)).all(axis=2), 0, 255).astype(np.uint8)
    elif numbers.shape[2] == 4:
        alpha = eight_bits(numbers[..., 3], range_of([numbers[..., 3]]))
    else:
        return Image.fromarray(colours)
    return Image.fromarray(np.dstack([colours, alpha]))
