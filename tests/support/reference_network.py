"""The bundled network in plain NumPy, the reference for the graph that OpenVINO runs."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.bundled.efficientnet import Block, Convolution
from lookalike.encoders.bundled.quantization import Quantization, Range

Numbers = NDArray[np.float64]


def block_outputs(
    blocks: Iterable[Block], pixels: NDArray[np.uint8], quantization: Quantization | None = None
) -> Iterator[Numbers]:
    """Yields the output of each block, (channels, height, width), for one image, uint8 (224, 224, 3)."""
    x = (pixels.astype(np.float64).transpose(2, 0, 1) - 127) / 128
    for block in blocks:
        block_input = x
        if quantization and block.name in quantization.ranges:
            x = rounded(x, quantization.ranges[block.name])
        for layer in block.convolutions:
            weight = quantization.weights[layer.name].values if quantization else layer.weight
            x = convolved(x, weight.astype(np.float64), layer) + layer.bias[:, None, None]
            if layer.relu6:
                x = x.clip(0, 6)
                if quantization and block.name != "head":
                    x = rounded(x, (0, 6))
        if block.residual:
            x = x + block_input
        yield x


def convolved(x: Numbers, weight: Numbers, layer: Convolution) -> Numbers:
    """Convolves with TensorFlow's "SAME" padding: zeros around, an odd one below and to the right."""
    kernel, stride, size = weight.shape[-1], layer.stride, x.shape[-1]
    results = -(-size // stride)
    padding = max((results - 1) * stride + kernel - size, 0)
    before, after = padding // 2, padding - padding // 2
    padded = np.pad(x, ((0, 0), (before, after), (before, after)))
    end = (results - 1) * stride + 1
    total = np.zeros((len(weight), results, results))
    for row in range(kernel):
        for column in range(kernel):
            shifted = padded[:, row : row + end : stride, column : column + end : stride]
            if layer.depthwise:
                total += weight[:, 0, row, column, None, None] * shifted
            else:
                total += np.tensordot(weight[:, :, row, column], shifted, 1)
    return total


def rounded(x: Numbers, bounds: Range) -> Numbers:
    """Rounds to the nearest of 256 evenly spaced levels from the lower to the upper bound."""
    low, high = bounds
    step = (high - low) / 255
    return low + np.rint((x.clip(low, high) - low) / step) * step
