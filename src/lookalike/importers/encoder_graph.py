"""Builds an encoder's graph from a network's: normalization before it, pooling after it."""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.card import NO_NORMALIZATION, Normalization
from lookalike.encoders.openvino.compiling import compile_model
from lookalike.encoders.openvino.loading import PrePostProcessor, op, ov
from lookalike.errors import Hint, ModelError
from lookalike.importers.base import ImportedNetwork
from lookalike.importers.error_summary import one_line

Layout = Literal["NCHW", "NHWC"]
Shape = tuple[int | None, ...]

_PATCHES = (7, 8, 10, 12, 14, 15, 16, 20, 24, 28, 32)  # pixels; the patch sizes of published vision transformers
_REGISTERS = 4  # register tokens of a vision transformer: https://arxiv.org/abs/2309.16588
# Relative difference allowed between vectors computed one by one and in a batch: the two round differently, which a
# quantized network turns into whole steps.
_TOLERANCE = 0.02
_ANOTHER = "give another `output`"
_LAYERS = Hint("inspect_model", {"file": ...})


@dataclass(frozen=True)
class EncoderGraph:
    """An encoder's graph.

    Attributes:
        graph: an openvino.Model from pixels, uint8 (n, size, size, 3), RGB, to embeddings, float32 (n, dim). n is any
            number if the network allows it, else 1.
        dim: the number of dimensions of an embedding.
        output: the layer that embeddings come from, and how they are pooled: "conv5 (mean over 7 x 7)".
    """

    graph: Any
    dim: int
    output: str


def build(network: ImportedNetwork) -> EncoderGraph:
    """Builds the graph from pixels to embeddings; the network's own graph is not changed.

    Feature maps are averaged over height and width. Of tokens, the class token is taken, which is the first, if there
    is one more token than patches of a usual size in the image (or five more, with four registers); else the mean of
    all tokens. `output` of the result says what was done.

    Raises:
        ModelError: the network's input is not an image, its output is not one vector per image, the vectors are the
            same for all images or not finite, or it cannot be run.
    """
    _check_input(network)
    with suppress(Exception):  # a network for batches of one may fail anywhere, and in any way
        return _build(network, batch=-1)
    try:
        return _build(network, batch=1)
    except ModelError:
        raise
    except Exception as error:  # OpenVINO's have no type in common
        raise ModelError(f"{network.source}: OpenVINO cannot run this network: {one_line(error)}") from error


def shape_of(port: Any) -> Shape:
    """Returns the shape of an input or output, None for each open dimension; () if even the rank is open."""
    shape = port.get_partial_shape()
    return () if shape.rank.is_dynamic else tuple(None if side.is_dynamic else side.get_length() for side in shape)


def channel_axis(shape: Shape, layout: Layout = "NCHW") -> int | None:
    """Returns the channel dimension of a batch of vectors, tokens or feature maps; None for any other shape.

    Feature maps of square images are square: their channels are the dimension that differs, or, if none does, the one
    that `layout` names.
    """
    if len(shape) in (2, 3):
        return len(shape) - 1
    if len(shape) != 4:
        return None
    _, second, third, fourth = shape
    if second == third == fourth:
        return layout.index("C")
    return 1 if third == fourth else 3 if second == third else None


def input_name(port: Any) -> str:
    """Returns the network's name for an input."""
    return min(port.get_names(), default=str(port.get_node().get_friendly_name()))


def _check_input(network: ImportedNetwork) -> None:
    inputs = network.graph.inputs
    if len(inputs) != 1:
        names = ", ".join(map(input_name, inputs)) or "none"
        raise ModelError(f"{network.source}: it has {len(inputs)} inputs ({names}); it should have one, for an image")
    [port], size = inputs, network.preprocessing.size
    sides = {"N": -1, "C": 3, "H": size, "W": size}
    kind, shape = port.get_element_type(), port.get_partial_shape()
    if not shape.compatible(ov.PartialShape([sides[side] for side in network.layout])):
        raise ModelError(
            f"{network.source}: its input {input_name(port)} is {shape}, and not an image of {size} x {size} pixels"
        )
    scaled = network.normalization is not None and _changes_values(network.normalization)
    if not kind.is_real() and (scaled or kind != ov.Type.u8):
        raise ModelError(
            f"{network.source}: its input {input_name(port)} takes {kind.get_type_name()}, and not normalized pixels"
        )


def _changes_values(normalization: Normalization) -> bool:
    """Whether a normalization does anything but reverse the channels."""
    return replace(normalization, channels=NO_NORMALIZATION.channels) != NO_NORMALIZATION


def _build(network: ImportedNetwork, *, batch: int) -> EncoderGraph:
    graph = network.graph.clone()
    sides = {"N": batch, "C": 3, "H": network.preprocessing.size, "W": network.preprocessing.size}
    graph.reshape([sides[side] for side in network.layout])
    graph = _with_normalization(graph, network)
    [result] = graph.get_results()
    node, pooling = _pooled(result.input_value(0), network)
    graph = ov.Model([node], graph.get_parameters(), "encoder")
    dim = graph.output().get_partial_shape()[1].get_length()
    built = EncoderGraph(graph, dim, f"{network.output} ({pooling})" if pooling else network.output)
    _check_vectors(built, network)
    return built


def _with_normalization(graph: ov.Model, network: ImportedNetwork) -> ov.Model:
    """The same graph for pixels, uint8 (n, h, w, 3), RGB."""
    normalization = network.normalization or NO_NORMALIZATION
    steps = PrePostProcessor(graph)
    image = steps.input()
    image.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    image.model().set_layout(ov.Layout(network.layout))
    if normalization.channels == "BGR":
        image.preprocess().reverse_channels()
    if _changes_values(normalization):
        values = image.preprocess().convert_element_type(ov.Type.f32)
        values.mean(list(normalization.mean)).scale(list(normalization.std))
    return steps.build()


def _pooled(output: Any, network: ImportedNetwork) -> tuple[ov.Node, str]:
    """An output pooled to float32 (n, dim), and the description of the pooling, "" if there is none."""
    shape = shape_of(output)
    axis = channel_axis(shape, network.layout)
    if axis is None or None in shape[1:]:
        raise ModelError(
            f"{network.source}: its layer {network.output} gives {output.get_partial_shape()}, and not a vector"
            f" or a feature map for each image; {_ANOTHER}",
            _LAYERS,
        )
    values = op.convert(output, "f32")
    if len(shape) == 2:
        return values, ""
    if len(shape) == 3:
        if _has_class_token(shape[1] or 0, network.preprocessing.size):
            return op.gather(values, np.int64(0), np.int64(1)), "class token"
        return op.reduce_mean(values, np.array([1]), False), f"mean of {shape[1]} tokens"
    plane = [1, 2] if axis == 3 else [2, 3]
    height, width = (shape[side] for side in plane)
    mean = op.reduce_mean(values, np.array(plane), False)
    return mean, "" if (height, width) == (1, 1) else f"mean over {height} x {width}"


def _has_class_token(tokens: int, size: int) -> bool:
    return any(tokens - more == (size // patch) ** 2 for patch in _PATCHES for more in (1, 1 + _REGISTERS))


def _check_vectors(built: EncoderGraph, network: ImportedNetwork) -> None:
    """Encodes two images of different brightness, one by one and in a batch, and checks the vectors."""
    size = network.preprocessing.size
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    ramp = np.linspace(0, 160, size, dtype=np.uint8)[:, None, None].repeat(size, axis=1).repeat(3, axis=2)
    images = np.stack([noise, ramp])
    run = compile_model(built.graph, {"INFERENCE_PRECISION_HINT": "f32"})
    vectors = np.concatenate([_vectors(run, images[number : number + 1]) for number in range(2)])
    layer = f"{network.source}: its layer {network.output}"
    if vectors.shape != (2, built.dim):
        raise ModelError(f"{layer} gives {len(vectors) / 2:g} vectors for an image; {_ANOTHER}", _LAYERS)
    if not np.isfinite(vectors).all():
        raise ModelError(f"{layer} gives values that are not finite; {_ANOTHER}", _LAYERS)
    if np.allclose(vectors[0], vectors[1], rtol=1e-6, atol=0):
        raise ModelError(f"{layer} gives every image the same vector; {_ANOTHER}", _LAYERS)
    if built.graph.input().get_partial_shape()[0].is_dynamic:
        together = _vectors(run, images)
        if together.shape != vectors.shape or np.abs(together - vectors).max() > _TOLERANCE * np.abs(vectors).max():
            raise ModelError(f"{layer} gives an image another vector in a batch with others; {_ANOTHER}", _LAYERS)


def _vectors(run: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = run(pixels)[0].copy()
    return vectors
