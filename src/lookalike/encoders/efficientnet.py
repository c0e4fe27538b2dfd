"""EfficientNet-Lite0 as data: its convolutions with their batch norms folded in, for a runtime to build."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# Tan & Le 2019 (EfficientNet-B0) without squeeze-and-excitation and with ReLU6, as published for
# edge devices: repeats, kernel, stride of the first repeat, expansion, output channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_BATCH_NORM_EPSILON = 1e-3

DIM = 1280
SIZE = 224
# Pixels enter the network as (x - 127) / 128.
PIXEL_MEAN = 127.0
PIXEL_SCALE = 128.0


@dataclass(frozen=True)
class Convolution:
    """One convolution, TensorFlow "SAME" padding (the odd pixel goes below and to the right).

    `weight` has the shape (out, in, kernel, kernel), or (channels, 1, kernel, kernel) where it
    works on each channel alone (`depthwise`); `bias` has the shape (out,).
    """

    name: str
    weight: Array
    bias: Array
    stride: int
    depthwise: bool
    relu6: bool


@dataclass(frozen=True)
class Block:
    """Convolutions in a row; where `residual`, the block's input is added to what comes out."""

    name: str
    convolutions: tuple[Convolution, ...]
    residual: bool


def blocks(state: Mapping[str, NDArray[Any]]) -> Iterator[Block]:
    """The network from pixels to the last feature map, from a PyTorch state dict's arrays.

    The feature map's mean over height and width is the embedding, of 1,280 dimensions.
    """
    yield Block("stem", (_convolution(state, "_conv_stem", "_bn0", stride=2),), residual=False)
    channels, index = 32, 0
    for repeats, _kernel, first_stride, expansion, out in _STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            yield _inverted_bottleneck(
                state, index, expands=expansion > 1, stride=stride, residual=stride == 1 and channels == out
            )
            channels, index = out, index + 1
    yield Block("head", (_convolution(state, "_conv_head", "_bn1"),), residual=False)


def _inverted_bottleneck(
    state: Mapping[str, NDArray[Any]], index: int, *, expands: bool, stride: int, residual: bool
) -> Block:
    prefix = f"_blocks.{index}."
    expand = (_convolution(state, prefix + "_expand_conv", prefix + "_bn0"),) if expands else ()
    depthwise = _convolution(state, prefix + "_depthwise_conv", prefix + "_bn1", stride=stride, depthwise=True)
    project = _convolution(state, prefix + "_project_conv", prefix + "_bn2", relu6=False)
    return Block(f"block{index}", (*expand, depthwise, project), residual)


def _convolution(
    state: Mapping[str, NDArray[Any]],
    name: str,
    norm: str,
    *,
    stride: int = 1,
    depthwise: bool = False,
    relu6: bool = True,
) -> Convolution:
    scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + _BATCH_NORM_EPSILON)
    weight = np.ascontiguousarray(state[f"{name}.weight"] * scale[:, None, None, None], np.float32)
    bias = (state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale).astype(np.float32)
    return Convolution(name.lstrip("_").replace("._", "."), weight, bias, stride, depthwise, relu6)
