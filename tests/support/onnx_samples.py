"""Small ONNX networks with random weights from a seed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIZE, CHANNELS = 16, 8


def tensor(name: str, *shape: int, seed: int = 0) -> TensorProto:
    """Random weights, float32, scaled down by the square root of the number of inputs."""
    weights = np.random.default_rng(seed).normal(size=shape) / np.sqrt(np.prod(shape[1:]))
    return numpy_helper.from_array(weights.astype(np.float32), name)


def node(kind: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def model(
    nodes: Sequence[onnx.NodeProto],
    tensors: Sequence[TensorProto],
    outputs: dict[str, Sequence[int | str | None]],
    *,
    shape: Sequence[int | str | None] = ("n", 3, SIZE, SIZE),
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info("pixels", kind, shape)]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    graph = helper.make_graph(list(nodes), "sample", inputs, results, list(tensors))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def classifier(
    classes: int = 10, *, output: str = "logits", shape: Sequence[int | str | None] = ("n", 3, SIZE, SIZE)
) -> onnx.ModelProto:
    """A classifier: a convolution with activation, global average pooling, and a matrix multiplication."""
    nodes = [
        node("Conv", "pixels kernel bias", "conv", strides=[2, 2], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", "conv", "relu"),
        node("GlobalAveragePool", "relu", "average"),
        node("Flatten", "average", "flat"),
        node("MatMul", "flat weights", output),
    ]
    tensors = [
        tensor("kernel", CHANNELS, 3, 3, 3, seed=1),
        tensor("bias", CHANNELS, seed=2),
        tensor("weights", CHANNELS, classes, seed=3),
    ]
    return model(nodes, tensors, {output: ("n", classes)}, shape=shape)


def reference(network: onnx.ModelProto, output: str, pixels: NDArray[Any]) -> NDArray[np.float32]:
    """The output that ONNX's own evaluator computes."""
    from onnx.reference import ReferenceEvaluator

    [found] = ReferenceEvaluator(network).run([output], {"pixels": pixels})
    return np.asarray(found)


def images(size: int = SIZE, count: int = 3) -> NDArray[np.uint8]:
    """Random images, uint8 (count, size, size, 3)."""
    return np.random.default_rng(7).integers(0, 256, (count, size, size, 3), np.uint8)


def planes(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Images in PyTorch's layout, float32 (n, 3, h, w)."""
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32)
