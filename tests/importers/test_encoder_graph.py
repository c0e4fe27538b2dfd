"""The encoder's graph: normalization before a network and pooling after it, against NumPy."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset13 as op

from lookalike.encoders.card import NO_NORMALIZATION, Normalization
from lookalike.encoders.openvino.loading import core
from lookalike.errors import Hint, ModelError
from lookalike.images.decode import Preprocessing
from lookalike.importers.base import ImportedNetwork
from lookalike.importers.encoder_graph import EncoderGraph, Layout, build, channel_axis

SIZE = 16
PIXELS = np.random.default_rng(3).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
NORMALIZATION = Normalization((100.0, 110.0, 120.0), (50.0, 60.0, 70.0))
Node = Any


def network(
    make: Any,
    *,
    layout: Layout = "NCHW",
    normalization: Normalization | None = None,
    shape: Sequence[int] | None = None,
    kind: str = "f32",
    size: int = SIZE,
) -> ImportedNetwork:
    """A network that computes `make` of its input."""
    sides = {"N": -1, "C": 3, "H": size, "W": size}
    pixels = op.parameter(ov.PartialShape(shape or [sides[side] for side in layout]), getattr(ov.Type, kind), name="in")
    graph = ov.Model([make(pixels)], [pixels], "sample")
    return ImportedNetwork(graph, layout, Preprocessing(size), normalization, "sample.onnx", "", "", "layer")


def run(made: EncoderGraph, pixels: NDArray[np.uint8] = PIXELS) -> NDArray[np.float32]:
    compiled = core().compile_model(made.graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    vectors: NDArray[np.float32] = compiled(pixels)[0]
    return vectors.copy()


def normalized(normalization: Normalization) -> NDArray[np.float64]:
    pixels = PIXELS.astype(np.float64)[..., ::-1] if normalization.channels == "BGR" else PIXELS.astype(np.float64)
    return (pixels - normalization.mean) / normalization.std


def flat(x: Node) -> Node:
    """The input, flattened to vectors."""
    return op.reshape(op.convert(x, "f32"), np.array([0, -1]), True)


def as_it_is(x: Node) -> Node:
    return op.convert(x, "f32")


# Normalization


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_pixels_are_normalized_in_the_networks_channel_order_and_layout(channels: Any, layout: Layout) -> None:
    normalization = Normalization(NORMALIZATION.mean, NORMALIZATION.std, channels)
    expected = normalized(normalization)
    if layout == "NCHW":
        expected = expected.transpose(0, 3, 1, 2)
    found = run(build(network(flat, layout=layout, normalization=normalization)))
    np.testing.assert_allclose(found, expected.reshape(3, -1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["f32", "f16", "u8"])
def test_without_normalization_a_network_takes_unchanged_pixels(kind: str) -> None:
    found = run(build(network(flat, layout="NHWC", kind=kind)))
    np.testing.assert_array_equal(found, PIXELS.reshape(3, -1))


def test_without_normalization_channels_can_still_be_reversed() -> None:
    normalization = replace(NO_NORMALIZATION, channels="BGR")
    found = run(build(network(flat, layout="NHWC", kind="u8", normalization=normalization)))
    np.testing.assert_array_equal(found, PIXELS[..., ::-1].reshape(3, -1))


# Pooling


def test_feature_maps_are_averaged_over_height_and_width_in_either_layout() -> None:
    means = PIXELS.astype(np.float64).mean(axis=(1, 2))
    for layout in ("NCHW", "NHWC"):
        made = build(network(as_it_is, layout=layout))
        np.testing.assert_allclose(run(made), means, rtol=1e-5)
        assert (made.dim, made.output) == (3, "layer (mean over 16 x 16)")


def test_a_feature_map_of_one_position_is_a_vector() -> None:
    made = build(network(lambda x: op.reduce_max(x, np.array([2, 3]), True)))
    np.testing.assert_array_equal(run(made), PIXELS.max(axis=(1, 2)))
    assert (made.dim, made.output) == (3, "layer")


def tokens(count: int, width: int = 4) -> Any:
    """A network whose tokens are the first values of the image."""

    def make(x: Node) -> Node:
        first = op.slice(flat(x), np.array([0]), np.array([count * width]), np.array([1]), np.array([1]))
        return op.reshape(first, np.array([0, count, width]), True)

    return make


@pytest.mark.parametrize(
    ("count", "size", "how"),
    [
        (5, 32, "class token"),  # patches of 16
        (17, 32, "class token"),  # of 8
        (21, 32, "class token"),  # of 8, with registers
        (16, 32, "mean of 16 tokens"),
        (18, 32, "mean of 18 tokens"),  # with a distillation token
        (10, 42, "class token"),  # of 14
    ],
)
def test_the_class_token_is_taken_if_there_is_one_else_the_mean(count: int, size: int, how: str) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (2, size, size, 3), np.uint8)
    made = build(network(tokens(count), layout="NHWC", size=size))
    expected = pixels.reshape(2, -1)[:, : count * 4].reshape(2, count, 4).astype(np.float64)
    expected = expected[:, 0] if how == "class token" else expected.mean(axis=1)
    np.testing.assert_allclose(run(made, pixels), expected, rtol=1e-5)
    assert (made.dim, made.output) == (4, f"layer ({how})")


@pytest.mark.parametrize(
    ("shape", "layout", "axis"),
    [
        ((1, 8), "NCHW", 1),
        ((1, 50, 8), "NCHW", 2),
        ((None, 8, 7, 7), "NHWC", 1),
        ((None, 7, 7, 8), "NCHW", 3),
        ((None, 8, None, None), "NHWC", 1),
        ((None, 7, 7, 7), "NCHW", 1),
        ((None, 7, 7, 7), "NHWC", 3),
        ((None, 3, 50, 64), "NCHW", None),
        ((1, 2, 3, 4, 5), "NCHW", None),
        ((8,), "NCHW", None),
    ],
)
def test_channels_are_the_dimension_unlike_height_and_width(shape: Any, layout: Layout, axis: int | None) -> None:
    assert channel_axis(shape, layout) == axis


# Batches


def takes_batches(made: EncoderGraph) -> bool:
    """Whether it takes any number of images at once."""
    return bool(made.graph.input().get_partial_shape()[0].is_dynamic)


def test_a_network_takes_batches_of_any_size_if_it_can() -> None:
    assert takes_batches(build(network(flat)))
    assert takes_batches(build(network(flat, shape=[1, 3, SIZE, SIZE])))


def test_a_network_with_a_fixed_batch_of_one_takes_one_image() -> None:
    made = build(network(lambda x: op.reshape(x, np.array([1, 3 * SIZE * SIZE]), False), shape=[1, 3, SIZE, SIZE]))
    assert not takes_batches(made)
    np.testing.assert_array_equal(run(made, PIXELS[:1]), PIXELS[:1].transpose(0, 3, 1, 2).reshape(1, -1))


def test_dimensions_that_only_the_batch_opens_are_accepted() -> None:
    def make(x: Node) -> Node:
        return op.reshape(
            flat(x), op.concat([np.array([1]), op.gather(op.shape_of(flat(x)), np.array([1]), 0)], 0), False
        )

    made = build(network(make, shape=[-1, 3, SIZE, SIZE]))
    assert (made.dim, takes_batches(made)) == (3 * SIZE * SIZE, False)


def test_a_network_that_mixes_images_of_a_batch_takes_one_image() -> None:
    made = build(network(lambda x: op.subtract(flat(x), op.reduce_max(x, np.array([0, 1, 2, 3]), False))))
    assert not takes_batches(made)
    np.testing.assert_array_equal(
        run(made, PIXELS[:1]), PIXELS[:1].transpose(0, 3, 1, 2).reshape(1, -1) - float(PIXELS[0].max())
    )


def test_the_networks_own_graph_is_not_changed() -> None:
    given = network(flat, normalization=NORMALIZATION)
    build(given)
    assert given.graph.input().get_element_type() == ov.Type.f32
    assert given.graph.input().get_partial_shape() == ov.PartialShape([-1, 3, SIZE, SIZE])


# What is refused


def test_several_inputs_are_refused_with_their_names() -> None:
    first = op.parameter([1, 3, SIZE, SIZE], np.float32, name="pixel_values")
    second = op.parameter([1, 77], np.float32, name="input_ids")
    graph = ov.Model([op.concat([flat(first), second], 1)], [first, second])
    given = ImportedNetwork(graph, "NCHW", Preprocessing(SIZE), None, "clip.onnx", "", "", "layer")
    with pytest.raises(ModelError, match=r"clip\.onnx: it has 2 inputs \(pixel_values, input_ids\)"):
        build(given)


@pytest.mark.parametrize("shape", [[1, 77], [1, 1, SIZE, SIZE], [1, 3, SIZE, 2 * SIZE], [1, 3, 2 * SIZE, 2 * SIZE]])
def test_inputs_that_are_not_images_of_the_size_are_refused(shape: list[int]) -> None:
    given = network(flat, shape=shape)
    with pytest.raises(ModelError, match=r"sample\.onnx: its input in is \[1,.*\], and not an image of 16 x 16 pixels"):
        build(given)


def test_normalization_for_a_network_of_integers_is_refused() -> None:
    with pytest.raises(ModelError, match=r"its input in takes u8, and not normalized pixels"):
        build(network(flat, kind="u8", normalization=NORMALIZATION))


def test_an_output_of_another_shape_is_refused_with_the_layer() -> None:
    message = r"its layer layer gives \[1,3,4,64\], and not a vector.*another `output`"
    with pytest.raises(ModelError, match=message) as raised:
        build(network(lambda x: op.reshape(x, np.array([0, 3, 4, 64]), True)))
    assert raised.value.hints == (Hint("inspect_model", {"file": ...}),)


def test_an_output_with_open_dimensions_is_refused() -> None:
    with pytest.raises(ModelError, match=r"its layer layer gives \[2,.*\], and not a vector"):
        build(network(lambda x: op.non_zero(flat(x), "i32")))


def test_several_vectors_for_an_image_are_refused() -> None:
    with pytest.raises(ModelError, match=r"gives 16 vectors for an image"):
        build(network(lambda x: op.reshape(x, np.array([-1, 48]), False)))


def test_the_same_vector_for_all_images_is_refused() -> None:
    with pytest.raises(ModelError, match="gives every image the same vector"):
        build(network(lambda x: op.clamp(op.add(flat(x), np.float32(300)), 0.0, 1.0)))


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ModelError, match="gives values that are not finite"):
        build(network(lambda x: op.log(op.subtract(flat(x), np.float32(9)))))
