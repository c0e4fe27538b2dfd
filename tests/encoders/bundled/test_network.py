"""The bundled model: its vectors against stored ones, on other CPUs, its fingerprints, and its weights' file."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike import encoders
from lookalike.encoders.bundled import network
from lookalike.errors import ModelError
from lookalike.storage.vectors import unit
from tests.support.cosines import cosines
from tests.support.golden_images import golden_images, golden_vectors
from tests.support.project import ROOT


def encode(precision: str) -> NDArray[np.float32]:
    return encoders.load(precision=precision).encode(golden_images())


def test_float32_returns_the_vectors_of_pytorch() -> None:
    assert cosines(encode("f32"), golden_vectors("f32")).min() >= 0.9999


def test_int8_returns_the_vectors_that_it_has_always_returned() -> None:
    """To change them on purpose, raise "revision" in efficientnet_lite0.json, which changes the fingerprint."""
    assert cosines(encode("int8"), golden_vectors("int8")).min() >= 0.999


@pytest.mark.parametrize(("precision", "least"), [("bf16", 0.99), ("int8", 0.97)])
def test_lower_precisions_stay_near_float32(precision: str, least: float) -> None:
    assert cosines(encode(precision), golden_vectors("f32")).min() >= least


def test_the_stored_vectors_differ_between_images() -> None:
    """Otherwise the comparisons with them would prove nothing."""
    for precision in ("f32", "int8"):
        vectors = unit(golden_vectors(precision))
        assert (vectors @ vectors.T - 2 * np.eye(len(vectors))).max() < 0.7


CHILD = f"""
import sys
import numpy as np
sys.path.insert(0, {str(ROOT)!r})
from tests.support.golden_images import golden_images
from lookalike import encoders
np.save(sys.stdout.buffer, encoders.load(precision="int8").encode(golden_images()))
"""


@pytest.mark.parametrize("instructions", ["AVX2", "AVX512_CORE"])
def test_int8_returns_the_same_vectors_on_older_cpus(instructions: str) -> None:
    """CPUs without an 8-bit dot product add pairs of products in 16 bits, which must never saturate."""
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": instructions}
    child = subprocess.run([sys.executable, "-c", CHILD], env=environment, stdout=subprocess.PIPE, check=True)
    assert cosines(np.load(io.BytesIO(child.stdout)), encode("int8")).min() >= 0.9999


# Fingerprints


def test_the_fingerprints_are_those_of_existing_collections() -> None:
    """Changing one makes all collections of that precision incompatible."""
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


# The weights' file


def test_weights_other_than_the_published_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_WEIGHTS", ("lookalike.encoders.bundled", "efficientnet_lite0.json"))
    with pytest.raises(ModelError, match="not the published weights; install"):
        encoders.load()


@pytest.mark.parametrize("missing", [("no_such_package", "weights.pth"), ("lookalike.encoders", "no_such_file.pth")])
def test_missing_weights_are_reported_with_the_package(
    missing: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_WEIGHTS", missing)
    with pytest.raises(ModelError, match=rf"{missing[1]}: the weights are missing; install {missing[0]}"):
        encoders.load()
