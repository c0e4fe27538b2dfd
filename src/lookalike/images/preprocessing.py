"""What an image may be given as, and how it is prepared for an encoder, as data: no decoder is loaded for that."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal, TypeAlias, Union, get_args

import numpy as np
from numpy.typing import NDArray

from lookalike import arguments
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

ImageSource: TypeAlias = Union[  # with `|`, the name of a class that is not loaded would be none
    str, os.PathLike[str], bytes, bytearray, memoryview, BinaryIO, "Image.Image", NDArray[np.uint8]
]
"""A path, a file's bytes, an open binary file, a PIL image, or an array: (h, w, 3) RGB or (h, w) grey."""

MAX_PIXELS = 178_000_000  # of an image that is decoded in full; more than this, Pillow decodes only if told so

Fit: TypeAlias = Literal["crop", "squash"]

Resample: TypeAlias = Literal["nearest", "bilinear", "bicubic", "lanczos"]


@dataclass(frozen=True)
class Preprocessing:
    """How an image is resized and cropped for an encoder.

    Attributes:
        size: the side of the resulting square, in pixels.
        crop: the centre part of the shorter side that is kept, in (0, 1].
        resample: the resampling filter.
        fit: how an image becomes square: "crop" cuts off both ends of the longer side, "squash" scales each side by
            itself, from the centre part of it.

    Raises:
        UsageError: a value is out of range.
    """

    size: int = 224
    crop: float = 0.875
    resample: Resample = "bilinear"
    fit: Fit = "crop"

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", arguments.whole(self.size, "size", least=1))
        if not 0 < arguments.number(self.crop, "crop") <= 1:
            raise UsageError(f"crop: {self.crop} is not a part of a side; give a number above 0 and at most 1")
        if self.resample not in get_args(Resample):
            raise UsageError(f"resample: {arguments.shown(self.resample)}; give one of {', '.join(get_args(Resample))}")
        if self.fit not in get_args(Fit):
            raise UsageError(f"fit: {arguments.shown(self.fit)}; give one of {', '.join(get_args(Fit))}")


Recipe = Preprocessing  # its name in earlier versions
