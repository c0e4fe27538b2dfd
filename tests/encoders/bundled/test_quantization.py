"""The network as data: batch norms folded in, weights rounded to 8 bits, biases that make up for it."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from lookalike.encoders import bundled
from lookalike.encoders.bundled import checkpoint, efficientnet, quantization
from lookalike.encoders.bundled.efficientnet import Block, Convolution

Numbers = NDArray[np.float32]


@functools.cache
def published_state() -> Mapping[str, NDArray[Any]]:
    return checkpoint.state_dict(*bundled.weights())


def published_blocks() -> list[Block]:
    return list(efficientnet.blocks(published_state()))


# The network as data


def test_the_network_is_the_published_one() -> None:
    """Tan & Le 2019, table 1, without squeeze-and-excitation: 16 blocks between a stem and a head."""
    blocks = published_blocks()
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


def test_it_has_as_many_parameters_as_published() -> None:
    """EfficientNet-Lite0 has 4,652,008: with two for each batch norm's channel, and with the classifier."""
    convolutions = [convolution for block in published_blocks() for convolution in block.convolutions]
    weights = sum(convolution.weight.size for convolution in convolutions)
    channels = sum(convolution.bias.size for convolution in convolutions)
    classifier = 1280 * 1000 + 1000
    assert weights + 2 * channels + classifier == 4_652_008


def test_only_what_leaves_a_linear_bottleneck_is_not_clipped() -> None:
    for block in published_blocks():
        *others, last = block.convolutions
        assert all(convolution.relu6 for convolution in others)
        assert last.relu6 == (block.name in ("stem", "head"))


def random_state(seed: int) -> dict[str, NDArray[Any]]:
    """Random numbers under the published names; variances and deviations are positive."""
    rng = np.random.default_rng(seed)
    state = {name: rng.normal(size=array.shape).astype(np.float32) for name, array in published_state().items()}
    return {name: np.abs(array) if name.endswith("running_var") else array for name, array in state.items()}


def test_a_folded_batch_norm_is_the_convolution_and_then_the_norm() -> None:
    state, rng = random_state(0), np.random.default_rng(1)
    blocks = {block.name: block for block in efficientnet.blocks(state)}
    for block, place, name, norm in (
        ("stem", 0, "_conv_stem", "_bn0"),
        ("block0", 0, "_blocks.0._depthwise_conv", "_blocks.0._bn1"),
        ("block0", 1, "_blocks.0._project_conv", "_blocks.0._bn2"),
        ("block5", 0, "_blocks.5._expand_conv", "_blocks.5._bn0"),
        ("block5", 1, "_blocks.5._depthwise_conv", "_blocks.5._bn1"),
        ("block15", 2, "_blocks.15._project_conv", "_blocks.15._bn2"),
        ("head", 0, "_conv_head", "_bn1"),
    ):
        folded, weight = blocks[block].convolutions[place], state[f"{name}.weight"]
        patch = rng.normal(size=weight.shape[1:])
        gamma, beta, mean, variance = (
            state[f"{norm}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
        )
        for channel in range(len(weight)):
            convolved = float((weight[channel].astype(np.float64) * patch).sum())
            normed = (convolved - mean[channel]) / (variance[channel] + 0.001) ** 0.5 * gamma[channel] + beta[channel]
            fast = float((folded.weight[channel].astype(np.float64) * patch).sum() + folded.bias[channel])
            assert fast == pytest.approx(normed, rel=1e-4, abs=1e-3)


# Weights in 8 bits

weights = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 5), *[st.integers(1, 3)] * 2),
    elements=st.floats(-8, 8, width=32) | st.sampled_from([0, 1, -1, 0.5, 127, 63.75, 1e-20, 1e-42]),
)


@settings(deadline=None)
@given(weights)
def test_codes_times_their_scale_are_the_weights_but_for_half_a_step(weight: Numbers) -> None:
    rounded = quantization.quantized_weight(weight)
    assert rounded.codes.dtype == np.int8
    assert rounded.codes.shape == weight.shape
    assert rounded.scale.shape == (len(weight), 1, 1, 1)
    assert (np.abs(rounded.values - weight) <= rounded.scale * 0.5001).all()


@settings(deadline=None, max_examples=500)
@given(weights)
def test_no_two_codes_of_one_sign_can_saturate_16_bits(weight: Numbers) -> None:
    """A processor that adds pairs of products of unsigned and signed bytes in 16 bits: 255 * 128 < 2 ** 15."""
    codes = quantization.quantized_weight(weight).codes.reshape(len(weight), -1).astype(int)
    for channel in codes:
        for sign in (1, -1):
            assert sum(sorted((channel * sign).clip(0))[-2:]) <= 128


def test_the_published_weights_use_what_there_is_of_8_bits() -> None:
    """In each channel two codes of one sign come to more than 126, or one code to 127."""
    for block in published_blocks():
        for convolution in block.convolutions:
            codes = quantization.quantized_weight(convolution.weight).codes.reshape(len(convolution.weight), -1)
            pairs = [np.sort((codes.astype(int) * sign).clip(0))[:, -2:].sum(axis=1) for sign in (1, -1)]
            largest = np.maximum(*pairs)
            assert ((largest >= 127) & (largest <= 128))[np.abs(convolution.weight).max(axis=(1, 2, 3)) > 1e-30].all()


def test_a_channel_of_zeros_stays_zero() -> None:
    weight = np.zeros((2, 3, 1, 1), np.float32)
    weight[1, 0] = 2
    np.testing.assert_allclose(quantization.quantized_weight(weight).values, weight, rtol=1e-6)


# Biases that make up for it


def normal_layer(
    mean: Numbers, deviation: Numbers, weight: Numbers, *, name: str = "layer", relu6: bool = True
) -> Convolution:
    return Convolution(
        name=name,
        weight=weight,
        bias=np.zeros(len(weight), np.float32),
        stride=1,
        depthwise=False,
        relu6=relu6,
        mean=mean,
        deviation=deviation,
    )


def test_the_mean_behind_a_relu6_is_that_of_many_samples() -> None:
    rng = np.random.default_rng(0)
    mean = np.array([-9, -1, 0, 0, 0.5, 3, 5.9, 7, 20, 3, -1, 2], np.float32)
    deviation = np.array([1, 1, 1, 0, 4, 1, 2, 3, 1, 30, 0, 0], np.float32)
    layer = normal_layer(mean, deviation, np.zeros((len(mean), 1, 1, 1), np.float32))
    samples = (mean + deviation * rng.standard_normal((400_000, len(mean)))).clip(0, 6)
    error = samples.std(axis=0) / 400_000**0.5
    assert (np.abs(quantization._mean_after_relu6(layer) - samples.mean(axis=0)) <= 5 * error + 1e-6).all()


def test_corrected_biases_take_out_the_shift_that_rounding_makes() -> None:
    """The first layer's output is what its batch norm says; the second's mean error nearly vanishes."""
    rng = np.random.default_rng(0)
    mean, deviation = rng.normal(1, 2, 48).astype(np.float32), rng.uniform(0.2, 2, 48).astype(np.float32)
    first = normal_layer(mean, deviation, np.ones((48, 3, 1, 1), np.float32))
    weight = rng.standard_t(2, (20, 48, 1, 1)).astype(np.float32)
    second = normal_layer(mean[:20], deviation[:20], weight, name="second")
    [block], result = quantization.quantized([Block("stem", (first, second))], {})
    enters = (mean + deviation * rng.standard_normal((200_000, 48))).clip(0, 6)
    error = (enters @ (result.weights[second.name].values - second.weight)[:, :, 0, 0].T).mean(axis=0)
    corrected = error + block.convolutions[1].bias
    assert np.abs(error).mean() > 0.1
    assert np.abs(corrected).mean() < 0.02 * np.abs(error).mean()


def test_a_residual_adds_its_input_to_the_mean_of_the_next_block() -> None:
    """By hand: the input's mean is 2 and the block's own 1, so that the next one gets 3."""
    one, none = np.ones(1, np.float32), np.zeros(1, np.float32)
    weight = np.array([[[[1, 0.003]]]], np.float32)  # in steps of 1/127 the second becomes 0
    layers = [
        normal_layer(2 * one, none, np.zeros((1, 3, 1, 1), np.float32), name="into"),
        normal_layer(one, none, np.zeros((1, 1, 1, 1), np.float32), name="through", relu6=False),
        normal_layer(one, one, weight, name="out"),
    ]
    chain = [Block(layer.name, (layer,), residual=layer.name == "through") for layer in layers]
    blocks, _ = quantization.quantized(chain, {})
    assert blocks[-1].convolutions[0].bias[0] == pytest.approx(3 * 0.003, rel=1e-3)


@settings(deadline=None)
@given(st.floats(-100, 0), st.floats(0.01, 100))
def test_a_range_is_moved_so_that_zero_is_one_of_its_levels(low: float, high: float) -> None:
    _, result = quantization.quantized([], {"block": (low, high)})
    moved_low, moved_high = result.ranges["block"]
    step = (high - low) / 255
    assert moved_high - moved_low == pytest.approx(high - low)
    assert abs(moved_low - low) <= 0.5001 * step
    assert -moved_low / step == pytest.approx(round(-moved_low / step), abs=1e-6)
