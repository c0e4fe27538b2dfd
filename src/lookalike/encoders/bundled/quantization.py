"""Eight-bit arithmetic for a convolutional network, chosen so that every processor gives the same vectors."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.bundled.efficientnet import Array, Block, Convolution

Range = tuple[float, float]

_STEPS = 255  # between the 256 numbers that 8 bits tell apart


@dataclass(frozen=True)
class QuantizedWeight:
    """`codes * scale` is the weight: int8 codes in its shape, a float32 scale for each output channel."""

    codes: NDArray[np.int8]
    scale: Array

    @property
    def values(self) -> Array:
        return self.codes * self.scale


@dataclass(frozen=True)
class Quantization:
    """What a runtime needs to compute with integers.

    Attributes:
        weights: by the convolution's name.
        ranges: by the block's name, the range that its input is coded in (256 levels, one of which is 0).
            What leaves a ReLU6 is always in 0..6.
    """

    weights: Mapping[str, QuantizedWeight]
    ranges: Mapping[str, Range]


def quantized(blocks: Iterable[Block], ranges: Mapping[str, Range]) -> tuple[list[Block], Quantization]:
    """The network with integer weights, and with biases that make up for their rounding on average.

    Rounding the weights moves each output channel's mean, and these shifts add up through the layers. The
    mean of every input is known from the batch norms, without any picture, and so is the shift, which is
    taken out of the bias (Nagel et al. 2019, arXiv:1906.04721, section 4.2).
    """
    weights: dict[str, QuantizedWeight] = {}
    corrected: list[Block] = []
    mean: Array = np.zeros(3, np.float32)  # of scaled pixels
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
    """Codes that no processor can overflow, one scale for each output channel.

    Processors without VNNI multiply unsigned by signed bytes and add such products in pairs, saturating at
    16 bits, which silently changes vectors beyond recognition. Two codes of the same sign that add up to at
    most 128 cannot get there (255 * 128 < 2**15), so the scale keeps the two largest of either sign within
    that, whichever two a processor pairs up.
    """
    flat = weight.reshape(len(weight), -1)
    largest = np.sort(np.maximum(np.stack([flat, -flat]), 0), axis=2)[:, :, -2:]
    scale = np.maximum(largest.max(axis=(0, 2)) / 127, largest.sum(axis=2).max(axis=0) / 127.5)
    scale = np.maximum(scale, np.finfo(np.float32).tiny).astype(np.float32).reshape(-1, 1, 1, 1)
    return QuantizedWeight(np.rint(weight / scale).astype(np.int8), scale)


def _around_zero(bounds: Range) -> Range:
    """The range, moved by half a step at most, so that 0 is one of its levels.

    Integer arithmetic takes the code of 0 for a whole number. Where it is not, OpenVINO rounds it, and
    everything that is coded in the range moves.
    """
    low, high = bounds
    step = (high - low) / _STEPS
    zero = round(-low / step)
    return -zero * step, (_STEPS - zero) * step


def _mean_shift(convolution: Convolution, weight: QuantizedWeight, mean: Array) -> Array:
    error = (weight.values - convolution.weight).sum(axis=(2, 3))
    return np.asarray(error[:, 0] * mean if convolution.depthwise else error @ mean, np.float32)


def _mean_after_relu6(convolution: Convolution) -> Array:
    """The mean of a normal distribution clipped to 0..6, for each channel."""
    mean, deviation = convolution.mean.astype(np.float64), convolution.deviation.astype(np.float64)
    return np.asarray(_mean_above_zero(mean, deviation) - _mean_above_zero(mean - 6, deviation), np.float32)


def _mean_above_zero(mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of max(x, 0) for normal x: m P(m / s) + s p(m / s), where P is the integral of the density p."""
    ratio = mean / np.maximum(deviation, np.finfo(np.float32).tiny)
    integral = [(1 + math.erf(value / math.sqrt(2))) / 2 for value in ratio]
    return np.asarray(mean * integral + deviation * np.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi))
