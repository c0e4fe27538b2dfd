"""Reads how images are prepared from a `preprocessor_config.json`, as transformers writes it.

The fields are described in the documentation of its image processors:
https://huggingface.co/docs/transformers/main_classes/image_processor
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lookalike.encoders.card import NO_NORMALIZATION, Normalization, Triple, triple
from lookalike.errors import ModelError, UsageError
from lookalike.images.decode import Fit, Preprocessing, Resample
from lookalike.importers.base import ImportOptions
from lookalike.importers.error_summary import one_line

_RESAMPLES: dict[int, Resample] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # PIL.Image.Resampling
# Image processors that take a size of one number for the shorter side; others scale both sides to it.
_BY_SHORTER_SIDE = ("Bit", "CLIP", "ChineseCLIP", "ConvNext", "Levit", "MobileNetV", "MobileViT", "PoolFormer")
# Image processors that resample bicubically by default; others do it bilinearly.
_BICUBIC = ("Beit", "Bit", "Blip", "CLIP", "ChineseCLIP", "DeiT", "Levit", "Siglip")
# ConvNeXt crops this part of the shorter side; images of this size in pixels or more it squashes instead.
_CONVNEXT_CROP, _CONVNEXT_SQUASHED = 224 / 256, 384
_UNSUPPORTED = ("do_pad", "do_split_image", "do_image_splitting", "max_num_patches")


@dataclass(frozen=True)
class Preparation:
    """How images become the input of a network."""

    preprocessing: Preprocessing
    normalization: Normalization


def preparation(config: Mapping[str, Any], options: ImportOptions, source: str) -> Preparation:
    """Returns what a `preprocessor_config.json` says, changed as the user specifies.

    Args:
        config: the content of the file, {} if there is none.
        options: what the user specifies.
        source: the model, for messages.

    Raises:
        UsageError: neither the file nor the user specifies enough.
        ModelError: Lookalike does not support it, or the file is not valid.
    """
    if not config and not (options.size and options.mean and options.std):
        raise UsageError(f"{source}: it does not say how images are prepared; give `size`, `mean` and `std`")
    try:
        return Preparation(_preprocessing(config, options), _normalization(config, options))
    except _UnsupportedError as error:
        raise ModelError(
            f"{source}: {error}, which Lookalike does not support; to prepare them otherwise, give `size`, `crop` and"
            " `fit`"
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ModelError(f"{source}: its preprocessor_config.json is not valid: {one_line(error)}") from error


class _UnsupportedError(Exception):
    """`Preprocessing` cannot express what the file says; the message names it."""


@dataclass(frozen=True)
class _Sides:
    """The side that images are scaled to, and the side of the part that is kept, in pixels."""

    scaled: float
    kept: int
    fit: Fit


def _preprocessing(config: Mapping[str, Any], options: ImportOptions) -> Preprocessing:
    if config and not (options.size and options.crop and options.fit):
        sides = _sides(config, options)
        if sides.kept > sides.scaled:
            raise _UnsupportedError(f"it pads images of {sides.scaled:.0f} pixels to {sides.kept}")
        preprocessing = Preprocessing(sides.kept, sides.kept / sides.scaled, fit=sides.fit)
    else:
        preprocessing = Preprocessing(crop=1.0)
    # An unsupported resampling filter does not matter if the user gives another one.
    return options.preprocessing(
        preprocessing if options.resample else replace(preprocessing, resample=_resample(config))
    )


def _sides(config: Mapping[str, Any], options: ImportOptions) -> _Sides:
    for field in _UNSUPPORTED:
        if config.get(field):
            raise _UnsupportedError(f"its images are prepared with {field}")
    if not config.get("do_resize", True):
        raise _UnsupportedError("it takes images in their own size")
    size, processor = config["size"], _processor(config)
    if isinstance(size, int):
        size = {"shortest_edge": size} if processor.startswith(_BY_SHORTER_SIDE) else {"height": size, "width": size}
    if set(size) == {"shortest_edge"}:
        return _by_shorter_side(int(size["shortest_edge"]), config, options)
    if size.get("height") is None or size.get("height") != size.get("width"):
        raise _UnsupportedError(f"it takes images of the size {size}")
    side = int(size["height"])
    return _Sides(side, _crop_side(config) if config.get("do_center_crop") else side, "squash")


def _by_shorter_side(side: int, config: Mapping[str, Any], options: ImportOptions) -> _Sides:
    if _processor(config).startswith("ConvNext"):
        if side >= _CONVNEXT_SQUASHED:
            return _Sides(side, side, "squash")
        return _Sides(side / float(config.get("crop_pct") or _CONVNEXT_CROP), side, "crop")
    scaled = side / float(config.get("crop_pct") or 1)
    if config.get("do_center_crop"):
        return _Sides(scaled, _crop_side(config), "crop")
    if options.fit is None:
        raise _UnsupportedError("it takes images that are not square")
    return _Sides(scaled, side, options.fit)


def _crop_side(config: Mapping[str, Any]) -> int:
    """The side of the centre crop, in pixels."""
    crop = config["crop_size"]
    if isinstance(crop, int):
        return crop
    if crop["height"] != crop["width"]:
        raise _UnsupportedError(f"it takes images of the size {crop}")
    return int(crop["height"])


def _resample(config: Mapping[str, Any]) -> Resample:
    number = config.get("resample")
    if number is None:
        return "bicubic" if _processor(config).startswith(_BICUBIC) else "bilinear"
    if number not in _RESAMPLES:
        raise _UnsupportedError(f"it scales images with PIL's filter {number}")
    return _RESAMPLES[number]


def _normalization(config: Mapping[str, Any], options: ImportOptions) -> Normalization:
    """Converts (pixel * factor - mean) / std, as in the file, to the mean and std of pixels in 0..255."""
    scale = 1 / float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0
    offset = 1.0 if config.get("rescale_offset") else 0.0  # subtracted before the mean
    mean, std = NO_NORMALIZATION.mean, NO_NORMALIZATION.std
    if config.get("do_normalize", "image_mean" in config):
        mean, std = _per_channel(config["image_mean"]), _per_channel(config["image_std"])
    if not all(std):
        raise ValueError("image_std is 0")
    if config.get("include_top"):  # EfficientNet divides by it twice
        std = triple(number**2 for number in std)
    return Normalization(
        mean=options.mean or triple((number + offset) * scale for number in mean),
        std=options.std or triple(number * scale for number in std),
        channels=options.channels or ("BGR" if config.get("do_flip_channel_order") else "RGB"),
    )


def _processor(config: Mapping[str, Any]) -> str:
    """The name of the image processor."""
    return str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")


def _per_channel(value: Any) -> Triple:
    """Three numbers, of three or of one for all channels."""
    return triple([value] * 3 if isinstance(value, int | float) else value)
