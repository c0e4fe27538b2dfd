"""Builds a network of convolution blocks with OpenVINO's own operators, in full or integer precision."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.bundled import efficientnet
from lookalike.encoders.bundled.efficientnet import Block, Convolution
from lookalike.encoders.bundled.quantization import Quantization, Range
from lookalike.encoders.openvino.loading import op, ov

_RELU6: Range = (0.0, 6.0)
_LEVELS = 256  # of a number coded in 8 bits


def graph(blocks: Iterable[Block], quantization: Quantization | None = None, *, taps: bool = False) -> ov.Model:
    """From pixels, uint8 (1, 224, 224, 3), to an embedding, float32 (1, 1280).

    With `quantization` the convolutions compute with 8-bit integers; their inputs' ranges are then marked by
    FakeQuantize operators, which OpenVINO turns into integer arithmetic. With `taps`, each block's output
    comes out too, behind the embedding, in the blocks' order.
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
    if quantized:  # the pixels are the codes already
        return _fake_quantize(x, (0.0, 255.0), ((0 - mean) / scale, (255 - mean) / scale))
    return op.divide(op.subtract(x, np.float32(mean)), np.float32(scale))


def _block(x: ov.Node, block: Block, quantization: Quantization | None) -> ov.Node:
    # The residual is added unquantized: it costs nothing and keeps its small changes.
    block_input = x
    if quantization and block.name in quantization.ranges:
        x = _fake_quantize(x, quantization.ranges[block.name])
    for convolution in block.convolutions:
        x = _convolution(x, convolution, quantization)
        if quantization and convolution.relu6 and block.name != "head":  # what is averaged stays whole
            x = _fake_quantize(x, _RELU6)
    return op.add(x, block_input) if block.residual else x


def _convolution(x: ov.Node, convolution: Convolution, quantization: Quantization | None) -> ov.Node:
    apply = op.group_convolution if convolution.depthwise else op.convolution
    strides, none, dilations = [convolution.stride] * 2, [0, 0], [1, 1]
    x = apply(x, _weight(convolution, quantization), strides, none, none, dilations, auto_pad="same_upper")
    x = op.add(x, op.constant(convolution.bias.reshape(1, -1, 1, 1)))
    return op.clamp(x, *_RELU6) if convolution.relu6 else x


def _weight(convolution: Convolution, quantization: Quantization | None) -> ov.Node:
    if quantization is None:
        return op.constant(_grouped(convolution.weight, convolution))
    weight = quantization.weights[convolution.name]
    codes = op.convert(op.constant(_grouped(weight.codes, convolution)), "f32")
    return op.multiply(codes, op.constant(_grouped(weight.scale, convolution)))


def _grouped(weight: NDArray[Any], convolution: Convolution) -> NDArray[Any]:
    """A depthwise convolution is one of as many groups as channels, which is a dimension more."""
    return weight[:, :, None] if convolution.depthwise else weight


def _fake_quantize(x: ov.Node, coded: Range, decoded: Range | None = None) -> ov.Node:
    bounds = [np.float32(bound) for bound in (*coded, *(decoded or coded))]
    return op.fake_quantize(x, *bounds, _LEVELS)
