"""Eight-bit arithmetic for a convolutional network, chosen so that every processor gives the same vectors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.efficientnet import Array, Block, Convolution

Range = tuple[float, float]


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
        ranges: by the block's name, the range that its input is coded in (256 levels). What leaves a
            ReLU6 is always in 0..6.
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
    return corrected, Quantization(weights, ranges)


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


def _mean_shift(convolution: Convolution, weight: QuantizedWeight, mean: Array) -> Array:
    error = (weight.values - convolution.weight).sum(axis=(2, 3))
    return np.asarray(error[:, 0] * mean if convolution.depthwise else error @ mean, np.float32)


def _mean_after_relu6(convolution: Convolution) -> Array:
    """The mean of a normal distribution clipped to 0..6, for each channel."""
    # Gauss-Hermite quadrature: 64 points are exact to 1e-3 even at the kinks, and need no SciPy.
    points, weights = np.polynomial.hermite_e.hermegauss(64)
    values = np.clip(convolution.mean + convolution.deviation * points[:, None], 0, 6)
    return np.asarray(weights @ values / weights.sum(), np.float32)
