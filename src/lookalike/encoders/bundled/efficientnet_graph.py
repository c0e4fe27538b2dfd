"""Builds the graph of EfficientNet-Lite0 with OpenVINO's operators, in float or 8-bit integer arithmetic."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.bundled import efficientnet
from lookalike.encoders.bundled.efficientnet import Block, Convolution
from lookalike.encoders.bundled.quantization import Quantization, Range
from lookalike.encoders.openvino.loading import op, ov

_RELU6: Range = (0.0, 6.0)
_LEVELS = 256  # of an 8-bit number


def graph(blocks: Iterable[Block], quantization: Quantization | None = None, *, taps: bool = False) -> ov.Model:
    """Builds the graph from pixels, uint8 (1, 224, 224, 3), to an embedding, float32 (1, 1280).

    Args:
        blocks: the network's.
        quantization: makes the convolutions compute with 8-bit integers: FakeQuantize operators mark the ranges of
            their inputs, which OpenVINO turns into integer arithmetic.
        taps: whether the output of each block is an output of the graph too, after the embedding, in order.
    """
    pixels = op.parameter([1, efficientnet.SIZE, efficientnet.SIZE, 3], np.uint8, name="pixels")
    x = _scaled(op.transpose(op.convert(pixels, "f32"), [0, 3, 1, 2]), quantized=quantization is not None)
    outputs = []
    for block in blocks:
        x = _block(x, block, quantization)
        outputs.append(x)
    embedding = op.reduce_mean(x, np.array([2, 3]), False)
    return ov.Model([embedding, *(outputs if taps else ())], [pixels], "encoder")


def _scaled(x: ov.Node, *, quantized: bool) -> ov.Node:
    mean, scale = efficientnet.PIXEL_MEAN, efficientnet.PIXEL_SCALE
    if quantized:  # the pixels are 8-bit codes already
        return _fake_quantize(x, (0.0, 255.0), ((0 - mean) / scale, (255 - mean) / scale))
    return op.divide(op.subtract(x, np.float32(mean)), np.float32(scale))


def _block(x: ov.Node, block: Block, quantization: Quantization | None) -> ov.Node:
    # The residual is added unquantized, which costs nothing and loses no precision.
    block_input = x
    if quantization and block.name in quantization.ranges:
        x = _fake_quantize(x, quantization.ranges[block.name])
    for convolution in block.convolutions:
        x = _convolution(x, convolution, quantization)
        if quantization and convolution.relu6 and block.name != "head":  # the average pooling is not quantized
            x = _fake_quantize(x, _RELU6)
    return op.add(x, block_input) if block.residual else x


def _convolution(x: ov.Node, convolution: Convolution, quantization: Quantization | None) -> ov.Node:
    apply = op.group_convolution if convolution.depthwise else op.convolution
    strides, no_pads, dilations = [convolution.stride] * 2, [0, 0], [1, 1]
    x = apply(x, _weight(convolution, quantization), strides, no_pads, no_pads, dilations, auto_pad="same_upper")
    x = op.add(x, op.constant(convolution.bias.reshape(1, -1, 1, 1)))
    return op.clamp(x, *_RELU6) if convolution.relu6 else x


def _weight(convolution: Convolution, quantization: Quantization | None) -> ov.Node:
    if quantization is None:
        return op.constant(_grouped(convolution.weight, convolution))
    weight = quantization.weights[convolution.name]
    codes = op.convert(op.constant(_grouped(weight.codes, convolution)), "f32")
    return op.multiply(codes, op.constant(_grouped(weight.scale, convolution)))


def _grouped(weight: NDArray[Any], convolution: Convolution) -> NDArray[Any]:
    """Adds the dimension that a depthwise convolution has as OpenVINO's group convolution, with a group a channel."""
    return weight[:, :, None] if convolution.depthwise else weight


def _fake_quantize(x: ov.Node, coded: Range, decoded: Range | None = None) -> ov.Node:
    bounds = [np.float32(bound) for bound in (*coded, *(decoded or coded))]
    return op.fake_quantize(x, *bounds, _LEVELS)
