"""The layers of a network whose output can become a vector, and the choice of the default one.

A layer is what a reader of the network would call one: a convolution with its bias, normalization and activation, or a
pooling with the reshapes that follow it. Its output is the last tensor in it that has the shape of vectors (n, c),
tokens (n, t, c) or feature maps (n, c, h, w) or (n, h, w, c).

The default is the last pooled layer. A classifier ends in a matrix multiplication, or a 1 x 1 convolution, by fixed
weights, followed at most by a softmax or the like: its default is the input of that. A network counts as a classifier
if

- it ends in a softmax or a sigmoid, or
- the name of its output says so ("logits", "classes", ...) and does not say "embedding", "features" or "pooled", or
- it has as many outputs as a well-known data set has classes, or
- the number of its outputs is not a multiple of 64, as that of nearly every embedding is.

Any other network returns embeddings already: its default is its output.
"""

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.encoders.openvino.loading import ov
from lookalike.errors import Hint, ModelError, UsageError
from lookalike.importers.encoder_graph import Shape, channel_axis, shape_of

# OpenVINO operators.
_RESHAPING = {"Convert", "FakeQuantize", "Reshape", "Squeeze", "Unsqueeze", "Transpose"}
_ARITHMETIC = {"Add", "Subtract", "Multiply", "Divide", "Power", "Sqrt", "Maximum", "Minimum", "Negative", "Exp", "Erf"}
_ACTIVATIONS = {
    *("Clamp", "Elu", "Gelu", "HSigmoid", "HSwish", "HardSigmoid", "Mish", "PRelu", "Relu", "Selu", "Sigmoid"),
    *("SoftPlus", "SoftSign", "Swish", "Tanh"),
}
_CONTINUING = _RESHAPING | _ARITHMETIC | _ACTIVATIONS | {"Pad", "Split", "VariadicSplit"}  # these begin no layer
_WEIGHTED = {"MatMul", "Convolution"}
_PROBABILITIES = {"Softmax", "LogSoftmax", "Sigmoid"}
_POOLING = {"AvgPool", "ReduceMean", "Relu"}  # some networks classify each position and average afterwards
# Numbers of classes: of CIFAR, Places and ImageNet, with and without a background class.
_CLASS_COUNTS = frozenset((10, 100, 365, 1000, 1001, 10450, 11221, 21841, 21843))
_EMBEDDING = re.compile(r"embed|feature|pool", re.IGNORECASE)
_CLASSIFIER = re.compile(r"logit|class|prob|predict|score|softmax|label", re.IGNORECASE)
# Names that OpenVINO generates, which differ from run to run: of a node, and of an output.
_GENERATED_NODE, _GENERATED_OUTPUT = re.compile(r"[A-Z][A-Za-z0-9]*_\d+"), re.compile(r"Result_\d+")


@dataclass(frozen=True)
class Layer:
    """A layer whose output can become a vector.

    Attributes:
        name: the value of the option `output` that selects it: the file's name for it, or its operator and its number
            among those of the same operator.
        kind: the OpenVINO operator that characterizes it.
        shape: of its output, None for each open dimension.
        dim: the number of dimensions of its vector.
        pooled: whether its output is one vector per image already.
        default: whether it is taken if no layer is named.
    """

    name: str
    kind: str
    shape: Shape
    dim: int
    pooled: bool
    default: bool


def layers(model: ov.Model) -> list[Layer]:
    """Returns the layers whose output can become a vector, from the last to the first."""
    candidates = _candidates(model)
    chosen = _default(model, candidates) if candidates else None
    return [candidate.layer(default=candidate is chosen) for candidate in reversed(candidates)]


def cut(model: ov.Model, output: str | None) -> tuple[ov.Model, str]:
    """Returns a copy of a network that ends with a layer, and the layer's name; by default the last pooled layer.

    Raises:
        UsageError: there is no such layer.
        ModelError: no layer's output can become a vector.
    """
    candidates = _candidates(model)
    if output is None:
        chosen = _default(model, candidates)
        port, name = chosen.output, chosen.name
    else:
        port, name = _named(model, candidates, output), output
    return ov.Model([port], model.get_parameters(), model.get_friendly_name()).clone(), name


@dataclass(frozen=True)
class _Candidate:
    """A layer in a graph: its nodes, the node that characterizes it, its output and its name."""

    nodes: Sequence[Any]
    main: Any
    output: Any
    name: str

    def layer(self, *, default: bool) -> Layer:
        shape = shape_of(self.output)
        axis = channel_axis(shape) or 0
        pooled = len(shape) == 2 or (len(shape) == 4 and shape[1:].count(1) == 2)
        return Layer(self.name, self.main.get_type_name(), shape, shape[axis] or 0, pooled, default)


def _candidates(model: ov.Model) -> list[_Candidate]:
    """The layers whose output can become a vector, from the first to the last."""
    counts: Counter[str] = Counter()
    numbered = {}
    for node in model.get_ordered_ops():
        counts[node.get_type_name()] += 1
        numbered[node.get_name()] = f"{node.get_type_name()}_{counts[node.get_type_name()]}"
    dependent = _pixel_dependent(model)
    found: dict[str, _Candidate] = {}
    for nodes in _groups(model, dependent):
        fitting = [node for node in nodes if _can_be_vector(node)]
        if not fitting or _is_attention(nodes[0], dependent):
            continue
        nodes = nodes[: nodes.index(fitting[-1]) + 1]
        main = next((node for node in nodes[::-1] if node.get_type_name() in _ACTIVATIONS), nodes[0])
        tail = nodes[nodes.index(main) :]
        own = next((name for node in tail[::-1] for name in _names(node) if name not in found), None)
        name = own or numbered[main.get_name()]
        found[name] = _Candidate(nodes, main, fitting[-1].output(0), name)
    order = {node.get_name(): position for position, node in enumerate(model.get_ordered_ops())}
    return sorted(found.values(), key=lambda layer: order[layer.nodes[-1].get_name()])


def _pixel_dependent(model: ov.Model) -> set[str]:
    """OpenVINO's names of the nodes whose output depends on pixels, and not on shapes and constants alone."""
    found: set[str] = set()
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind == "Parameter" or (kind != "ShapeOf" and _inputs(node, found)):
            found.add(node.get_name())
    return found


def _inputs(node: Any, dependent: set[str]) -> list[Any]:
    """The inputs of a node that depend on pixels."""
    return [port for port in node.inputs() if port.get_source_output().get_node().get_name() in dependent]


def _groups(model: ov.Model, dependent: set[str]) -> list[list[Any]]:
    """The nodes that depend on pixels, grouped by layer, in topological order."""
    groups: list[list[Any]] = []
    group_of: dict[str, int | None] = {}  # by a node's name; None for the pixels and their scaling
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if node.get_name() not in dependent or kind == "Result":
            continue
        before = {group_of[port.get_source_output().get_node().get_name()] for port in _inputs(node, dependent)}
        [group, *others] = before or {None}
        if others or kind not in _CONTINUING | {"Parameter"}:
            group = len(groups)
            groups.append([])
        if group is not None:
            groups[group].append(node)
        group_of[node.get_name()] = group
    return groups


def _can_be_vector(node: Any) -> bool:
    """Whether a node's output has the shape of vectors, tokens or feature maps, and real values, no quantized codes."""
    if not node.outputs() or not node.output(0).get_element_type().is_real():
        return False
    if any(output.get_target_inputs() for output in node.outputs()[1:]):
        return False
    readers = [port.get_node() for port in node.output(0).get_target_inputs()]
    if node.get_type_name() == "FakeQuantize" and any(
        reader.get_type_name() == "Convert" and not reader.get_output_element_type(0).is_real() for reader in readers
    ):
        return False
    shape = shape_of(node.output(0))
    axis = channel_axis(shape)
    return axis is not None and (shape[axis] or 0) > 1


def _is_attention(node: Any, dependent: set[str]) -> bool:
    """Whether a layer begins with an operator of attention: a product of two activations, or a softmax over tokens."""
    kind = node.get_type_name()
    if kind == "MatMul":
        return len(_inputs(node, dependent)) == 2
    return kind == "ScaledDotProductAttention" or (kind == "Softmax" and len(shape_of(node.output(0))) > 2)


def _names(node: Any) -> list[str]:
    """The file's names for a node's output, the best first.

    PyTorch's tracer gives tensors meaningless names ("input.221"), but its operators have good ones.
    """
    friendly = node.get_friendly_name()
    own = [] if _GENERATED_NODE.fullmatch(friendly) else [friendly]
    names = (name for name in node.output(0).get_names() if not _GENERATED_OUTPUT.fullmatch(name))
    tensors = sorted(names, key=lambda name: (len(name), name))
    return own + tensors if "::" in friendly else tensors + own


def _named(model: ov.Model, candidates: Sequence[_Candidate], name: str) -> Any:
    """The output of the layer, or else of any other node, of that name that can become a vector."""
    listed = {candidate.name: candidate.output for candidate in candidates}
    others = {
        other: node.output(0) for node in model.get_ordered_ops() if _can_be_vector(node) for other in _names(node)
    }
    if (port := listed.get(name) or others.get(name)) is not None:
        return port
    similar = difflib.get_close_matches(name, listed, n=3, cutoff=0.5)
    suggestion = f"; there is {' or '.join(map(repr, similar))}" if similar else ""
    raise UsageError(
        f"output: there is no layer {name!r} that can become a vector{suggestion}", Hint("inspect_model", {"file": ...})
    )


def _default(model: ov.Model, candidates: Sequence[_Candidate]) -> _Candidate:
    if not candidates:
        raise ModelError("the network has no layer whose output can become a vector")
    result, dependent = _main_result(model), _pixel_dependent(model)
    end = _classifier_input(result, dependent) or result.input(0)
    return _source_layer(candidates, end, dependent) or candidates[-1]


def _source_layer(candidates: Sequence[_Candidate], port: Any, dependent: set[str]) -> _Candidate | None:
    """The layer that an input comes from, directly or through nodes that belong to no layer."""
    by_node = {node.get_name(): candidate for candidate in candidates for node in candidate.nodes}
    before: Sequence[Any] = [port]
    while before:
        node = before[0].get_source_output().get_node()
        if node.get_name() in by_node:
            return by_node[node.get_name()]
        before = _inputs(node, dependent)
    return None


def _main_result(model: ov.Model) -> Any:
    """The result whose name says embedding, else the first with one vector per image, else the first."""
    results = model.get_results()
    vectors = [result for result in results if len(shape_of(result.input(0))) == 2]
    embeddings = [result for result in vectors if _EMBEDDING.search(_result_names(result))]
    return [*embeddings, *vectors, *results][0]


def _result_names(result: Any) -> str:
    return " ".join(_names(result.input_value(0).get_node()))


def _classifier_input(result: Any, dependent: set[str]) -> Any | None:
    """The input of the layer that computes the classes; None if the network is not a classifier."""
    port, kinds = result.input(0), set()
    while True:
        node = port.get_source_output().get_node()
        kind = node.get_type_name()
        before = _inputs(node, dependent)
        if len(before) != 1 or kind not in _RESHAPING | _ARITHMETIC | _PROBABILITIES | _POOLING | _WEIGHTED:
            return None
        kinds.add(kind)
        [port] = before
        if kind in _WEIGHTED:
            return port if _is_classifier(result, node, kinds) else None


def _is_classifier(result: Any, last: Any, kinds: set[str]) -> bool:
    """Whether the last layer with weights computes classes, given the kinds of the nodes from it to the result."""
    if last.get_type_name() == "Convolution" and shape_of(last.input(1))[2:] != (1, 1):
        return False
    shape = shape_of(result.input(0))
    axis = channel_axis(shape)
    if axis is None or (len(shape) != 2 and shape[1:].count(1) != 2):
        return False
    if kinds & _PROBABILITIES:
        return True
    if _EMBEDDING.search(_result_names(result)):
        return False
    if _CLASSIFIER.search(_result_names(result)) or shape[axis] in _CLASS_COUNTS:
        return True
    return not kinds & _POOLING and (shape[axis] or 0) % 64 != 0
