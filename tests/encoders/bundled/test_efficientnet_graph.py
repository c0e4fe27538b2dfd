"""The bundled model's graph, run by OpenVINO, against its definition in NumPy."""

from collections.abc import Iterator

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray

from lookalike import encoders
from lookalike.encoders import bundled
from lookalike.encoders.bundled import checkpoint, efficientnet, efficientnet_graph, network, quantization
from lookalike.encoders.openvino.loading import core
from tests.support.cosines import cosines
from tests.support.golden_images import golden_images
from tests.support.reference_network import block_outputs

PIXELS = golden_images()


@pytest.fixture(scope="module")
def blocks() -> list[efficientnet.Block]:
    return list(efficientnet.blocks(checkpoint.state_dict(*bundled.weights())))


def computed(model: ov.Model, image: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
    """Each output of the graph for one image."""
    request = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    request.infer([image[None]])
    for index in range(len(model.outputs)):
        yield request.get_output_tensor(index).data[0]


@pytest.mark.parametrize("number", [1, 2])
def test_each_block_computes_its_definition(blocks: list[efficientnet.Block], number: int) -> None:
    embedding, *outputs = computed(efficientnet_graph.graph(blocks, taps=True), PIXELS[number])
    slow = list(block_outputs(blocks, PIXELS[number]))
    for output, expected in zip(outputs, slow, strict=True):
        np.testing.assert_allclose(output, expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(embedding, slow[-1].mean(axis=(1, 2)), atol=1e-4)


def test_a_single_convolution_computes_what_is_worked_out_by_hand() -> None:
    """With stride 2 and an image of one colour, only the padding's side makes a difference."""
    weight = np.zeros((1, 3, 3, 3), np.float32)
    weight[0, 0] = 1
    convolution = efficientnet.Convolution(
        "sum",
        weight,
        bias=np.full(1, -0.5, np.float32),
        stride=2,
        depthwise=False,
        relu6=False,
        mean=np.zeros(1, np.float32),
        std=np.zeros(1, np.float32),
    )
    graph = efficientnet_graph.graph([efficientnet.Block("sum", (convolution,))], taps=True)
    [mean], [output] = computed(graph, np.full((224, 224, 3), 255, np.uint8))
    assert output.shape == (112, 112)
    assert (output[:-1, :-1] == 9 - 0.5).all()  # (255 - 127) / 128 = 1 in each of nine positions
    assert (output[-1, :-1] == 6 - 0.5).all()  # zeros below
    assert (output[:-1, -1] == 6 - 0.5).all()  # zeros to the right
    assert output[-1, -1] == 4 - 0.5
    assert mean == pytest.approx(output.mean())


def test_integer_arithmetic_computes_its_definition(blocks: list[efficientnet.Block]) -> None:
    """The tolerance is for values halfway between two codes, which are rounded either way."""
    facts, some = network._facts(), PIXELS[::2]
    corrected, quantized = quantization.quantized(blocks, facts["ranges"])
    slow = [list(block_outputs(corrected, image, quantized))[-1].mean(axis=(1, 2)) for image in some]
    assert cosines(encoders.load(precision="int8").encode(some), np.array(slow)).min() >= 0.9995
