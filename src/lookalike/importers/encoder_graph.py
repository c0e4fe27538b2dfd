"""Makes an encoder's graph of a network's: scaling in front, pooling behind."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.card import Normalization
from lookalike.encoders.openvino.loading import PrePostProcessor, op, ov
from lookalike.errors import ModelError
from lookalike.importers.base import ImportedNetwork
from lookalike.importers.error_summary import reason

Layout = Literal["NCHW", "NHWC"]
Shape = tuple[int | None, ...]

_PATCHES = (7, 8, 10, 12, 14, 15, 16, 20, 24, 28, 32)  # pixels; those of published vision transformers and their like
_REGISTERS = 4  # tokens for nothing in particular: https://arxiv.org/abs/2309.16588
_MEAN, _DEVIATION = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)  # of pixels that are taken as they are
# One picture and several are computed in ways that round differently, which a quantized network makes steps of.
_TOLERANCE = 0.02
_ANOTHER = "choose another --output; to see them all: lookalike models inspect FILE"


@dataclass(frozen=True)
class Finished:
    """An encoder's graph.

    Attributes:
        graph: an openvino.Model from pixels, uint8 (n, size, size, 3), RGB, to embeddings, float32 (n, dim). n is any
            number where the network allows it, else 1.
        dim: the number of dimensions of an embedding.
        output: the layer that embeddings come from, and how they are pooled: "conv5 (mean over 7 x 7)".
    """

    graph: Any
    dim: int
    output: str


def finished(network: ImportedNetwork) -> Finished:
    """From pixels to embeddings; the network itself stays as it is.

    Feature maps become their mean over height and width. Of tokens, the first is taken, the class token, if there is
    one more than patches (or five more, with four registers) where patches of a usual size make up the picture; else
    the mean of all. `output` says what was done.

    Raises:
        ModelError: the network takes anything but one picture, gives anything but one vector for it, the same vector
            for all pictures or what is not a number, or cannot be run.
    """
    _check_input(network)
    with suppress(Exception):  # a network for one picture at a time may fail anywhere, and in any way
        return _made(network, batch=-1)
    try:
        return _made(network, batch=1)
    except ModelError:
        raise
    except Exception as error:  # OpenVINO's have no type in common
        raise ModelError(f"{network.source}: OpenVINO cannot run this network: {reason(error)}") from error


def sizes(port: Any) -> Shape:
    """The shape of an input or an output, None where it is open; nothing where even the number of dimensions is."""
    shape = port.get_partial_shape()
    return () if shape.rank.is_dynamic else tuple(None if side.is_dynamic else side.get_length() for side in shape)


def channel_axis(shape: Shape, layout: Layout = "NCHW") -> int | None:
    """Which dimension of a batch of vectors, tokens or feature maps is the channels', None if it is none of these.

    Feature maps of square pictures are square: their channels are what differs, or stand where `layout` has them.
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
    """What a network calls an input."""
    return min(port.get_names(), default=str(port.get_node().get_friendly_name()))


def _check_input(network: ImportedNetwork) -> None:
    inputs = network.graph.inputs
    if len(inputs) != 1:
        names = ", ".join(map(input_name, inputs)) or "none"
        raise ModelError(f"{network.source}: it has {len(inputs)} inputs ({names}); it should have one, for a picture")
    [port], size = inputs, network.preprocessing.size
    sides = {"N": -1, "C": 3, "H": size, "W": size}
    kind, shape = port.get_element_type(), port.get_partial_shape()
    if not shape.compatible(ov.PartialShape([sides[side] for side in network.layout])):
        raise ModelError(
            f"{network.source}: its input {input_name(port)} is {shape}, and not a picture of {size} x {size} pixels"
        )
    scaled = network.normalization and (network.normalization.mean, network.normalization.std) != (_MEAN, _DEVIATION)
    if not kind.is_real() and (scaled or kind != ov.Type.u8):
        raise ModelError(
            f"{network.source}: its input {input_name(port)} takes {kind.get_type_name()}, and not scaled pixels"
        )


def _made(network: ImportedNetwork, *, batch: int) -> Finished:
    graph = network.graph.clone()
    sides = {"N": batch, "C": 3, "H": network.preprocessing.size, "W": network.preprocessing.size}
    graph.reshape([sides[side] for side in network.layout])
    graph = _scaled(graph, network)
    [result] = graph.get_results()
    node, how = _pooled(result.input_value(0), network)
    graph = ov.Model([node], graph.get_parameters(), "encoder")
    dim = graph.output().get_partial_shape()[1].get_length()
    made = Finished(graph, dim, f"{network.output} ({how})" if how else network.output)
    _check_vectors(made, network)
    return made


def _scaled(graph: ov.Model, network: ImportedNetwork) -> ov.Model:
    """The same, for uint8 (n, h, w, 3), RGB."""
    normalization = network.normalization or Normalization(_MEAN, _DEVIATION)
    steps = PrePostProcessor(graph)
    picture = steps.input()
    picture.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    picture.model().set_layout(ov.Layout(network.layout))
    if normalization.channels == "BGR":
        picture.preprocess().reverse_channels()
    if (normalization.mean, normalization.std) != (_MEAN, _DEVIATION):
        numbers = picture.preprocess().convert_element_type(ov.Type.f32)
        numbers.mean(list(normalization.mean)).scale(list(normalization.std))
    return steps.build()


def _pooled(output: Any, network: ImportedNetwork) -> tuple[ov.Node, str]:
    """float32 (n, dim) of an output, and what was done to it."""
    shape = sizes(output)
    axis = channel_axis(shape, network.layout)
    if axis is None or None in shape[1:]:
        raise ModelError(
            f"{network.source}: its layer {network.output} gives {output.get_partial_shape()}, and not a vector"
            f" or a feature map for each picture; {_ANOTHER}"
        )
    numbers = op.convert(output, "f32")
    if len(shape) == 2:
        return numbers, ""
    if len(shape) == 3:
        if _has_class_token(shape[1] or 0, network.preprocessing.size):
            return op.gather(numbers, np.int64(0), np.int64(1)), "class token"
        return op.reduce_mean(numbers, np.array([1]), False), f"mean of {shape[1]} tokens"
    plane = [1, 2] if axis == 3 else [2, 3]
    height, width = (shape[side] for side in plane)
    mean = op.reduce_mean(numbers, np.array(plane), False)
    return mean, "" if (height, width) == (1, 1) else f"mean over {height} x {width}"


def _has_class_token(tokens: int, size: int) -> bool:
    return any(tokens - more == (size // patch) ** 2 for patch in _PATCHES for more in (1, 1 + _REGISTERS))


def _check_vectors(made: Finished, network: ImportedNetwork) -> None:
    """Runs two pictures, of different brightness, one by one and at once."""
    size = network.preprocessing.size
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    ramp = np.linspace(0, 160, size, dtype=np.uint8)[:, None, None].repeat(size, axis=1).repeat(3, axis=2)
    pictures = np.stack([noise, ramp])
    run = ov.Core().compile_model(made.graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    vectors = np.concatenate([_vectors(run, pictures[number : number + 1]) for number in range(2)])
    layer = f"{network.source}: its layer {network.output}"
    if vectors.shape != (2, made.dim):
        raise ModelError(f"{layer} gives {len(vectors) / 2:g} vectors for a picture; {_ANOTHER}")
    if not np.isfinite(vectors).all():
        raise ModelError(f"{layer} gives what is not a number; {_ANOTHER}")
    if np.allclose(vectors[0], vectors[1], rtol=1e-6, atol=0):
        raise ModelError(f"{layer} gives every picture the same vector; {_ANOTHER}")
    if made.graph.input().get_partial_shape()[0].is_dynamic:
        together = _vectors(run, pictures)
        if together.shape != vectors.shape or np.abs(together - vectors).max() > _TOLERANCE * np.abs(vectors).max():
            raise ModelError(f"{layer} gives a picture another vector where there are others beside it; {_ANOTHER}")


def _vectors(run: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = run(pixels)[0].copy()
    return vectors
