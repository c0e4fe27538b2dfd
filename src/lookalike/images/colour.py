"""Converts the colours of an image to sRGB from the space that its ICC profile describes.

littlecms does it, as in Pillow's ImageCms. A profile that is damaged, too large, or for images of another kind counts
as none: the colours are then taken as they are. So are those of a profile that describes sRGB, as most of them do.
"""

import functools
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from PIL import ImageCms

MAX_PROFILE = 4 * 2**20  # bytes; those of printing presses have up to 3 MB

Channels: TypeAlias = Literal["L", "RGB", "CMYK"]  # as Pillow's modes

_REMEMBERED = 16  # profiles whose transforms are kept
_SAME = 3  # of 255: a profile whose colours are all as near as this to sRGB's describes sRGB
_LEAST_RANGE = 64  # of 255, between the darkest and the lightest colour; a smaller one comes from a broken profile
_STEEP = 6  # of 255: neighbouring values of a profile that are as far apart in sRGB are converted before scaling
_STEPS = 6  # of each channel, among the colours by which a profile is examined
_GREY_MODES = ("1", "L", "LA", "La", "F")
_SPACES: dict[str, Channels] = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
_CLASSES = ("scnr", "mntr", "prtr", "spac")  # those that describe the colours of a device (ICC.1:2022, 7.2.5)


@dataclass(frozen=True)
class Conversion:
    """Makes sRGB of the colours of images.

    Attributes:
        channels: of the images that it takes.
        transform: of littlecms.
        is_steep: whether it is to be applied before an image is reduced, since neighbouring values are so far apart
            that dark colours would be lost: those of linear light. Afterwards it takes a fraction of the time.
    """

    channels: Channels
    transform: "ImageCms.ImageCmsTransform"
    is_steep: bool

    def prepared(self, image: Image.Image) -> Image.Image:
        """An image of 8 bits a channel in a mode that can be scaled and then converted: L, RGB, RGBA or CMYK."""
        if image.has_transparency_data:
            return image if image.mode == "RGBA" else image.convert("RGBA")
        mode = "L" if image.mode in _GREY_MODES else self.channels
        return image if image.mode == mode else image.convert(mode)

    def apply(self, prepared: Image.Image) -> Image.Image:
        """A prepared image in sRGB, and white where it is transparent: mode RGB."""
        if prepared.mode != "RGBA":
            return self._converted(prepared)
        colours = prepared.getchannel(0) if self.channels == "L" else prepared.convert("RGB")
        white = Image.new("RGB", prepared.size, "white")
        white.paste(self._converted(colours), mask=prepared.getchannel(3))
        return white

    def _converted(self, image: Image.Image) -> Image.Image:
        return self.transform.apply(image if image.mode == self.channels else image.convert(self.channels))


def conversion_of(image: Image.Image) -> Conversion | None:
    """How the colours of an opened image become sRGB; None if they are taken as they are."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or not 0 < len(profile) <= MAX_PROFILE or image.mode == "LAB":
        return None
    if image.mode in _GREY_MODES or image.mode.startswith("I"):
        return _conversion(profile, "L")
    return _conversion(profile, "CMYK" if image.mode == "CMYK" else "RGB")


def may_convert(profile: bytes) -> bool:
    """Whether there are images whose colours are converted if they have this profile."""
    return any(is_of_other_space(profile, channels) for channels in ("L", "RGB", "CMYK"))


def is_of_other_space(profile: bytes, channels: Channels) -> bool:
    """Whether the colours of images with these channels are converted if they have this profile."""
    return 0 < len(profile) <= MAX_PROFILE and _conversion(profile, channels) is not None


@functools.lru_cache(_REMEMBERED)
def _conversion(profile: bytes, channels: Channels) -> Conversion | None:
    """The conversion of images of that kind; None if the profile describes sRGB, or cannot be used for them.

    A grey image may have a profile of RGB, as in browsers: its channels are equal.
    """
    try:
        found, transform = _transform(profile)
        if found != channels and (found, channels) != ("RGB", "L"):
            return None
        return _examined(found, transform, channels)
    except Exception:  # littlecms refuses it, or Pillow was built without littlecms
        return None


def _transform(profile: bytes) -> "tuple[Channels, ImageCms.ImageCmsTransform]":
    """The transform of a profile to sRGB, and the channels that it takes; raises any exception if there is none."""
    from PIL import ImageCms  # few images need it

    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    channels, device = _SPACES[opened.profile.xcolor_space.strip()], opened.profile.device_class.strip()
    if device not in _CLASSES:
        raise ValueError("a profile that does not describe a device")
    # Of a display's profile of version 4, littlecms would take the lightest black that is allowed for the black.
    is_exact = opened.profile.version >= 4 and device != "prtr"
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC if is_exact else ImageCms.Intent.PERCEPTUAL
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return channels, ImageCms.ImageCmsTransform(opened, srgb, channels, "RGB", intent)


def _examined(channels: Channels, transform: "ImageCms.ImageCmsTransform", wanted: Channels) -> Conversion | None:
    """The conversion by a transform, going by what it makes of some colours; None if it is broken or not needed."""
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], len(channels), axis=1)
    colours = greys if wanted == "L" else np.concatenate([greys, _grid(len(channels))])
    image = Image.frombytes(channels, (len(colours), 1), colours.tobytes())
    made = np.asarray(transform.apply(image))[0].astype(int)
    if np.ptp(made) < _LEAST_RANGE:
        return None
    if channels == "CMYK":
        return Conversion(channels, transform, is_steep=False)
    if np.abs(made - colours).max() <= _SAME:
        return None
    return Conversion(channels, transform, bool(np.abs(np.diff(made[:256], axis=0)).max() > _STEEP))


def _grid(channels: int) -> NDArray[np.uint8]:
    """Colours that differ in each channel: uint8 (n, channels)."""
    levels = np.linspace(0, 255, _STEPS, dtype=np.uint8)
    return np.stack(np.meshgrid(*[levels] * channels), axis=-1).reshape(-1, channels)
