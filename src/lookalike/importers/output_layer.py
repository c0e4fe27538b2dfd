"""The layers of a network whose output can become a vector, and the one that is taken where nobody says which.

A layer is what a reader of the network would call so: a convolution with its bias, normalization and activation, or an
average with what packs its result up. Its output is the last of that which has the shape of vectors (n, c), tokens
(n, t, c) or feature maps (n, c, h, w) or (n, h, w, c).

By default it is the last pooled layer. A network that names classes ends in a matrix multiplication, or a convolution
of 1 x 1, by fixed weights, with at most a softmax and the like behind: then it is what goes into that. It does so if

- there is a softmax or a sigmoid at its end, or
- the output is called so ("logits", "classes", ...), and not an embedding ("embedding", "features", "pooled"), or
- there are as many outputs as some well-known data set has classes, or
- there are as many as hardly any embedding has: no multiple of 64.

Any other network gives embeddings already: then it is its output.
"""

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.encoders.openvino.loading import ov
from lookalike.errors import ModelError, UsageError
from lookalike.importers.encoder_graph import Shape, channel_axis, sizes

_PACKING = {"Convert", "FakeQuantize", "Reshape", "Squeeze", "Unsqueeze", "Transpose"}
_ARITHMETIC = {"Add", "Subtract", "Multiply", "Divide", "Power", "Sqrt", "Maximum", "Minimum", "Negative", "Exp", "Erf"}
_ACTIVATIONS = {
    *("Clamp", "Elu", "Gelu", "HSigmoid", "HSwish", "HardSigmoid", "Mish", "PRelu", "Relu", "Selu", "Sigmoid"),
    *("SoftPlus", "SoftSign", "Swish", "Tanh"),
}
_FOLLOWS = _PACKING | _ARITHMETIC | _ACTIVATIONS | {"Pad", "Split", "VariadicSplit"}  # what makes no layer of its own
_WEIGHTED = {"MatMul", "Convolution"}
_PROBABILITIES = {"Softmax", "LogSoftmax", "Sigmoid"}
_POOLING = {"AvgPool", "ReduceMean", "Relu"}  # some networks name classes at each place and then average
_CLASSES = {
    10,
    100,
    365,
    1000,
    1001,
    10450,
    11221,
    21841,
    21843,
}  # of CIFAR, Places and ImageNet, with background or not
_EMBEDDING = re.compile(r"embed|feature|pool", re.IGNORECASE)
_CLASSIFIER = re.compile(r"logit|class|prob|predict|score|softmax|label", re.IGNORECASE)
# Names of OpenVINO's own, which are others each time: of a node, and of an output that has none.
_COUNTED, _OUTPUT = re.compile(r"[A-Z][A-Za-z0-9]*_\d+"), re.compile(r"Result_\d+")


@dataclass(frozen=True)
class Layer:
    """A layer whose output can become a vector.

    Attributes:
        name: what --output takes: the file's name for it, or its kind and the how-many-eth of that kind it is.
        kind: the OpenVINO operator that tells most about it.
        shape: of its output, None where it is open.
        dim: the number of dimensions of its vector.
        pooled: whether its output is one vector for a picture as it is.
        default: whether it is the one that is taken where nobody says which.
    """

    name: str
    kind: str
    shape: Shape
    dim: int
    pooled: bool
    default: bool


def layers(model: ov.Model) -> list[Layer]:
    """The layers whose output can become a vector, from the last to the first."""
    found = _found(model)
    chosen = _default(model, found) if found else None
    return [layer.facts(default=layer is chosen) for layer in reversed(found)]


def cut(model: ov.Model, output: str | None) -> tuple[ov.Model, str]:
    """A copy of a network that ends with a layer, by default with the last pooled one, and the layer's name.

    Raises:
        UsageError: there is no such layer.
        ModelError: there is no layer whose output can become a vector.
    """
    found = _found(model)
    if output is None:
        chosen = _default(model, found)
        port, name = chosen.output, chosen.name
    else:
        port, name = _named(model, found, output), output
    return ov.Model([port], model.get_parameters(), model.get_friendly_name()).clone(), name


@dataclass(frozen=True)
class _Found:
    """A layer in a graph: its nodes, of which the one that tells most is `telling`, and its output."""

    nodes: Sequence[Any]
    telling: Any
    output: Any
    name: str

    def facts(self, *, default: bool) -> Layer:
        shape = sizes(self.output)
        axis = channel_axis(shape) or 0
        pooled = len(shape) == 2 or (len(shape) == 4 and shape[1:].count(1) == 2)
        return Layer(self.name, self.telling.get_type_name(), shape, shape[axis] or 0, pooled, default)


def _found(model: ov.Model) -> list[_Found]:
    """From the first to the last."""
    counts: Counter[str] = Counter()
    counted = {}
    for node in model.get_ordered_ops():
        counts[node.get_type_name()] += 1
        counted[node.get_name()] = f"{node.get_type_name()}_{counts[node.get_type_name()]}"
    flowing = _flowing(model)
    found: dict[str, _Found] = {}
    for nodes in _groups(model, flowing):
        fitting = [node for node in nodes if _fits(node)]
        if not fitting or _is_attention(nodes[0], flowing):
            continue
        nodes = nodes[: nodes.index(fitting[-1]) + 1]
        telling = next((node for node in nodes[::-1] if node.get_type_name() in _ACTIVATIONS), nodes[0])
        tail = nodes[nodes.index(telling) :]
        own = next((name for node in tail[::-1] for name in _names(node) if name not in found), None)
        name = own or counted[telling.get_name()]
        found[name] = _Found(nodes, telling, fitting[-1].output(0), name)
    order = {node.get_name(): place for place, node in enumerate(model.get_ordered_ops())}
    return sorted(found.values(), key=lambda layer: order[layer.nodes[-1].get_name()])


def _flowing(model: ov.Model) -> set[str]:
    """The names, OpenVINO's own, of the nodes whose output comes of pixels, and not of shapes and constants alone."""
    found: set[str] = set()
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind == "Parameter" or (kind != "ShapeOf" and _inputs(node, found)):
            found.add(node.get_name())
    return found


def _inputs(node: Any, flowing: set[str]) -> list[Any]:
    """The inputs of a node through which pixels come, or what was made of them."""
    return [port for port in node.inputs() if port.get_source_output().get_node().get_name() in flowing]


def _groups(model: ov.Model, flowing: set[str]) -> list[list[Any]]:
    """The nodes that come after pixels, those of a layer together, in their order."""
    groups: list[list[Any]] = []
    of: dict[str, int | None] = {}  # by a node's name, the group that it is in; None for pixels, scaled or not
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if node.get_name() not in flowing or kind == "Result":
            continue
        before = {of[port.get_source_output().get_node().get_name()] for port in _inputs(node, flowing)}
        [group, *others] = before or {None}
        if others or kind not in _FOLLOWS | {"Parameter"}:
            group = len(groups)
            groups.append([])
        if group is not None:
            groups[group].append(node)
        of[node.get_name()] = group
    return groups


def _fits(node: Any) -> bool:
    """Whether a node's output has the shape of vectors, tokens or feature maps, and holds numbers, not their codes."""
    if not node.outputs() or not node.output(0).get_element_type().is_real():
        return False
    if any(output.get_target_inputs() for output in node.outputs()[1:]):
        return False
    readers = [port.get_node() for port in node.output(0).get_target_inputs()]
    if node.get_type_name() == "FakeQuantize" and any(
        reader.get_type_name() == "Convert" and not reader.get_output_element_type(0).is_real() for reader in readers
    ):
        return False
    shape = sizes(node.output(0))
    axis = channel_axis(shape)
    return axis is not None and (shape[axis] or 0) > 1


def _is_attention(node: Any, flowing: set[str]) -> bool:
    """Whether a layer begins with what only attention has: a table of tokens by tokens, or what is weighed by it."""
    kind = node.get_type_name()
    if kind == "MatMul":
        return len(_inputs(node, flowing)) == 2
    return kind == "ScaledDotProductAttention" or (kind == "Softmax" and len(sizes(node.output(0))) > 2)


def _names(node: Any) -> list[str]:
    """What the file calls a node's output, the best first.

    The names that PyTorch's tracer gives to tensors ("input.221") say nothing, but its operators have good ones.
    """
    friendly = node.get_friendly_name()
    own = [] if _COUNTED.fullmatch(friendly) else [friendly]
    names = (name for name in node.output(0).get_names() if not _OUTPUT.fullmatch(name))
    tensors = sorted(names, key=lambda name: (len(name), name))
    return own + tensors if "::" in friendly else tensors + own


def _named(model: ov.Model, found: Sequence[_Found], name: str) -> Any:
    """The output of the layer of that name, or of any other node that the file calls so, if it can become a vector."""
    listed = {layer.name: layer.output for layer in found}
    others = {other: node.output(0) for node in model.get_ordered_ops() if _fits(node) for other in _names(node)}
    if (port := listed.get(name) or others.get(name)) is not None:
        return port
    near = difflib.get_close_matches(name, listed, n=3, cutoff=0.5)
    like = f"; there is {' or '.join(map(repr, near))}" if near else ""
    raise UsageError(
        f"output: there is no layer {name!r} that can become a vector{like}."
        " To see them all: lookalike models inspect FILE"
    )


def _default(model: ov.Model, found: Sequence[_Found]) -> _Found:
    if not found:
        raise ModelError("the network has no layer whose output can become a vector")
    result, flowing = _main_result(model), _flowing(model)
    end = _before_classes(result, flowing) or result.input(0)
    return _holding(found, end, flowing) or found[-1]


def _holding(found: Sequence[_Found], port: Any, flowing: set[str]) -> _Found | None:
    """The layer whose output comes into an input, perhaps with something done to it that makes no layer."""
    by_node = {node.get_name(): layer for layer in found for node in layer.nodes}
    before: Sequence[Any] = [port]
    while before:
        node = before[0].get_source_output().get_node()
        if node.get_name() in by_node:
            return by_node[node.get_name()]
        before = _inputs(node, flowing)
    return None


def _main_result(model: ov.Model) -> Any:
    """The one that is called an embedding, else the first that has one vector for a picture, else the first."""
    results = model.get_results()
    vectors = [result for result in results if len(sizes(result.input(0))) == 2]
    called = [result for result in vectors if _EMBEDDING.search(_called(result))]
    return [*called, *vectors, *results][0]


def _called(result: Any) -> str:
    return " ".join(_names(result.input_value(0).get_node()))


def _before_classes(result: Any, flowing: set[str]) -> Any | None:
    """The input by which the last pooled layer comes into what names classes; None if nothing does that."""
    port, kinds = result.input(0), set()
    while True:
        node = port.get_source_output().get_node()
        kind = node.get_type_name()
        before = _inputs(node, flowing)
        if len(before) != 1 or kind not in _PACKING | _ARITHMETIC | _PROBABILITIES | _POOLING | _WEIGHTED:
            return None
        kinds.add(kind)
        [port] = before
        if kind in _WEIGHTED:
            return port if _names_classes(result, node, kinds) else None


def _names_classes(result: Any, last: Any, kinds: set[str]) -> bool:
    """Whether a network's last layer with weights, behind which only such kinds of nodes come, tells classes apart."""
    if last.get_type_name() == "Convolution" and sizes(last.input(1))[2:] != (1, 1):
        return False
    shape = sizes(result.input(0))
    axis = channel_axis(shape)
    if axis is None or (len(shape) != 2 and shape[1:].count(1) != 2):
        return False
    if kinds & _PROBABILITIES:
        return True
    if _EMBEDDING.search(_called(result)):
        return False
    if _CLASSIFIER.search(_called(result)) or shape[axis] in _CLASSES:
        return True
    return not kinds & _POOLING and (shape[axis] or 0) % 64 != 0
