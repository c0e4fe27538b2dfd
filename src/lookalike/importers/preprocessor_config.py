"""How pictures are prepared, as transformers writes it into `preprocessor_config.json`.

What the fields mean is in the documentation of its image processors:
https://huggingface.co/docs/transformers/main_classes/image_processor
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lookalike.encoders.card import Normalization, Triple
from lookalike.errors import ModelError, UsageError
from lookalike.images.decode import Fit, Preprocessing, Resample
from lookalike.importers.base import ImportOptions

_RESAMPLES: dict[int, Resample] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # PIL.Image.Resampling
# Where a size that is one number is that of the shorter side; others scale both sides to it.
_BY_SHORTER_SIDE = ("Bit", "CLIP", "ChineseCLIP", "ConvNext", "Levit", "MobileNetV", "MobileViT", "PoolFormer")
# Where no resample is named: that of their image processors.
_BICUBIC = ("Beit", "Bit", "Blip", "CLIP", "ChineseCLIP", "DeiT", "Levit", "Siglip")
# ConvNeXt scales to more than it keeps, by this, and from this size on to what it takes.
_CONVNEXT_CROP, _CONVNEXT_WARPED = 224 / 256, 384
_NOT_HERE = ("do_pad", "do_split_image", "do_image_splitting", "max_num_patches")


@dataclass(frozen=True)
class Preparation:
    """How pictures become what a network takes."""

    preprocessing: Preprocessing
    normalization: Normalization


def preparation(told: Mapping[str, Any], options: ImportOptions, source: str) -> Preparation:
    """What a `preprocessor_config.json` says, unless it is wished otherwise.

    Args:
        told: what the file says, {} where there is none.
        wishes: what the user says.
        source: the network, for messages.

    Raises:
        UsageError: it does not say enough, and neither does the user.
        ModelError: it cannot be done here, or makes no sense.
    """
    if not told and not (options.size and options.mean and options.std):
        raise UsageError(
            f"{source}: it does not say how pictures are prepared for it; say it with --size, --mean and --std"
        )
    try:
        return Preparation(_recipe(told, options), _scaling(told, options))
    except _CannotError as error:
        raise ModelError(
            f"{source}: {error}, which Lookalike does not do; to have it otherwise, give --size, --crop and --fit"
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ModelError(f"{source}: its preprocessor_config.json makes no sense ({error!r})") from error


class _CannotError(Exception):
    """What a recipe cannot say; the text says what it is."""


@dataclass(frozen=True)
class _Sides:
    """What pictures are scaled to, and how much of that is kept, in pixels."""

    scaled: float
    kept: int
    fit: Fit


def _recipe(told: Mapping[str, Any], options: ImportOptions) -> Preprocessing:
    if told and not (options.size and options.crop and options.fit):
        sides = _sides(told, options)
        if sides.kept > sides.scaled:
            raise _CannotError(f"it puts pictures of {sides.scaled:.0f} pixels into the middle of {sides.kept}")
        preprocessing = Preprocessing(sides.kept, sides.kept / sides.scaled, fit=sides.fit)
    else:
        preprocessing = Preprocessing(crop=1.0)
    # What is said of the filter may be none that there is here, which does not matter where another one is wished.
    return options.preprocessing(
        preprocessing if options.resample else replace(preprocessing, resample=_resample(told))
    )


def _sides(told: Mapping[str, Any], options: ImportOptions) -> _Sides:
    for what in _NOT_HERE:
        if told.get(what):
            raise _CannotError(f"its pictures are prepared with {what}")
    if not told.get("do_resize", True):
        raise _CannotError("it takes pictures as large as they are")
    size, kind = told["size"], _kind(told)
    if isinstance(size, int):
        size = {"shortest_edge": size} if kind.startswith(_BY_SHORTER_SIDE) else {"height": size, "width": size}
    if set(size) == {"shortest_edge"}:
        return _by_shorter_side(int(size["shortest_edge"]), told, options)
    if size.get("height") is None or size.get("height") != size.get("width"):
        raise _CannotError(f"it takes pictures of the size {size}")
    side = int(size["height"])
    return _Sides(side, _cropped(told) if told.get("do_center_crop") else side, "squash")


def _by_shorter_side(side: int, told: Mapping[str, Any], options: ImportOptions) -> _Sides:
    if _kind(told).startswith("ConvNext"):
        if side >= _CONVNEXT_WARPED:
            return _Sides(side, side, "squash")
        return _Sides(side / float(told.get("crop_pct") or _CONVNEXT_CROP), side, "crop")
    scaled = side / float(told.get("crop_pct") or 1)
    if told.get("do_center_crop"):
        return _Sides(scaled, _cropped(told), "crop")
    if options.fit is None:
        raise _CannotError("it takes pictures that are not square")
    return _Sides(scaled, side, options.fit)


def _cropped(told: Mapping[str, Any]) -> int:
    """The side of the part in the middle."""
    crop = told["crop_size"]
    if isinstance(crop, int):
        return crop
    if crop["height"] != crop["width"]:
        raise _CannotError(f"it takes pictures of the size {crop}")
    return int(crop["height"])


def _resample(told: Mapping[str, Any]) -> Resample:
    number = told.get("resample")
    if number is None:
        return "bicubic" if _kind(told).startswith(_BICUBIC) else "bilinear"
    if number not in _RESAMPLES:
        raise _CannotError(f"it scales pictures with PIL's filter {number}")
    return _RESAMPLES[number]


def _scaling(told: Mapping[str, Any], options: ImportOptions) -> Normalization:
    """Pixels times a factor, less the mean, over the deviation there; here the last two are of numbers in 0..255."""
    whole = 1 / float(told.get("rescale_factor", 1 / 255)) if told.get("do_rescale", True) else 1.0
    offset = 1.0 if told.get("rescale_offset") else 0.0  # taken off before the mean
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if told.get("do_normalize", "image_mean" in told):
        mean, std = _triple(told["image_mean"]), _triple(told["image_std"])
    if not all(std):
        raise ValueError("image_std is 0")
    if told.get("include_top"):  # of EfficientNet: divided by it twice
        std = _triple([number**2 for number in std])
    return Normalization(
        mean=options.mean or _triple([(number + offset) * whole for number in mean]),
        std=options.std or _triple([number * whole for number in std]),
        channels=options.channels or ("BGR" if told.get("do_flip_channel_order") else "RGB"),
    )


def _kind(told: Mapping[str, Any]) -> str:
    """The name of the image processor."""
    return str(told.get("image_processor_type") or told.get("feature_extractor_type") or "")


def _triple(numbers: Any) -> Triple:
    first, second, third = map(float, [numbers] * 3 if isinstance(numbers, int | float) else numbers)
    return first, second, third
