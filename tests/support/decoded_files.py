"""What becomes of an image file: its pixels, or the reason why there are none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.errors import ImageError
from lookalike.images.decode import Preprocessing, decode

WHOLE = Preprocessing(size=32, crop=1.0)  # all of a square image


def pixels(data: bytes) -> NDArray[np.uint8]:
    """The pixels of a file, (32, 32, 3)."""
    return decode(data, WHOLE).pixels


def reason(data: bytes) -> str:
    """Why a file is refused."""
    with pytest.raises(ImageError) as caught:
        decode(data, WHOLE)
    return caught.value.reason
