"""Graphs translated to torch: each operator and whole networks against OpenVINO, and the requirements of a GPU."""

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.optional_packages import needs

needs("torch", "torchvision", "timm")

import openvino as ov
import torch
from openvino import opset13 as op
from openvino import opset15
from openvino.preprocess import PrePostProcessor
from torch.nn import functional

from lookalike.encoders.openvino.loading import core
from tests.support import torch_stubs
from tests.support.cosines import cosines

torch_stubs.declare()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import timm

from lookalike.encoders import bundled
from lookalike.encoders.torch import translation
from lookalike.encoders.torch.translation import TorchGraph, with_dynamic_batch
from lookalike.errors import ModelError
from lookalike.importers.third_party import silenced

Vectors = NDArray[np.float32]
SIDE = 6  # pixels, of the images that operators are tested with


def images(size: int, count: int = 3) -> NDArray[np.uint8]:
    """Images of waves of several colours with some noise, uint8 (count, size, size, 3)."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    waves = [
        np.sin(random.uniform(3, 25) * x + random.uniform(3, 25) * y + random.uniform(0, 6)) for _ in range(count * 3)
    ]
    pixels = 127 + 100 * np.array(waves).reshape(count, 3, size, size).transpose(0, 2, 3, 1)
    return np.clip(pixels + random.normal(0, 15, pixels.shape), 0, 255).astype(np.uint8)


def by_openvino(model: ov.Model, pixels: NDArray[np.uint8]) -> Vectors:
    """The vectors of a graph run by OpenVINO, one image after the other."""
    copy = model.clone()
    copy.reshape([1, *pixels.shape[1:]])
    run = core().compile_model(copy, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([run(image[None])[0].copy() for image in pixels])


def by_torch(model: ov.Model, pixels: NDArray[np.uint8], dtype: torch.dtype = torch.float32) -> Vectors:
    """The vectors of a graph run by torch, all images in one batch."""
    graph, dynamic = with_dynamic_batch(model, pixels.shape[1])
    assert dynamic
    vectors: Vectors = TorchGraph(graph, device="cpu", dtype=dtype)(torch.from_numpy(pixels)).numpy()
    return vectors


# Operator by operator

Builder = Callable[[Any], Any]  # from a node, float32 (n, 4, 6, 6) in -2..2, to another


def weights(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(0, 0.5, shape).astype(np.float32)


def ints(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)


def shape_of(x: Any) -> Any:
    return op.shape_of(x, "i64")


def padded(x: Any, function: Callable[..., Any], *inputs: Any, **options: Any) -> Iterator[Any]:
    """The operator with each kind of padding."""
    for stride in (1, 2):
        yield function(x, *inputs, [stride, stride], pads_begin=[0, 1], pads_end=[1, 1], **options)
        for kind in ("same_upper", "same_lower", "valid"):
            yield function(x, *inputs, [stride, stride], pads_begin=[0, 0], pads_end=[0, 0], auto_pad=kind, **options)


def convolutions(x: Any) -> Iterator[Any]:
    yield from padded(x, op.convolution, weights(5, 4, 3, 2), dilations=[1, 1])
    yield op.convolution(x, weights(5, 4, 3, 3), [1, 1], [2, 2], [2, 2], [2, 2])


def group_convolutions(x: Any) -> Iterator[Any]:
    yield from padded(x, op.group_convolution, weights(2, 3, 2, 3, 3), dilations=[1, 1])
    yield op.group_convolution(x, weights(4, 1, 1, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])


def max_pool(x: Any, strides: list[int], **options: Any) -> Any:
    return op.max_pool(x, strides, [1, 1], kernel_shape=[2, 3], **options).output(0)


def average_pools(x: Any) -> Iterator[Any]:
    for exclude in (False, True):

        def average(x: Any, strides: list[int], *, exclude: bool = exclude, **options: Any) -> Any:
            return op.avg_pool(x, strides, kernel_shape=[3, 3], exclude_pad=exclude, **options)

        yield from padded(x, average)
        edge = [int(exclude)] * 2
        yield average(x, [2, 2], pads_begin=edge, pads_end=edge, rounding_type="ceil")


def attention(x: Any) -> Iterator[Any]:
    other, mask = op.multiply(x, np.float32(0.3)), weights(6, 6)
    none = op.constant(np.float32(0))
    yield opset15.scaled_dot_product_attention(x, other, x)
    yield opset15.scaled_dot_product_attention(x, other, x, none, np.float32(0.7), causal=False)
    yield opset15.scaled_dot_product_attention(x, other, x, op.constant(mask))
    yield opset15.scaled_dot_product_attention(x, other, x, op.constant(mask > 0))
    yield opset15.scaled_dot_product_attention(x, other, x, causal=True)


def quantized(x: Any) -> Iterator[Any]:
    def bounds(*numbers: float) -> list[Any]:
        return [np.float32(number) for number in numbers]

    yield op.fake_quantize(x, *bounds(0, 2, 0, 2), 256)
    yield op.fake_quantize(x, *bounds(-1.28, 1.27, -1.28, 1.27), 256)
    yield op.fake_quantize(x, *bounds(-1, 1.5, -3, 2), 16)
    channels = [np.array(numbers, np.float32).reshape(1, 4, 1, 1) for numbers in ([-1, -2, 0, 0], [1, 2, 3, 0.5])]
    yield op.fake_quantize(x, *channels, *channels, 256)


def slices(x: Any) -> Iterator[Any]:
    yield op.slice(x, ints(1, 0), ints(4, 2**40), ints(1, 2), ints(2, -1))
    yield op.slice(x, ints(5, -1), ints(1, -(2**40)), ints(-1, -2), ints(3, 2))
    yield op.slice(x, ints(0, 1), ints(1000, 3), ints(1, 1))


def strided_slices(x: Any) -> Iterator[Any]:
    def sliced(begin: list[int], end: list[int], strides: list[int], **masks: list[int]) -> Any:
        named = {"begin_mask": [0] * len(begin), "end_mask": [0] * len(begin)} | masks
        return op.strided_slice(x, ints(*begin), ints(*end), ints(*strides), **named)

    yield sliced([0, 1, 0, 0], [0, 3, 0, 4], [1, 1, 2, 1], begin_mask=[1, 0, 1, 1], end_mask=[1, 0, 1, 0])
    yield sliced([0, 0, 0, -1], [0, 0, 0, 0], [1, 1, 1, -1], begin_mask=[1, 1, 1, 0], end_mask=[1, 1, 1, 1])
    yield sliced([0, 1, 2], [0, 3, 3], [1, 1, 1], begin_mask=[1, 0, 0], end_mask=[1, 0, 0], shrink_axis_mask=[0, 0, 1])
    yield sliced([0, 0, 1], [0, 0, 3], [1, 1, 1], ellipsis_mask=[0, 1, 0], begin_mask=[1, 0, 0], end_mask=[1, 0, 0])
    yield sliced([0, 0, 1], [0, 0, 3], [1, 1, 1], new_axis_mask=[0, 1, 0], begin_mask=[1, 0, 0], end_mask=[1, 0, 0])


def reductions(function: Callable[..., Any]) -> Callable[[Any], Iterator[Any]]:
    def built(x: Any) -> Iterator[Any]:
        yield function(x, ints(2, 3), True)
        yield function(x, ints(-1), False)

    return built


def comparisons(function: Callable[..., Any]) -> Builder:
    return lambda x: op.convert(function(x, np.float32(0.25)), "f32")


def logic(x: Any) -> tuple[Any, Any]:
    return op.greater(x, np.float32(-0.5)), op.less(x, np.float32(0.5))


def each_axis(x: Any, function: Callable[[Any], Any]) -> Any:
    """Multiplies `x` by what `function` computes from its shape."""
    return op.multiply(x, op.convert(function(shape_of(x)), "f32"))


OPERATORS: dict[str, Builder] = {
    "Abs": op.abs,
    "Add": lambda x: op.add(x, weights(4, 1, 1)),
    "AvgPool": average_pools,
    "Broadcast": lambda x: [
        op.concat(
            [
                x,
                op.broadcast(
                    weights(1, 1, 6, 6), op.concat([op.gather(shape_of(x), ints(0), np.int64(0)), ints(2, 6, 6)], 0)
                ),
            ],
            1,
        ),
        op.broadcast(op.reduce_max(x, ints(2), True), ints(1, 1, 3, 1), broadcast_spec="bidirectional"),
    ],
    "Ceiling": op.ceiling,
    "Clamp": lambda x: op.clamp(x, -0.5, 1.5),
    "Concat": lambda x: op.concat([x, op.relu(x)], 1),
    "Convert": lambda x: [
        op.convert(op.convert(op.multiply(x, np.float32(9)), "i32"), "f32"),
        op.convert(op.convert(x, "f16"), "f32"),
    ],
    "Convolution": convolutions,
    "Divide": lambda x: [
        op.divide(x, np.float32(3)),
        each_axis(x, lambda shape: op.divide(op.negative(op.gather(shape, np.int64(2), np.int64(0))), np.int64(4))),
    ],
    "Elu": lambda x: op.elu(x, 0.7),
    "Equal": comparisons(lambda x, y: op.equal(op.floor(x), op.ceiling(op.add(x, y)))),
    "Erf": op.erf,
    "Exp": op.exp,
    "FakeQuantize": quantized,
    "Floor": op.floor,
    "FloorMod": lambda x: op.floor_mod(x, np.float32(0.75)),
    "Gather": lambda x: [
        op.gather(x, ints(1, -1, 0), np.int64(1)),
        op.gather(x, np.int64(-2), np.int64(-1)),
        op.gather(x, np.array([[0, 1], [2, 3]]), np.int64(2)),
    ],
    "Gelu": lambda x: [op.gelu(x, "erf"), op.gelu(x, "tanh")],
    "Greater": comparisons(op.greater),
    "GreaterEqual": comparisons(op.greater_equal),
    "GroupConvolution": group_convolutions,
    "GroupNormalization": lambda x: op.group_normalization(x, weights(4), weights(4), 2, 1e-4),
    "HSigmoid": op.hsigmoid,
    "HSwish": op.hswish,
    "HardSigmoid": lambda x: op.hard_sigmoid(x, np.float32(0.3), np.float32(0.6)),
    "Less": comparisons(op.less),
    "LessEqual": comparisons(op.less_equal),
    "Log": lambda x: op.log(op.add(x, np.float32(3))),
    "LogicalAnd": lambda x: op.convert(op.logical_and(*logic(x)), "f32"),
    "LogicalNot": lambda x: op.convert(op.logical_not(logic(x)[0]), "f32"),
    "LogicalOr": lambda x: op.convert(op.logical_or(*logic(op.negative(x))), "f32"),
    "MVN": lambda x: [
        op.mvn(x, ints(3), True, 1e-3, "inside_sqrt"),
        op.mvn(x, ints(-1, -2), True, 1e-3, "outside_sqrt"),
        op.mvn(x, ints(1), False, 1e-3, "inside_sqrt"),
    ],
    "MatMul": lambda x: [
        op.matmul(x, weights(6, 5), False, False),
        op.matmul(x, weights(5, 6), True, True),
        op.matmul(x, x, True, False),
    ],
    "MaxPool": lambda x: padded(x, max_pool),
    "Maximum": lambda x: op.maximum(x, np.float32(0.5)),
    "Minimum": lambda x: op.minimum(x, np.float32(0.5)),
    "Mish": op.mish,
    "Multiply": lambda x: op.multiply(x, x),
    "Negative": op.negative,
    "NormalizeL2": lambda x: [op.normalize_l2(x, ints(1), 1e-3, mode) for mode in ("add", "max")],
    "NotEqual": comparisons(lambda x, y: op.not_equal(op.floor(x), op.ceiling(op.add(x, y)))),
    "PRelu": lambda x: [op.prelu(x, weights(4)), op.prelu(x, weights(1))],
    "Pad": lambda x: op.pad(x, ints(0, 1, 2, 0), ints(0, 0, 1, -2), "constant", np.float32(0.5)),
    "Power": lambda x: op.power(x, np.float32(2)),
    "ReduceL2": reductions(op.reduce_l2),
    "ReduceMax": reductions(op.reduce_max),
    "ReduceMean": reductions(op.reduce_mean),
    "ReduceProd": lambda x: each_axis(
        x, lambda shape: op.reduce_prod(op.gather(shape, ints(2, 3), np.int64(0)), ints(0), False)
    ),
    "ReduceSum": reductions(op.reduce_sum),
    "Relu": op.relu,
    "Reshape": lambda x: [op.reshape(x, ints(0, -1, 3), True), op.reshape(x, ints(-1, 12, 12), False)],
    "Roll": lambda x: op.roll(x, ints(2, -1), ints(2, 3)),
    "ScaledDotProductAttention": attention,
    "Select": lambda x: op.select(op.greater(x, np.float32(0)), x, np.float32(0.1)),
    "ShapeOf": lambda x: op.reshape(
        x, op.concat([op.gather(shape_of(x), ints(0, 1), np.int64(0)), ints(-1)], 0), False
    ),
    "Sigmoid": op.sigmoid,
    "Slice": slices,
    "SoftPlus": op.softplus,
    "Softmax": lambda x: [op.softmax(x, 1), op.softmax(x, -1)],
    "Split": lambda x: op.split(x, np.int64(1), 2).output(1),
    "Sqrt": lambda x: op.sqrt(op.abs(x)),
    "SquaredDifference": lambda x: op.squared_difference(x, np.float32(0.5)),
    "Squeeze": lambda x: op.squeeze(op.reduce_max(x, ints(1, 3), True), ints(1, -1)),
    "StridedSlice": strided_slices,
    "Subtract": lambda x: op.subtract(np.float32(1), x),
    "Swish": lambda x: [op.swish(x), op.swish(x, np.float32(1.7))],
    "Tanh": op.tanh,
    "Tile": lambda x: op.tile(x, ints(1, 2, 1, 3)),
    "Transpose": lambda x: [op.transpose(x, ints(0, 2, 3, 1)), op.transpose(x, ints(0, 3, 1, 2))],
    "Unsqueeze": lambda x: op.unsqueeze(x, ints(1, -1)),
    "VariadicSplit": lambda x: op.variadic_split(x, np.int64(1), ints(1, -1)).output(1),
}


def small_graphs(build: Builder) -> Iterator[ov.Model]:
    """Graphs from pixels, uint8 (n, 6, 6, 3), through each of the nodes that `build` makes, to vectors."""
    pixels = op.parameter([-1, SIDE, SIDE, 3], np.uint8)
    scaled = op.multiply(op.subtract(op.convert(pixels, "f32"), np.float32(127)), np.float32(1 / 64))
    channels = op.matmul(scaled, weights(3, 4), False, False)
    built = build(op.transpose(channels, ints(0, 3, 1, 2)))
    for node in built if isinstance(built, list | Iterator) else [built]:
        yield ov.Model([op.reshape(node, ints(0, -1), True)], [pixels], "small")


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_returns_what_openvino_returns(name: str) -> None:
    pixels = images(SIDE)
    for model in small_graphs(OPERATORS[name]):
        assert name in {node.get_type_name() for node in model.get_ops()}
        expected, given = by_openvino(model, pixels), by_torch(model, pixels)
        assert given.dtype == np.float32
        np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4)


def test_every_supported_operator_is_tested() -> None:
    assert set(translation._OPERATORS) == set(OPERATORS)


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_reads_no_value_from_the_device(name: str) -> None:
    """The device "meta" has no values: a step that reads one, or mixes CPU and device, raises an error."""
    for model in small_graphs(OPERATORS[name]):
        graph = TorchGraph(model, device="meta", dtype=torch.float16)
        vectors = graph(torch.empty((2, SIDE, SIDE, 3), dtype=torch.uint8, device="meta"))
        assert (vectors.device.type, vectors.dtype) == ("meta", torch.float32)


# Whole networks


SIZE = 64  # pixels, of the images that networks are tested with
NETWORKS = ("resnet18", "vit_tiny_patch16_224", "convnext_atto", "mobilenetv3_small_050", "bundled f32")
SMALLER: dict[str, dict[str, Any]] = {
    "vit_tiny_patch16_224": {"img_size": SIZE, "depth": 2},
    "convnext_atto": {"depths": (1, 1, 1, 1)},
    "resnet18": {"layers": (1, 1, 1, 1)},
}


@cache
def network(name: str) -> ov.Model:
    """A network with random weights for images of 64 x 64 pixels, as after import; or the bundled one."""
    if name.startswith("bundled"):
        return bundled.graph(name.removeprefix("bundled "))
    torch.manual_seed(0)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        module = timm.create_model(name, num_classes=0, **SMALLER.get(name, {})).eval()
        with silenced():
            model = ov.convert_model(module, example_input=torch.rand(2, 3, SIZE, SIZE))
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).mean([124, 116, 104]).scale([58, 57, 57])
    return steps.build()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_returns_the_vectors_of_openvino(name: str) -> None:
    pixels = images(SIZE)
    expected = by_openvino(network(name), pixels)
    assert cosines(expected[:1], expected[1:]).min() < 0.999999  # otherwise the next line would prove nothing
    assert cosines(by_torch(network(name), pixels), expected).min() >= 0.99999


@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_stays_near_float32(name: str) -> None:
    pixels = images(SIZE, 1)
    expected = by_openvino(network(name), pixels)
    assert cosines(by_torch(network(name), pixels, torch.float16), expected).min() >= 0.999


def test_integer_arithmetic_is_simulated() -> None:
    """OpenVINO computes with real integers, and rounds elsewhere."""
    pixels = images(224, 2)
    expected = by_openvino(network("bundled int8"), pixels)
    assert cosines(by_torch(network("bundled int8"), pixels), expected).min() >= 0.999


@pytest.mark.parametrize("name", [*NETWORKS, "bundled int8"])
def test_a_network_never_waits_for_the_device(name: str) -> None:
    model, dynamic = with_dynamic_batch(network(name), SIZE)
    assert dynamic
    pixels = torch.empty((2, SIZE, SIZE, 3), dtype=torch.uint8, device="meta")
    vectors = TorchGraph(model, device="meta", dtype=torch.float16)(pixels)
    assert vectors.shape == (2, model.output(0).get_partial_shape()[1].get_length())


def test_convolutions_get_half_precision_and_channels_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise they would be several times slower on a GPU."""
    seen = []
    convolve = functional.conv2d

    def spy(x: torch.Tensor, weight: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.append((x.dtype, weight.dtype))
        seen.append(tuple(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in (x, weight)))
        return convolve(x, weight, *rest)

    networks = [network(name) for name in ("resnet18", "mobilenetv3_small_050", "convnext_atto")]
    monkeypatch.setattr(functional, "conv2d", spy)
    for each in networks:
        by_torch(each, images(SIZE, 2), torch.float16)
    assert set(seen) == {(torch.float16, torch.float16), (True, True)}


def test_normalization_and_the_last_mean_are_computed_in_float32() -> None:
    """In half precision, the mean over a large plane of equal values would differ from that value."""
    pixels = op.parameter([-1, 64, 64, 3], np.uint8)
    numbers = op.divide(op.convert(pixels, "f32"), np.float32(2049))
    model = ov.Model([op.reduce_mean(numbers, ints(1, 2), False)], [pixels], "mean")
    given = by_torch(model, np.full((1, 64, 64, 3), 251, np.uint8), torch.float16)
    np.testing.assert_allclose(given, 251 / 2049, rtol=1e-6)


def test_the_given_graph_is_unchanged() -> None:
    model = bundled.graph("f32")
    by_torch(model, images(224, 1))
    assert list(model.input(0).shape) == [1, 224, 224, 3]


def test_a_graph_with_a_fixed_batch_size_of_one_is_detected() -> None:
    pixels = op.parameter([1, SIDE, SIDE, 3], np.uint8)
    model = ov.Model([op.reshape(op.convert(pixels, "f32"), ints(1, SIDE * SIDE * 3), False)], [pixels], "one")
    graph, dynamic = with_dynamic_batch(model, SIDE)
    assert not dynamic
    one = images(SIDE, 1)
    np.testing.assert_array_equal(
        TorchGraph(graph, device="cpu", dtype=torch.float32)(torch.from_numpy(one)).numpy(), one.reshape(1, -1)
    )
    with pytest.raises(ModelError, match=r"does not take pixels of \(1, 9, 9, 3\)"):
        with_dynamic_batch(model, 9)


def test_an_unsupported_operator_is_named_with_its_layer() -> None:
    pixels = op.parameter([-1, SIDE, SIDE, 3], np.uint8)
    node = op.sinh(op.convert(pixels, "f32"), name="neck")
    model = ov.Model([op.reshape(node, ints(0, -1), True)], [pixels], "unknown")
    with pytest.raises(ModelError, match=r"layer 'neck' \(Sinh\): this operator is not supported on a GPU"):
        TorchGraph(model, device="cpu", dtype=torch.float32)


def test_a_shape_that_depends_on_pixels_is_refused() -> None:
    pixels = op.parameter([-1, SIDE, SIDE, 3], np.uint8)
    shape = op.concat(
        [op.convert(op.reshape(op.reduce_max(pixels, ints(0, 1, 2, 3), False), ints(1), False), "i64"), ints(-1)], 0
    )
    model = ov.Model([op.reshape(op.convert(pixels, "f32"), shape, False)], [pixels], "dependent")
    with pytest.raises(ModelError, match="depend on the pixels"):
        TorchGraph(model, device="cpu", dtype=torch.float32)


def test_an_unsupported_use_of_an_operator_is_named() -> None:
    [model] = small_graphs(lambda x: op.pad(x, ints(0, 0, 1, 1), ints(0, 0, 1, 1), "reflect", name="mirror"))
    with pytest.raises(ModelError, match=r"mirror.*pad_mode is 'reflect'"):
        by_torch(model, images(SIDE))
