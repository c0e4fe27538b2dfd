"""Preprocessing and normalization from preprocessor_config.json, as in published repositories."""

from typing import Any

import numpy as np
import pytest

from lookalike.errors import ModelError, UsageError
from lookalike.images.decode import Preprocessing
from lookalike.importers.base import ImportOptions
from lookalike.importers.preprocessor_config import Preparation, preparation

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
CROPPED = {"do_center_crop": True, "crop_size": {"height": 224, "width": 224}}
OLD = {"do_center_crop": True, "crop_size": 224}
BY = {"clip": {"image_processor_type": "CLIPImageProcessor"}, "vit": {"image_processor_type": "ViTImageProcessor"}}


def prepared(config: dict[str, Any], **options: Any) -> Preparation:
    return preparation(config, ImportOptions(**options), "hf:owner/net")


@pytest.mark.parametrize(
    ("config", "preprocessing"),
    [
        # as openai/clip-vit-base-patch32 had it at first, and has it now
        ({"feature_extractor_type": "CLIPFeatureExtractor", **OLD, "size": 224, "resample": 3},
         Preprocessing(224, 1.0, "bicubic")),
        (BY["clip"] | CROPPED | {"size": {"shortest_edge": 224}, "resample": 3}, Preprocessing(224, 1.0, "bicubic")),
        # DINOv2
        ({"image_processor_type": "BitImageProcessor", **CROPPED, "size": {"shortest_edge": 256}, "resample": 3},
         Preprocessing(224, 0.875, "bicubic")),
        # ViT, SigLIP
        (BY["vit"] | {"size": 224, "resample": 2}, Preprocessing(224, 1.0, "bilinear", "squash")),
        ({"image_processor_type": "SiglipImageProcessor", "size": {"height": 384, "width": 384}},
         Preprocessing(384, 1.0, "bicubic", "squash")),
        # DeiT, which squashes to a size given as one number
        ({"feature_extractor_type": "DeiTFeatureExtractor", **OLD, "size": 256},
         Preprocessing(224, 0.875, "bicubic", "squash")),
        # ConvNeXt, small and large
        ({"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 224}, "crop_pct": 0.95},
         Preprocessing(224, 0.95)),
        ({"feature_extractor_type": "ConvNextFeatureExtractor", "size": 224, "crop_pct": None},
         Preprocessing(224, 0.875)),
        ({"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 384}, "crop_pct": None},
         Preprocessing(384, 1.0, "bilinear", "squash")),
        # PoolFormer
        ({"feature_extractor_type": "PoolFormerFeatureExtractor", **OLD, "size": 224, "crop_pct": 0.95},
         Preprocessing(224, 0.95)),
        ({"size": {"height": 8, "width": 8}, "resample": 0}, Preprocessing(8, 1.0, "nearest", "squash")),
        ({"size": {"height": 8, "width": 8}, "resample": 1}, Preprocessing(8, 1.0, "lanczos", "squash")),
    ],
)  # fmt: skip
def test_published_configs_give_the_documented_preprocessing(
    config: dict[str, Any], preprocessing: Preprocessing
) -> None:
    found = prepared(config | IMAGENET).preprocessing
    assert (found.size, found.resample, found.fit) == (preprocessing.size, preprocessing.resample, preprocessing.fit)
    assert found.crop == pytest.approx(preprocessing.crop)


@pytest.mark.parametrize(
    ("config", "factor", "mean", "std"),
    [
        (IMAGENET | {"do_normalize": True}, 1 / 255, IMAGENET["image_mean"], IMAGENET["image_std"]),
        (IMAGENET, 1 / 255, IMAGENET["image_mean"], IMAGENET["image_std"]),
        (HALF | {"rescale_factor": 0.00392156862745098}, 1 / 255, [0.5] * 3, [0.5] * 3),
        ({"image_mean": 0.5, "image_std": 0.25, "rescale_factor": 1 / 127.5}, 1 / 127.5, [0.5] * 3, [0.25] * 3),
        (HALF | {"do_rescale": False}, 1, [0.5] * 3, [0.5] * 3),
        (IMAGENET | {"do_normalize": False}, 1 / 255, [0] * 3, [1] * 3),
        ({}, 1 / 255, [0] * 3, [1] * 3),
        ({"do_rescale": False, "do_normalize": False}, 1, [0] * 3, [1] * 3),
    ],
)
def test_normalization_equals_rescaling_and_normalizing(
    config: dict[str, Any], factor: float, mean: list[float], std: list[float]
) -> None:
    normalization = prepared(BY["vit"] | {"size": 8} | config).normalization
    pixels = np.random.default_rng(0).integers(0, 256, (5, 3)).astype(np.float64)
    np.testing.assert_allclose(
        (pixels - normalization.mean) / normalization.std, (pixels * factor - mean) / std, rtol=1e-9, atol=1e-9
    )
    assert normalization.channels == "RGB"


def test_efficientnet_subtracts_one_and_divides_twice() -> None:
    config = IMAGENET | {"size": 8, "rescale_factor": 1 / 127.5, "rescale_offset": True, "include_top": True}
    normalization = prepared(config).normalization
    mean, std = np.array(IMAGENET["image_mean"]), np.array(IMAGENET["image_std"])
    pixel = np.array([0.0, 100.0, 255.0])
    expected = (pixel / 127.5 - 1 - mean) / std / std
    np.testing.assert_allclose((pixel - normalization.mean) / normalization.std, expected, rtol=1e-9)


def test_flipped_channels_are_bgr() -> None:
    config = {
        "image_processor_type": "MobileViTImageProcessor",
        "size": {"shortest_edge": 288},
        "do_flip_channel_order": True,
    }
    crop = {"do_center_crop": True, "crop_size": {"height": 256, "width": 256}, "do_normalize": False}
    found = prepared(config | crop)
    assert found.normalization.channels == "BGR"
    assert found.normalization.std == (255.0, 255.0, 255.0)
    assert found.preprocessing == Preprocessing(256, 256 / 288)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"size": {"height": 224, "width": 160}}, "takes images of the size .*160"),
        ({"size": {"shortest_edge": 224}}, "not square"),
        ({"size": {"shortest_edge": 800, "longest_edge": 1333}}, "1333"),
        ({"size": 224, "do_resize": False}, "in their own size"),
        ({"size": 224, "do_pad": True}, "do_pad"),
        ({"size": 224, "do_center_crop": True, "crop_size": {"height": 224, "width": 160}}, "160"),
        ({"size": 224, "do_center_crop": True, "crop_size": 256}, "224 pixels to 256"),
        ({"size": 224, "resample": 4}, "PIL's filter 4"),
    ],
)
def test_unsupported_preprocessing_is_refused_with_advice(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=f"hf:owner/net: it.*{message}.*; to prepare them otherwise, give `size`"):
        prepared(config | IMAGENET)
    overridden = prepared(config | IMAGENET, size=192, crop=0.9, fit="crop", resample="bicubic")
    assert overridden.preprocessing == Preprocessing(192, 0.9, "bicubic", "crop")


def test_an_option_makes_images_square_that_are_not() -> None:
    config = {"size": {"shortest_edge": 224}, **IMAGENET}
    assert prepared(config, fit="squash").preprocessing == Preprocessing(224, 1.0, "bilinear", "squash")


@pytest.mark.parametrize(
    "config",
    [
        {"image_mean": [0.5] * 3, "image_std": [0.5] * 3},
        {"size": None},
        {"size": "large"},
        {"size": {"height": "a", "width": "a"}},
        {"size": 224, "image_mean": [0.5, 0.5], "image_std": [0.5, 0.5]},
        {"size": 224, "image_mean": [0.5] * 3, "image_std": [0.5, 0, 0.5]},
        {"size": 224, "image_mean": [0.5] * 3},
        {"size": 224, "rescale_factor": 0},
        {"size": 0},
    ],
)
def test_invalid_configs_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"hf:owner/net: its preprocessor_config.json is not valid: ."):
        prepared(config)


def test_without_a_config_the_options_are_required() -> None:
    with pytest.raises(UsageError, match="give `size`, `mean` and `std`"):
        prepared({})
    found = prepared({}, size=224, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))
    assert found.preprocessing == Preprocessing(224, 1.0)
    assert (found.normalization.mean, found.normalization.std) == ((1, 2, 3), (4, 5, 6))
