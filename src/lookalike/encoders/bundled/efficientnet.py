"""EfficientNet-Lite0 as data: its convolutions, with the batch norms folded in, for a runtime to build."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
StateDict = Mapping[str, NDArray[Any]]

# EfficientNet-B0 (Tan & Le 2019, arXiv:1905.11946, table 1) without squeeze-and-excitation and with ReLU6,
# as its authors published it for edge devices: repeats, stride of the first repeat, expansion, output
# channels. Kernel sizes follow from the weights.
_STAGES = (
    (1, 1, 1, 16),
    (2, 2, 6, 24),
    (2, 2, 6, 40),
    (3, 2, 6, 80),
    (3, 1, 6, 112),
    (4, 2, 6, 192),
    (1, 1, 6, 320),
)
_STEM_CHANNELS = 32
_BATCH_NORM_EPSILON = 1e-3

SIZE = 224
# Pixels enter the network as (x - 127) / 128.
PIXEL_MEAN = 127.0
PIXEL_SCALE = 128.0


@dataclass(frozen=True)
class Convolution:
    """A convolution with TensorFlow's "SAME" padding, whose odd pixel is added below and to the right.

    Attributes:
        name: its name in the checkpoint.
        weight: float32 (out, in, kernel, kernel), or (channels, 1, kernel, kernel) if `depthwise`.
        bias: float32 (out,).
        stride: vertical and horizontal.
        depthwise: whether each channel is convolved with its own kernel.
        relu6: whether the output is clipped to 0..6.
        mean: (out,), of the output before clipping, over the training images.
        std: (out,), the standard deviation of the same.
    """

    name: str
    weight: Array
    bias: Array
    stride: int
    depthwise: bool
    relu6: bool
    mean: Array
    std: Array


@dataclass(frozen=True)
class Block:
    """A sequence of convolutions; if `residual`, the block's input is added to their output."""

    name: str
    convolutions: tuple[Convolution, ...]
    residual: bool = False


def blocks(state: StateDict) -> Iterator[Block]:
    """Yields the blocks that lead from normalized pixels to the last feature map, given PyTorch's state dict.

    The mean of that feature map over height and width is the embedding, of 1,280 dimensions.
    """
    yield Block("stem", (_convolution(state, "_conv_stem", "_bn0", stride=2),))
    channels, index = _STEM_CHANNELS, 0
    for repeats, first_stride, expansion, out in _STAGES:
        for stride in (first_stride,) + (1,) * (repeats - 1):
            convolutions = tuple(_inverted_bottleneck(state, index, stride, expands=expansion > 1))
            yield Block(f"block{index}", convolutions, residual=stride == 1 and channels == out)
            channels, index = out, index + 1
    yield Block("head", (_convolution(state, "_conv_head", "_bn1"),))


def _inverted_bottleneck(state: StateDict, index: int, stride: int, *, expands: bool) -> Iterator[Convolution]:
    prefix = f"_blocks.{index}."
    if expands:
        yield _convolution(state, f"{prefix}_expand_conv", f"{prefix}_bn0")
    yield _convolution(state, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=stride, depthwise=True)
    yield _convolution(state, f"{prefix}_project_conv", f"{prefix}_bn2", relu6=False)


def _convolution(
    state: StateDict, name: str, norm: str, *, stride: int = 1, depthwise: bool = False, relu6: bool = True
) -> Convolution:
    gamma, beta = state[f"{norm}.weight"], state[f"{norm}.bias"]
    scale = gamma / np.sqrt(state[f"{norm}.running_var"] + _BATCH_NORM_EPSILON)
    return Convolution(
        name=name,
        weight=np.ascontiguousarray(state[f"{name}.weight"] * scale[:, None, None, None], np.float32),
        bias=np.asarray(beta - state[f"{norm}.running_mean"] * scale, np.float32),
        stride=stride,
        depthwise=depthwise,
        relu6=relu6,
        mean=beta,
        std=np.abs(gamma),
    )
