"""What only many threads at once bring to light."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from lookalike.encoders import registry
from lookalike.encoders.card import Card
from lookalike.images.decode import Preprocessing

# The first array that OpenVINO hands out makes it look at NumPy's version, which takes a little Python, here a little
# longer; a thread that then asks for another array waits in C++ for the first one, and keeps it from Python for good.
TOGETHER = """
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


def test_two_threads_may_be_the_first_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an imported network, for the making of the other one takes arrays."""
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path))
    pixels = op.parameter([1, 8, 8, 3], np.uint8, name="pixels")
    model = ov.Model([op.reduce_mean(op.convert(pixels, "f32"), np.array([1, 2]), False)], [pixels], "mean")
    card = Card("mean", "made by a test", "", "0" * 64, 3, Preprocessing(size=8), "f32", "1")
    registry.save(card, lambda folder: ov.save_model(model, folder / registry.GRAPH, compress_to_fp16=False))
    done = subprocess.run(
        [sys.executable, "-c", TOGETHER], env=os.environ, stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    assert done.stdout == "[[[7.0, 7.0, 7.0]], [[7.0, 7.0, 7.0]]]\n"
