"""EfficientNet-Lite0 as data: its published structure, and batch norms folded into convolutions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.encoders import bundled
from lookalike.encoders.bundled import checkpoint, efficientnet
from lookalike.encoders.bundled.efficientnet import Block


@pytest.fixture(scope="module")
def published() -> Mapping[str, NDArray[Any]]:
    """The published weights."""
    return checkpoint.state_dict(*bundled.weights())


@pytest.fixture(scope="module")
def blocks(published: Mapping[str, NDArray[Any]]) -> list[Block]:
    return list(efficientnet.blocks(published))


def test_the_structure_is_the_published_one(blocks: list[Block]) -> None:
    """Tan & Le 2019, table 1, without squeeze-and-excitation: 16 blocks between a stem and a head."""
    assert [block.name for block in blocks] == ["stem", *(f"block{index}" for index in range(16)), "head"]
    assert [block.name for block in blocks if block.residual] == [
        f"block{index}" for index in (2, 4, 6, 7, 9, 10, 12, 13, 14)
    ]
    strides = {block.name: stride for block in blocks if (stride := max(c.stride for c in block.convolutions)) > 1}
    assert strides == dict.fromkeys(["stem", "block1", "block3", "block5", "block11"], 2)
    assert [block.convolutions[-1].weight.shape[0] for block in blocks] == (
        [32, 16, 24, 24, 40, 40, *[80] * 3, *[112] * 3, *[192] * 4, 320, 1280]
    )
    kernels = [max(convolution.weight.shape[-1] for convolution in block.convolutions) for block in blocks]
    assert kernels == [3, 3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 3, 1]


def test_the_number_of_parameters_is_the_published_one(blocks: list[Block]) -> None:
    """EfficientNet-Lite0 has 4,652,008, including two a channel for each batch norm, and the classifier."""
    convolutions = [convolution for block in blocks for convolution in block.convolutions]
    weights = sum(convolution.weight.size for convolution in convolutions)
    channels = sum(convolution.bias.size for convolution in convolutions)
    classifier = 1280 * 1000 + 1000
    assert weights + 2 * channels + classifier == 4_652_008


def test_only_the_output_of_a_linear_bottleneck_is_not_clipped(blocks: list[Block]) -> None:
    for block in blocks:
        *others, last = block.convolutions
        assert all(convolution.relu6 for convolution in others)
        assert last.relu6 == (block.name in ("stem", "head"))


def random_state(published: Mapping[str, NDArray[Any]], seed: int) -> dict[str, NDArray[Any]]:
    """Random weights with the published names and shapes; variances are positive."""
    rng = np.random.default_rng(seed)
    state = {name: rng.normal(size=array.shape).astype(np.float32) for name, array in published.items()}
    return {name: np.abs(array) if name.endswith("running_var") else array for name, array in state.items()}


def test_a_folded_batch_norm_equals_convolution_and_norm(published: Mapping[str, NDArray[Any]]) -> None:
    state, rng = random_state(published, 0), np.random.default_rng(1)
    blocks = {block.name: block for block in efficientnet.blocks(state)}
    for block, index, name, norm in (
        ("stem", 0, "_conv_stem", "_bn0"),
        ("block0", 0, "_blocks.0._depthwise_conv", "_blocks.0._bn1"),
        ("block0", 1, "_blocks.0._project_conv", "_blocks.0._bn2"),
        ("block5", 0, "_blocks.5._expand_conv", "_blocks.5._bn0"),
        ("block5", 1, "_blocks.5._depthwise_conv", "_blocks.5._bn1"),
        ("block15", 2, "_blocks.15._project_conv", "_blocks.15._bn2"),
        ("head", 0, "_conv_head", "_bn1"),
    ):
        folded, weight = blocks[block].convolutions[index], state[f"{name}.weight"]
        patch = rng.normal(size=weight.shape[1:])
        gamma, beta, mean, variance = (
            state[f"{norm}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
        )
        for channel in range(len(weight)):
            convolved = float((weight[channel].astype(np.float64) * patch).sum())
            normed = (convolved - mean[channel]) / (variance[channel] + 0.001) ** 0.5 * gamma[channel] + beta[channel]
            fast = float((folded.weight[channel].astype(np.float64) * patch).sum() + folded.bias[channel])
            assert fast == pytest.approx(normed, rel=1e-4, abs=1e-3)
