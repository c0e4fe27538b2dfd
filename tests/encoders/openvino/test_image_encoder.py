"""The image encoder on the CPU: its inputs and outputs, and calls from several threads at once."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset13 as op

from lookalike import encoders
from lookalike.encoders import registry
from lookalike.encoders.card import Card
from lookalike.errors import ModelError, UsageError
from lookalike.images.decode import Preprocessing
from tests.support.golden_images import golden_images

PIXELS = golden_images()


@pytest.fixture(scope="module")
def encoder() -> encoders.Encoder:
    return encoders.load(threads=2)


def test_many_threads_get_the_vectors_that_one_gets(encoder: encoders.Encoder) -> None:
    """Four times as many threads call it as it was made for."""
    expected = encoder.encode(PIXELS)
    numbers = [number % len(PIXELS) for number in range(96)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: encoder.encode(PIXELS[number : number + 1]), numbers))
    for number, [vector] in zip(numbers, found, strict=True):
        np.testing.assert_array_equal(vector, expected[number])


def test_no_images_give_no_vectors(encoder: encoders.Encoder) -> None:
    vectors = encoder.encode(PIXELS[:0])
    assert vectors.shape == (0, 1280)
    assert vectors.dtype == np.float32


def test_returned_vectors_are_not_overwritten_by_the_next_call(encoder: encoders.Encoder) -> None:
    first = encoder.encode(PIXELS[:1])
    kept = first.copy()
    encoder.encode(PIXELS[1:])
    np.testing.assert_array_equal(first, kept)


def test_pixels_may_have_any_memory_layout_and_be_read_only(encoder: encoders.Encoder) -> None:
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
def test_pixels_of_another_shape_or_dtype_are_refused(encoder: encoders.Encoder, pixels: NDArray[np.uint8]) -> None:
    with pytest.raises(UsageError, match=r"give uint8 of \(n, 224, 224, 3\)"):
        encoder.encode(pixels)


def test_a_graph_that_openvino_cannot_run_is_a_model_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("unsupported operation")

    monkeypatch.setattr(ov.Core, "compile_model", fails)
    with pytest.raises(ModelError, match="OpenVINO cannot run this network here: unsupported operation"):
        encoders.load()


# OpenVINO checks NumPy's version when it makes its first array. The check runs Python code, which is slowed down here.
# A second thread that asks for an array meanwhile would wait in C++, holding the GIL, for the first one: a deadlock.
FIRST_CALLS = """
import threading, time
import numpy as np
import numpy.lib
from lookalike import encoders

version = numpy.lib.NumpyVersion
numpy.lib.NumpyVersion = lambda text: (time.sleep(0.2), version(text))[1]
encoder, together = encoders.load("mean", threads=2), threading.Barrier(2)
found = []

def encode():
    together.wait()
    found.append(encoder.encode(np.full((1, 8, 8, 3), 7, np.uint8)).tolist())

threads = [threading.Thread(target=encode) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(found)
"""


def test_two_threads_may_make_their_first_calls_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes an imported model, because building the bundled one makes arrays."""
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path))
    pixels = op.parameter([1, 8, 8, 3], np.uint8, name="pixels")
    model = ov.Model([op.reduce_mean(op.convert(pixels, "f32"), np.array([1, 2]), False)], [pixels], "mean")
    card = Card("mean", "made by a test", "", "0" * 64, 3, Preprocessing(size=8), "f32", "1")
    registry.save(card, lambda folder: ov.save_model(model, folder / registry.GRAPH, compress_to_fp16=False))
    done = subprocess.run(
        [sys.executable, "-c", FIRST_CALLS], env=os.environ, stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    assert done.stdout == "[[[7.0, 7.0, 7.0]], [[7.0, 7.0, 7.0]]]\n"
