"""The layers whose output can become a vector, their names, and the default one."""

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset13 as op

from lookalike.encoders.openvino.loading import core
from tests.support.optional_packages import needs

needs("onnx")

import onnx
from onnx import helper

from lookalike.errors import Hint, ModelError, UsageError
from lookalike.importers.output_layer import Layer, cut, layers
from tests.support.onnx_samples import CHANNELS, classifier, images, model, node, planes, reference, tensor

PIXELS = planes(images())


def read(network: onnx.ModelProto) -> ov.Model:
    return core().read_model(network.SerializeToString())


def run(graph: ov.Model) -> NDArray[np.float32]:
    compiled = core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found: NDArray[np.float32] = compiled(PIXELS)[0]
    return found


def default(network: onnx.ModelProto) -> str:
    [name] = [layer.name for layer in layers(read(network)) if layer.default]
    assert cut(read(network), None)[1] == name
    return name


def classifier_and(*more: onnx.NodeProto, classes: int = 10, output: str = "logits") -> onnx.ModelProto:
    """The classifier, with more nodes after its logits, the last of which computes `output`."""
    network = classifier(classes)
    network.graph.node.extend(more)
    network.graph.output[0].name = output
    return network


def vgg() -> onnx.ModelProto:
    """A classifier with two fully connected layers and an activation between them."""
    nodes = [
        node("Conv", "pixels kernel", "conv", kernel_shape=[3, 3]),
        node("Relu", "conv", "relu"),
        node("GlobalAveragePool", "relu", "average"),
        node("Flatten", "average", "flat"),
        node("Gemm", "flat hidden", "before"),
        node("Relu", "before", "after"),
        node("Gemm", "after weights", "classes"),
    ]
    tensors = [tensor("kernel", CHANNELS, 3, 3, 3), tensor("hidden", CHANNELS, 6), tensor("weights", 6, 10)]
    return model(nodes, tensors, {"classes": ("n", 10)})


def transformer(output: str) -> onnx.ModelProto:
    """Patches of 4 x 4, one head of attention over them, and classes from the first token."""
    nodes = [
        node("Conv", "pixels kernel", "patches", kernel_shape=[4, 4], strides=[4, 4]),
        node("Reshape", "patches sizes", "rows"),
        node("Transpose", "rows", "tokens", perm=[0, 2, 1]),
        node("MatMul", "tokens wq", "q"),
        node("MatMul", "tokens wk", "k"),
        node("Transpose", "k", "columns", perm=[0, 2, 1]),
        node("MatMul", "q columns", "table"),
        node("Softmax", "table", "weighing"),
        node("MatMul", "weighing tokens", "weighed"),
        node("MatMul", "weighed wo", "projected"),
        node("Add", "tokens projected", "sum"),
        node("Gather", "sum first", "chosen", axis=1),
        node("MatMul", "chosen weights", "logits"),
    ]
    tensors = [tensor(name, CHANNELS, CHANNELS, seed=seed) for seed, name in enumerate(["wq", "wk", "wo"])]
    tensors += [tensor("kernel", CHANNELS, 3, 4, 4), tensor("weights", CHANNELS, 10)]
    tensors += [helper.make_tensor("sizes", onnx.TensorProto.INT64, [3], [0, CHANNELS, -1])]
    tensors += [helper.make_tensor("first", onnx.TensorProto.INT64, [], [0])]
    return model(nodes, tensors, {output: None or ()})


def test_layers_are_listed_from_the_last_to_the_first() -> None:
    """The convolution and its activation are one layer, and so are the pooling and its reshaping."""
    assert layers(read(classifier())) == [
        Layer("logits", "MatMul", (None, 10), dim=10, pooled=True, default=False),
        Layer("flat", "ReduceMean", (None, CHANNELS), dim=CHANNELS, pooled=True, default=True),
        Layer("relu", "Relu", (None, CHANNELS, 8, 8), dim=CHANNELS, pooled=False, default=False),
    ]


def test_a_network_cut_at_any_layer_computes_what_onnx_computes() -> None:
    for layer in layers(read(classifier())):
        graph, name = cut(read(classifier()), layer.name)
        assert name == layer.name
        np.testing.assert_allclose(run(graph), reference(classifier(), name, PIXELS), rtol=1e-4, atol=1e-3)


def test_a_network_can_be_cut_inside_a_layer() -> None:
    graph, name = cut(read(classifier()), "conv")
    assert name == "conv"
    np.testing.assert_allclose(run(graph), reference(classifier(), "conv", PIXELS), rtol=1e-4, atol=1e-3)


def test_cutting_does_not_change_the_original_network() -> None:
    whole = read(classifier())
    graph, _ = cut(whole, "relu")
    graph.reshape([1, 3, 64, 64])
    np.testing.assert_allclose(run(whole), reference(classifier(), "logits", PIXELS), rtol=1e-4, atol=1e-3)


# The default


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (classifier(), "flat"),
        (classifier(37, output="found"), "flat"),  # not a multiple of 64
        (classifier(1000, output="found"), "flat"),
        (classifier(64, output="logits"), "flat"),
        (classifier(64, output="found"), "found"),
        (classifier(1000, output="image_embeds"), "image_embeds"),
        (classifier_and(node("Softmax", "logits", "out"), classes=64, output="out"), "flat"),
        (classifier_and(node("Sigmoid", "logits", "out"), classes=64, output="out"), "flat"),
        (vgg(), "after"),
        (transformer("logits"), "chosen"),
    ],
    ids=["logits", "37", "1000", "64 logits", "64", "embeds", "softmax", "sigmoid", "vgg", "transformer"],
)
def test_the_default_is_the_classifiers_input_or_the_embedding(network: onnx.ModelProto, expected: str) -> None:
    assert default(network) == expected


@pytest.mark.parametrize("output", ["relu", "average", "flat"])
def test_the_default_without_a_classifier_is_the_output(output: str) -> None:
    network = classifier()
    while network.graph.node[-1].output[0] != output:
        network.graph.node.pop()
    network.graph.output[0].CopyFrom(helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
    assert default(network) == output


def test_averaged_classes_per_position_count_as_a_classifier() -> None:
    """As in SqueezeNet: a 1 x 1 convolution, an activation and a pooling, and no more weights."""
    nodes = [
        node("Conv", "pixels kernel", "conv", kernel_shape=[3, 3]),
        node("Relu", "conv", "relu"),
        node("Conv", "relu weights", "positions", kernel_shape=[1, 1]),
        node("Relu", "positions", "positive"),
        node("GlobalAveragePool", "positive", "average"),
        node("Flatten", "average", "logits"),
    ]
    tensors = [tensor("kernel", CHANNELS, 3, 3, 3), tensor("weights", 1000, CHANNELS, 1, 1)]
    assert default(model(nodes, tensors, {"logits": ("n", 1000)})) == "relu"


def test_the_output_named_embedding_is_preferred() -> None:
    network = classifier(1000)
    network.graph.output.append(helper.make_tensor_value_info("relu", onnx.TensorProto.FLOAT, None))
    network.graph.node.append(node("Relu", "flat", "pooler_output"))
    network.graph.output.append(helper.make_tensor_value_info("pooler_output", onnx.TensorProto.FLOAT, None))
    assert default(network) == "pooler_output"
    del network.graph.output[-1], network.graph.node[-1]
    assert default(network) == "flat"


# What is a layer


def test_attention_weights_are_not_layers() -> None:
    names = {layer.name for layer in layers(read(transformer("logits")))}
    assert {"logits", "chosen", "sum", "projected", "tokens"} <= names
    assert not {"table", "weighing", "weighed"} & names


def test_an_activation_of_two_operators_belongs_to_its_convolution() -> None:
    nodes = [
        node("Conv", "pixels kernel", "conv", kernel_shape=[3, 3]),
        node("Sigmoid", "conv", "gate"),
        node("Mul", "conv gate", "swish"),
    ]
    [layer] = layers(read(model(nodes, [tensor("kernel", CHANNELS, 3, 3, 3)], {"swish": ()})))
    assert (layer.name, layer.kind, layer.default) == ("swish", "Sigmoid", True)


def test_scaled_pixels_are_not_a_layer() -> None:
    nodes = [
        node("Mul", "pixels factor", "scaled"),
        node("Conv", "scaled kernel", "conv", kernel_shape=[3, 3]),
    ]
    network = model(nodes, [tensor("kernel", CHANNELS, 3, 3, 3), tensor("factor", 1)], {"conv": ()})
    assert [layer.name for layer in layers(read(network))] == ["conv"]


def test_an_unnamed_layer_gets_a_stable_name_from_operator_and_number() -> None:
    """OpenVINO's own numbers keep growing through a process."""

    def graph() -> ov.Model:
        x = pixels = op.parameter([1, 3, 8, 8], np.float32)
        for _ in range(2):
            x = op.relu(op.add(x, op.max_pool(x, [1, 1], [1, 1], [0, 0], [0, 0], [1, 1]).output(0)))
        return ov.Model([x], [pixels])

    assert [layer.name for layer in layers(graph())] == ["Relu_2", "MaxPool_2", "Relu_1", "MaxPool_1"]
    assert [layer.name for layer in layers(graph())] == ["Relu_2", "MaxPool_2", "Relu_1", "MaxPool_1"]


# Mistakes


def test_an_unknown_layer_is_refused_with_similar_names() -> None:
    with pytest.raises(UsageError, match=r"no layer 'flatt' .*there is 'flat'") as raised:
        cut(read(classifier()), "flatt")
    assert raised.value.hints == (Hint("inspect_model", {"file": ...}),)


def test_a_network_without_any_layer_is_refused() -> None:
    network = model([node("Mul", "pixels factor", "scaled")], [tensor("factor", 1)], {"scaled": ()})
    assert layers(read(network)) == []
    with pytest.raises(ModelError, match="no layer whose output can become a vector"):
        cut(read(network), None)
