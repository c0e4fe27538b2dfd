"""The quantization to 8 bits: weights, the correction of biases, and ranges."""

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

# Weights

weights = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 5), *[st.integers(1, 3)] * 2),
    elements=st.floats(-8, 8, width=32) | st.sampled_from([0, 1, -1, 0.5, 127, 63.75, 1e-20, 1e-42]),
)


@settings(deadline=None)
@given(weights)
def test_codes_times_scale_differ_from_the_weights_by_half_a_step(weight: Numbers) -> None:
    rounded = quantization.quantized_weight(weight)
    assert rounded.codes.dtype == np.int8
    assert rounded.codes.shape == weight.shape
    assert rounded.scale.shape == (len(weight), 1, 1, 1)
    assert (np.abs(rounded.values - weight) <= rounded.scale * 0.5001).all()


@settings(deadline=None, max_examples=500)
@given(weights)
def test_no_two_codes_of_one_sign_can_saturate_16_bits(weight: Numbers) -> None:
    """Older CPUs add pairs of products of unsigned and signed bytes in 16 bits: 255 * 128 < 2 ** 15."""
    codes = quantization.quantized_weight(weight).codes.reshape(len(weight), -1).astype(int)
    for channel in codes:
        for sign in (1, -1):
            assert sum(sorted((channel * sign).clip(0))[-2:]) <= 128


def test_the_published_weights_use_all_of_8_bits() -> None:
    """In each channel, two codes of one sign add up to 127 or 128, or one code is 127."""
    for block in efficientnet.blocks(checkpoint.state_dict(*bundled.weights())):
        for convolution in block.convolutions:
            codes = quantization.quantized_weight(convolution.weight).codes.reshape(len(convolution.weight), -1)
            pairs = [np.sort((codes.astype(int) * sign).clip(0))[:, -2:].sum(axis=1) for sign in (1, -1)]
            largest = np.maximum(*pairs)
            assert ((largest >= 127) & (largest <= 128))[np.abs(convolution.weight).max(axis=(1, 2, 3)) > 1e-30].all()


def test_a_channel_of_zeros_stays_zero() -> None:
    weight = np.zeros((2, 3, 1, 1), np.float32)
    weight[1, 0] = 2
    np.testing.assert_allclose(quantization.quantized_weight(weight).values, weight, rtol=1e-6)


# Biases


def normal_layer(
    mean: Numbers, std: Numbers, weight: Numbers, *, name: str = "layer", relu6: bool = True
) -> Convolution:
    """A convolution whose outputs are normally distributed."""
    return Convolution(
        name=name,
        weight=weight,
        bias=np.zeros(len(weight), np.float32),
        stride=1,
        depthwise=False,
        relu6=relu6,
        mean=mean,
        std=std,
    )


def test_the_mean_after_a_relu6_is_that_of_many_samples() -> None:
    rng = np.random.default_rng(0)
    mean = np.array([-9, -1, 0, 0, 0.5, 3, 5.9, 7, 20, 3, -1, 2], np.float32)
    std = np.array([1, 1, 1, 0, 4, 1, 2, 3, 1, 30, 0, 0], np.float32)
    layer = normal_layer(mean, std, np.zeros((len(mean), 1, 1, 1), np.float32))
    samples = (mean + std * rng.standard_normal((400_000, len(mean)))).clip(0, 6)
    error = samples.std(axis=0) / 400_000**0.5
    assert (np.abs(quantization._mean_after_relu6(layer) - samples.mean(axis=0)) <= 5 * error + 1e-6).all()


def test_corrected_biases_remove_the_shift_of_rounding() -> None:
    """With a first layer distributed as its batch norm says, the mean error of the second nearly vanishes."""
    rng = np.random.default_rng(0)
    mean, std = rng.normal(1, 2, 48).astype(np.float32), rng.uniform(0.2, 2, 48).astype(np.float32)
    first = normal_layer(mean, std, np.ones((48, 3, 1, 1), np.float32))
    weight = rng.standard_t(2, (20, 48, 1, 1)).astype(np.float32)
    second = normal_layer(mean[:20], std[:20], weight, name="second")
    [block], result = quantization.quantized([Block("stem", (first, second))], {})
    inputs = (mean + std * rng.standard_normal((200_000, 48))).clip(0, 6)
    error = (inputs @ (result.weights[second.name].values - second.weight)[:, :, 0, 0].T).mean(axis=0)
    corrected = error + block.convolutions[1].bias
    assert np.abs(error).mean() > 0.1
    assert np.abs(corrected).mean() < 0.02 * np.abs(error).mean()


def test_a_residual_adds_its_input_to_the_mean_of_the_next_block() -> None:
    """Worked out by hand: the input's mean is 2 and the block's own is 1, so that of the next block's input is 3."""
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
def test_a_range_is_shifted_so_that_zero_is_a_level(low: float, high: float) -> None:
    _, result = quantization.quantized([], {"block": (low, high)})
    moved_low, moved_high = result.ranges["block"]
    step = (high - low) / 255
    assert moved_high - moved_low == pytest.approx(high - low)
    assert abs(moved_low - low) <= 0.5001 * step
    assert -moved_low / step == pytest.approx(round(-moved_low / step), abs=1e-6)
