"""The bundled network: its vectors against stored ones, against NumPy, on other processors and in several threads."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray

from lookalike import encoders
from lookalike.encoders import bundled
from lookalike.encoders.bundled import checkpoint, efficientnet, efficientnet_graph, network, quantization
from lookalike.errors import ModelError, UsageError
from lookalike.storage.vectors import Vectors, unit
from tests.support.golden_pictures import GOLDEN, pictures
from tests.support.project import ROOT
from tests.support.reference_network import block_outputs

PIXELS = pictures()


def golden(precision: str) -> Vectors:
    """The stored vectors; `python benchmarks/torch_agreement.py --golden` writes them, float32's with PyTorch."""
    with np.load(GOLDEN) as stored:
        return unit(stored[precision])


def cosines(a: Vectors, b: Vectors) -> Vectors:
    return np.asarray((a * b).sum(axis=1))


def encode(precision: str) -> Vectors:
    return unit(encoders.load(precision=precision).encode(PIXELS))


def test_float32_gives_the_vectors_of_pytorch() -> None:
    assert cosines(encode("f32"), golden("f32")).min() >= 0.9999


def test_int8_gives_the_vectors_that_it_has_always_given() -> None:
    """Where this fails on purpose, raise "revision" in efficientnet_lite0.json: old collections are then told apart."""
    assert cosines(encode("int8"), golden("int8")).min() >= 0.999


@pytest.mark.parametrize(("precision", "least"), [("bf16", 0.99), ("int8", 0.97)])
def test_coarser_arithmetic_stays_near_float32(precision: str, least: float) -> None:
    assert cosines(encode(precision), golden("f32")).min() >= least


def test_the_stored_vectors_tell_the_pictures_apart() -> None:
    """Or else they would prove nothing."""
    for precision in ("f32", "int8"):
        vectors = golden(precision)
        assert (vectors @ vectors.T - 2 * np.eye(len(vectors))).max() < 0.7


CHILD = f"""
import sys
import numpy as np
sys.path.insert(0, {str(ROOT)!r})
from tests.support.golden_pictures import pictures
from lookalike import encoders
np.save(sys.stdout.buffer, encoders.load(precision="int8").encode(pictures()))
"""


@pytest.mark.parametrize("instructions", ["AVX2", "AVX512_CORE"])
def test_int8_gives_the_same_vectors_on_processors_with_fewer_instructions(instructions: str) -> None:
    """Those that have no 8-bit dot product add pairs of products in 16 bits, which must never saturate."""
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": instructions}
    child = subprocess.run([sys.executable, "-c", CHILD], env=environment, stdout=subprocess.PIPE, check=True)
    assert cosines(unit(np.load(io.BytesIO(child.stdout))), encode("int8")).min() >= 0.9999


# The graph


@pytest.fixture(scope="module")
def blocks() -> list[efficientnet.Block]:
    return list(efficientnet.blocks(checkpoint.state_dict(*bundled.weights())))


def computed(model: ov.Model, picture: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
    """Each of the graph's results for one picture."""
    request = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    request.infer([picture[None]])
    for index in range(len(model.outputs)):
        yield request.get_output_tensor(index).data[0]


@pytest.mark.parametrize("number", [1, 2])
def test_each_block_of_the_graph_computes_what_its_definition_says(
    blocks: list[efficientnet.Block], number: int
) -> None:
    embedding, *outputs = computed(efficientnet_graph.graph(blocks, taps=True), PIXELS[number])
    slow = list(block_outputs(blocks, PIXELS[number]))
    for output, expected in zip(outputs, slow, strict=True):
        np.testing.assert_allclose(output, expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(embedding, slow[-1].mean(axis=(1, 2)), atol=1e-4)


def test_a_part_of_the_network_is_a_network() -> None:
    """One convolution of stride 2, by hand: a picture of one colour, so that only the padding's side varies."""
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
        deviation=np.zeros(1, np.float32),
    )
    graph = efficientnet_graph.graph([efficientnet.Block("sum", (convolution,))], taps=True)
    [mean], [output] = computed(graph, np.full((224, 224, 3), 255, np.uint8))
    assert output.shape == (112, 112)
    assert (output[:-1, :-1] == 9 - 0.5).all()  # (255 - 127) / 128 = 1 in each of nine places
    assert (output[-1, :-1] == 6 - 0.5).all()  # zeros below
    assert (output[:-1, -1] == 6 - 0.5).all()  # and to the right
    assert output[-1, -1] == 4 - 0.5
    assert mean == pytest.approx(output.mean())


def test_integer_arithmetic_computes_what_its_definition_says(blocks: list[efficientnet.Block]) -> None:
    """Values on the edge between two codes fall either way, which adds up to no more than this."""
    facts = network._facts()
    corrected, quantized = quantization.quantized(blocks, facts["ranges"])
    slow = [list(block_outputs(corrected, picture, quantized))[-1].mean(axis=(1, 2)) for picture in PIXELS]
    assert cosines(encode("int8"), unit(np.array(slow))).min() >= 0.9995


# Cards


def test_a_card_needs_no_runtime() -> None:
    code = "import sys; from lookalike import encoders; encoders.card(); assert 'openvino' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_fingerprints_are_those_that_collections_have() -> None:
    """Whatever changes one makes all collections of that precision incompatible."""
    assert {precision: encoders.card(precision=precision).fingerprint for precision in ("int8", "f32", "bf16")} == {
        "int8": "04994ecfc2c26bc3583be43f24ae2d57",
        "f32": "a8c2f0bafe3da4338f7dee787a8800a2",
        "bf16": "6b8f32f39eec7d43f6cc68407144e560",
    }


def test_a_fingerprint_covers_the_calibration_and_the_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = dict(network._facts())
    int8, f32 = (encoders.card(precision=precision).fingerprint for precision in ("int8", "f32"))
    monkeypatch.setattr(network, "_facts", lambda: facts | {"ranges": facts["ranges"] | {"head": [-13, 13]}})
    assert encoders.card(precision="int8").fingerprint != int8
    assert encoders.card(precision="f32").fingerprint == f32
    monkeypatch.setattr(network, "_facts", lambda: facts | {"revision": facts["revision"] + 1})
    assert encoders.card(precision="int8").fingerprint != int8
    assert encoders.card(precision="f32").fingerprint != f32


def test_an_encoder_is_what_its_card_says() -> None:
    for precision in ("int8", "f32"):
        card, encoder = encoders.card(precision=precision), encoders.load(precision=precision)
        assert (encoder.name, encoder.dim, encoder.preprocessing) == (card.name, card.dim, card.preprocessing)
        assert encoder.fingerprint == card.fingerprint
    assert (card.name, card.dim, card.preprocessing.size, card.licence) == (
        "efficientnet-lite0",
        1280,
        224,
        "Apache-2.0",
    )


@pytest.mark.parametrize("function", [encoders.card, encoders.load])
def test_an_unknown_model_or_precision_is_refused_with_the_choices(function: object) -> None:
    assert callable(function)
    with pytest.raises(UsageError, match=r"no model 'resnet'.*'efficientnet-lite0'"):
        function("resnet")
    with pytest.raises(UsageError, match=r"precision 'int4': efficientnet-lite0 comes in int8, f32, bf16"):
        function(precision="int4")


# Loading


def test_other_weights_than_the_published_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_WEIGHTS", ("lookalike.encoders.bundled", "efficientnet_lite0.json"))
    with pytest.raises(ModelError, match="not the published weights; install"):
        encoders.load()


@pytest.mark.parametrize("missing", [("no_such_package", "weights.pth"), ("lookalike.encoders", "no_such_file.pth")])
def test_missing_weights_are_named(missing: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_WEIGHTS", missing)
    with pytest.raises(ModelError, match=rf"{missing[1]}: the weights are missing; install {missing[0]}"):
        encoders.load()


def test_a_network_that_cannot_be_run_is_a_model_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("unsupported operation")

    monkeypatch.setattr(ov.Core, "compile_model", fails)
    with pytest.raises(ModelError, match="OpenVINO cannot run this network here: unsupported operation"):
        encoders.load()


# Encoding


@pytest.fixture(scope="module")
def encoder() -> encoders.Encoder:
    return encoders.load(threads=2)


def test_many_threads_get_the_vectors_that_one_gets(encoder: encoders.Encoder) -> None:
    """Four times as many as it was made for."""
    expected = encoder.encode(PIXELS)
    numbers = [number % len(PIXELS) for number in range(96)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: encoder.encode(PIXELS[number : number + 1]), numbers))
    for number, [vector] in zip(numbers, found, strict=True):
        np.testing.assert_array_equal(vector, expected[number])


def test_no_pictures_give_no_vectors(encoder: encoders.Encoder) -> None:
    vectors = encoder.encode(PIXELS[:0])
    assert vectors.shape == (0, 1280)
    assert vectors.dtype == np.float32


def test_vectors_are_the_callers_own(encoder: encoders.Encoder) -> None:
    first = encoder.encode(PIXELS[:1])
    kept = first.copy()
    encoder.encode(PIXELS[1:])
    np.testing.assert_array_equal(first, kept)


def test_pixels_may_lie_anyhow_in_memory(encoder: encoders.Encoder) -> None:
    mirrored = PIXELS[:, :, ::-1]
    np.testing.assert_array_equal(encoder.encode(mirrored), encoder.encode(mirrored.copy()))
    locked = PIXELS.copy()
    locked.flags.writeable = False
    np.testing.assert_array_equal(encoder.encode(locked), encoder.encode(PIXELS))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 224, 224, 3), np.float32),
        np.zeros((1, 224, 224, 3), np.int8),
        np.zeros((224, 224, 3), np.uint8),
        np.zeros((1, 3, 224, 224), np.uint8),
        np.zeros((1, 224, 224, 4), np.uint8),
        np.zeros((0, 225, 224, 3), np.uint8),
        np.zeros((), np.uint8),
    ],
    ids=lambda pixels: f"{pixels.dtype}{pixels.shape}",
)
def test_pixels_of_another_shape_or_type_are_refused(encoder: encoders.Encoder, pixels: NDArray[np.uint8]) -> None:
    with pytest.raises(UsageError, match=r"give uint8 of \(n, 224, 224, 3\)"):
        encoder.encode(pixels)
