"""What a matrix of image files shows, and what is known of each of them."""

import functools
import itertools
from dataclasses import dataclass

import numpy as np
import pyvips
from numpy.typing import NDArray
from PIL import Image

from lookalike.demo import KINDS, draw

SIZE = (211, 163)  # not a multiple of any tile or strip


@dataclass(frozen=True)
class ImageFile:
    """An image file.

    Attributes:
        kind: its format.
        name: its place on the other axes.
        data: the file.
        picture: what it shows, before its colours or its profile change it: uint8, RGB or grey.
        black: the number that is black, for formats that leave this open.
        white: the number that is white.
        inverted: whether low numbers are bright.
        alpha: whether it has alpha; `picture` is on white.
        profile: whether it has a colour profile.
    """

    kind: str
    name: str
    data: bytes
    picture: NDArray[np.uint8]
    black: float = 0
    white: float = 255
    inverted: bool = False
    alpha: bool = False
    profile: bool = False


@functools.cache
def picture(number: int) -> NDArray[np.uint8]:
    """Returns one of some drawn pictures: uint8, RGB."""
    drawn = draw(list(KINDS)[number % len(KINDS)], np.random.default_rng(number))
    return np.asarray(drawn.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS))


def full_picture(number: int) -> NDArray[np.uint8]:
    """Returns a picture whose grey reaches into the lowest and the highest quarter: black may be anywhere else."""
    found = (picture(at) for at in itertools.count(number))
    return next(rgb for rgb in found if grey_of(rgb).min() < 64 and grey_of(rgb).max() >= 192)


def grey_of(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns the picture in grey."""
    return np.asarray(Image.fromarray(rgb).convert("L"))


def cut_out(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Returns a picture on white within an ellipse, and its alpha."""
    y, x = np.mgrid[-1 : 1 : SIZE[1] * 1j, -1 : 1 : SIZE[0] * 1j]
    alpha = np.where(x**2 + y**2 < 0.9, 255, 0).astype(np.uint8)
    shown = np.where(alpha.reshape(alpha.shape + (1,) * (rgb.ndim - 2)) > 0, rgb, 255).astype(np.uint8)
    return shown, alpha


@functools.cache
def wide_profile() -> bytes:
    """Returns the profile of Display P3, a space of more colours than sRGB."""
    return _profile("p3")


@functools.cache
def wide_picture(number: int) -> NDArray[np.uint8]:
    """Returns a picture in the colours of Display P3."""
    return np.asarray(_converted(picture(number), "p3").numpy())


@functools.cache
def ink_profile() -> bytes:
    """Returns the profile of a printing press."""
    return _profile("cmyk")


@functools.cache
def inked_picture(number: int) -> NDArray[np.uint8]:
    """Returns a picture in the inks of this press: uint8, CMYK."""
    return np.asarray(_converted(picture(number), "cmyk").numpy())


def _converted(rgb: NDArray[np.uint8], profile: str) -> pyvips.Image:
    return pyvips.Image.new_from_array(rgb, interpretation="srgb").icc_transform(profile, input_profile="srgb")


def _profile(name: str) -> bytes:
    found: bytes = _converted(np.zeros((1, 1, 3), np.uint8), name).get("icc-profile-data")
    return found
