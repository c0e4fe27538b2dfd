"""Quantizes a convolutional network to 8 bits so that every CPU computes the same vectors."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.bundled.efficientnet import Array, Block, Convolution

Range = tuple[float, float]

_STEPS = 255  # between the 256 levels of an 8-bit number


@dataclass(frozen=True)
class QuantizedWeight:
    """A weight as `codes * scale`: int8 codes in its shape, and a float32 scale for each output channel."""

    codes: NDArray[np.int8]
    scale: Array

    @property
    def values(self) -> Array:
        return self.codes * self.scale


@dataclass(frozen=True)
class Quantization:
    """The parameters of integer arithmetic.

    Attributes:
        weights: the quantized weights, by the convolution's name.
        ranges: the range that a block's input is quantized in (256 levels, one of which is 0), by the block's name.
            The output of a ReLU6 is always quantized in 0..6.
    """

    weights: Mapping[str, QuantizedWeight]
    ranges: Mapping[str, Range]


def quantized(blocks: Iterable[Block], ranges: Mapping[str, Range]) -> tuple[list[Block], Quantization]:
    """Quantizes the weights, and corrects the biases for the mean error of the rounding.

    Rounding the weights shifts the mean of each output channel, and these shifts add up through the layers. The mean
    of every input, and so the shift, is known from the batch norms without any image; it is subtracted from the bias
    (Nagel et al. 2019, arXiv:1906.04721, section 4.2).
    """
    weights: dict[str, QuantizedWeight] = {}
    corrected: list[Block] = []
    mean: Array = np.zeros(3, np.float32)  # of normalized pixels
    for block in blocks:
        block_input, convolutions = mean, []
        for convolution in block.convolutions:
            weight = weights[convolution.name] = quantized_weight(convolution.weight)
            bias = convolution.bias - _mean_shift(convolution, weight, mean)
            convolutions.append(replace(convolution, bias=bias.astype(np.float32)))
            mean = _mean_after_relu6(convolution) if convolution.relu6 else convolution.mean
        if block.residual:
            mean = mean + block_input
        corrected.append(replace(block, convolutions=tuple(convolutions)))
    return corrected, Quantization(weights, {name: _around_zero(bounds) for name, bounds in ranges.items()})


def quantized_weight(weight: Array) -> QuantizedWeight:
    """Quantizes a weight to codes that overflow on no CPU, with one scale for each output channel.

    CPUs without VNNI multiply unsigned by signed bytes and add the products in pairs, saturating at 16 bits, which
    would silently ruin the vectors. A pair of codes of the same sign whose sum is at most 128 cannot saturate
    (255 * 128 < 2**15), so the scale keeps the sum of the two largest codes of either sign within 128, whichever two
    a CPU pairs up.
    """
    flat = weight.reshape(len(weight), -1)
    largest = np.sort(np.maximum(np.stack([flat, -flat]), 0), axis=2)[:, :, -2:]
    scale = np.maximum(largest.max(axis=(0, 2)) / 127, largest.sum(axis=2).max(axis=0) / 127.5)
    scale = np.maximum(scale, np.finfo(np.float32).tiny).astype(np.float32).reshape(-1, 1, 1, 1)
    return QuantizedWeight(np.rint(weight / scale).astype(np.int8), scale)


def _around_zero(bounds: Range) -> Range:
    """Moves a range by at most half a step, so that 0 is one of its levels.

    The zero point of integer arithmetic is an integer. OpenVINO would round any other, which shifts all values that
    are quantized in the range.
    """
    low, high = bounds
    step = (high - low) / _STEPS
    zero = round(-low / step)
    return -zero * step, (_STEPS - zero) * step


def _mean_shift(convolution: Convolution, weight: QuantizedWeight, mean: Array) -> Array:
    error = (weight.values - convolution.weight).sum(axis=(2, 3))
    return np.asarray(error[:, 0] * mean if convolution.depthwise else error @ mean, np.float32)


def _mean_after_relu6(convolution: Convolution) -> Array:
    """The mean of each channel's normal distribution clipped to 0..6."""
    mean, std = convolution.mean.astype(np.float64), convolution.std.astype(np.float64)
    return np.asarray(_mean_after_relu(mean, std) - _mean_after_relu(mean - 6, std), np.float32)


def _mean_after_relu(mean: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of max(x, 0) for normal x: m P(m / s) + s p(m / s), with the density p and its integral P."""
    ratio = mean / np.maximum(std, np.finfo(np.float32).tiny)
    integral = [(1 + math.erf(value / math.sqrt(2))) / 2 for value in ratio]
    return np.asarray(mean * integral + std * np.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi))
