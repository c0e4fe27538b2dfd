"""The perceptual hashes of imagededup, which `copies.py` measures beside the comparison by pictures if it is installed.

Lookalike does not need it: pip install imagededup. Its fifth method, a convolutional network, is left out, since it
downloads its weights when it is made.
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

METHODS = ("PHash", "DHash", "WHash", "AHash")
Hash = Callable[[Image.Image], NDArray[np.bool_]]


def hashes() -> dict[str, Hash]:
    """Its hashes by their names, each a function that returns 64 bits; none if it is not installed."""
    try:
        methods = importlib.import_module("imagededup.methods")
    except ImportError:
        return {}
    return {f"id-{name}": _bits_by(getattr(methods, name)(verbose=False)) for name in METHODS}


def _bits_by(method: Any) -> Hash:
    def bits(image: Image.Image) -> NDArray[np.bool_]:
        found: str = method.encode_image(image_array=np.asarray(image.convert("RGB")))
        return np.unpackbits(np.frombuffer(bytes.fromhex(found), np.uint8)).astype(bool)

    return bits
