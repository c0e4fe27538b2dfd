"""The encoder for GPUs, run by PyTorch on the CPU: its vectors, its batches, lack of memory, and failures."""

import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.optional_packages import needs

needs("torch")

import openvino as ov
import torch
from openvino import opset13 as op

from lookalike import encoders
from lookalike.encoders import bundled, devices
from lookalike.encoders.card import Card
from lookalike.encoders.openvino.image_encoder import OpenVinoEncoder
from lookalike.encoders.torch import image_encoder
from lookalike.encoders.torch.image_encoder import TorchEncoder
from lookalike.encoders.torch.translation import TorchGraph
from lookalike.errors import DeviceWarning, ModelError, UsageError
from lookalike.images.decode import Preprocessing
from tests.support.cosines import cosines
from tests.support.golden_images import golden_images

SIDE, DIM = 16, 12
CARD = Card("small", "made up", "CC0-1.0", "00", DIM, Preprocessing(SIDE), "f32", "1")

Pixels = NDArray[np.uint8]


def noise(count: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def small(*, batch: int = -1, scale: float = 1 / 64, then: Callable[[Any], Any] = lambda x: x) -> ov.Model:
    """A graph of one convolution of normalized pixels, and its mean over height and width."""
    pixels = op.parameter([batch, SIDE, SIDE, 3], np.uint8)
    x = op.multiply(op.subtract(op.convert(pixels, "f32"), np.float32(100)), np.float32(scale))
    weight = np.random.default_rng(0).normal(0, 0.3, (DIM, 3, 3, 3)).astype(np.float32)
    x = op.relu(op.convolution(op.transpose(x, [0, 3, 1, 2]), weight, [1, 1], [0, 0], [0, 0], [1, 1]))
    return ov.Model([then(op.reduce_mean(x, np.array([2, 3]), False))], [pixels], "small")


def by_openvino(model: ov.Model, pixels: Pixels) -> NDArray[np.float32]:
    return OpenVinoEncoder(CARD, model.clone, threads=1).encode(pixels)


@pytest.mark.parametrize("precision", ["f32", "bf16", "int8"])
def test_the_bundled_model_returns_the_vectors_of_the_cpu(precision: str) -> None:
    pixels = golden_images()[:3]
    encoder = TorchEncoder(bundled.card(precision), bundled.graph(precision), device="cpu")
    card = encoders.card(precision=precision)
    assert (encoder.card, encoder.name, encoder.dim, encoder.preprocessing, encoder.fingerprint) == (
        card,
        card.name,
        card.dim,
        card.preprocessing,
        card.fingerprint,
    )
    expected = encoders.load(precision="int8" if precision == "int8" else "f32").encode(pixels)
    assert cosines(encoder.encode(pixels), expected).min() >= (0.999 if precision == "int8" else 0.99999)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_each_thread_gets_the_vectors_of_its_own_images(dtype: torch.dtype) -> None:
    """They do not depend on the other images of the batch."""
    encoder = TorchEncoder(CARD, small(), device="cpu", dtype=dtype)
    groups: list[Pixels] = [noise(count, seed=count) for count in range(1, 25)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(encoder.encode, groups))
    for group, vectors in zip(groups, together, strict=True):
        assert cosines(vectors, by_openvino(small(), group)).min() >= 0.9999
        alone = np.concatenate([encoder.encode(one) for one in np.split(group, len(group))])
        np.testing.assert_allclose(vectors, alone, rtol=1e-5 if dtype == torch.float32 else 1e-2)


def test_wrong_pixels_are_refused_and_no_images_give_no_vectors() -> None:
    encoder = TorchEncoder(CARD, small(), device="cpu")
    wrong_ones: list[Any] = [noise(1)[:, 1:], noise(1).astype(np.float32)]
    for wrong in wrong_ones:
        with pytest.raises(UsageError, match=r"give uint8 of \(n, 16, 16, 3\)"):
            encoder.encode(wrong)
    assert encoder.encode(noise(0)).shape == (0, DIM)


def batch_of_one(x: Any) -> Any:
    return op.reshape(x, np.array([1, DIM]), False)


def mixed(x: Any) -> Any:
    """Subtracts half the mean over the batch, so that each vector depends on the others."""
    return op.subtract(x, op.multiply(op.reduce_mean(x, np.array([0]), True), np.float32(0.5)))


@pytest.mark.parametrize("then", [batch_of_one, mixed])
def test_images_go_one_by_one_if_a_batch_changes_the_vectors(then: Callable[[Any], Any]) -> None:
    encoder = TorchEncoder(CARD, small(batch=1, then=then), device="cpu")
    expected = by_openvino(small(batch=1, then=then), noise(5))
    np.testing.assert_allclose(encoder.encode(noise(5)), expected, rtol=1e-4, atol=1e-5)


def test_a_graph_with_a_batch_size_of_one_is_run_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = batch_sizes(monkeypatch)
    encoder = TorchEncoder(CARD, small(batch=1), device="cpu")
    sizes.clear()
    encoder.encode(noise(20))
    assert sizes == [16, 4]


def batch_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch size of each call of a graph, from now on."""
    sizes: list[int] = []
    call = TorchGraph.__call__

    def spy(graph: TorchGraph, pixels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixels))
        return call(graph, pixels)

    monkeypatch.setattr(TorchGraph, "__call__", spy)
    return sizes


def test_an_overflow_in_half_precision_is_computed_again_in_float32() -> None:
    """The largest number is 65504: the two images of the check at loading stay below it, a white image does not."""
    bright = small(scale=50.0, then=lambda x: op.multiply(x, np.float32(1e-3)))
    white = np.concatenate([noise(2) // 8 + 96, np.full((1, SIDE, SIDE, 3), 255, np.uint8), noise(1)])
    encoder = TorchEncoder(CARD, bright, device="cpu", dtype=torch.float16)
    vectors = encoder.encode(white)
    assert np.isfinite(vectors).all()
    assert cosines(vectors, by_openvino(bright, white)).min() >= 0.999


def test_float32_is_used_if_half_precision_is_too_coarse() -> None:
    fine = small(then=lambda x: op.subtract(op.matmul(x, np.eye(DIM, dtype=np.float32), False, False), op.floor(x)))
    encoder = TorchEncoder(CARD, fine, device="cpu", dtype=torch.bfloat16)
    assert cosines(encoder.encode(noise(4)), by_openvino(fine, noise(4))).min() >= 0.9999


def test_a_device_that_returns_other_vectors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TorchGraph, "__call__", lambda graph, pixels: torch.ones((len(pixels), DIM)).cumsum(1))
    with pytest.raises(
        ModelError, match=r"small: on cpu it returns other vectors than on the CPU, to a cosine of 0\.\d+"
    ):
        TorchEncoder(CARD, small(), device="cpu")


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Limits the memory to five images, as on a GPU; returns the list of the batch sizes that are tried."""
    sizes: list[int] = []
    call = TorchGraph.__call__

    def limited(graph: TorchGraph, pixels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixels))
        if len(pixels) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return call(graph, pixels)

    monkeypatch.setattr(TorchGraph, "__call__", limited)
    return sizes


def test_batches_are_made_smaller_if_memory_is_too_small(little_memory: list[int]) -> None:
    encoder = TorchEncoder(CARD, small(), device="cpu")
    expected = by_openvino(small(), noise(40))
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(encoder.encode, np.split(noise(40), 4))
    np.testing.assert_allclose(np.concatenate(list(parts)), expected, rtol=1e-4, atol=1e-5)
    little_memory.clear()
    encoder.encode(noise(40))
    assert max(little_memory) <= 5


def test_memory_that_is_too_small_for_one_image_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = TorchEncoder(CARD, small(), device="cpu")

    def full(graph: TorchGraph, pixels: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)")

    monkeypatch.setattr(TorchGraph, "__call__", full)
    with pytest.raises(ModelError, match="small: the memory of cpu is taken by other programs"):
        encoder.encode(noise(3))
    with pytest.raises(ModelError, match="small: the memory of cpu is too small for it"):
        TorchEncoder(CARD, small(), device="cpu")


def test_a_failing_device_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = TorchEncoder(CARD, small(), device="cpu")

    def failing(graph: TorchGraph, pixels: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("CUDA error: unspecified launch failure\nCompile with ...")

    monkeypatch.setattr(TorchGraph, "__call__", failing)
    with pytest.raises(ModelError) as raised:
        encoder.encode(noise(3))
    assert str(raised.value) == "small: cpu fails: CUDA error: unspecified launch failure; use the CPU"
    monkeypatch.undo()
    assert encoder.encode(noise(3)).shape == (3, DIM)


def test_the_worker_thread_ends_with_the_encoder() -> None:
    before = set(threading.enumerate())
    encoder = TorchEncoder(CARD, small(), device="cpu")
    encoder.encode(noise(3))
    [thread] = set(threading.enumerate()) - before
    del encoder
    gc.collect()
    assert not thread.is_alive()


def test_the_given_graph_and_the_settings_of_torch_are_unchanged() -> None:
    def settings() -> tuple[object, ...]:
        return torch.backends.cudnn.allow_tf32, torch.get_num_threads(), torch.is_grad_enabled()

    before, model = settings(), small(batch=1)
    TorchEncoder(CARD, model, device="cpu").encode(noise(2))
    assert settings() == before
    assert list(model.input(0).shape) == [1, SIDE, SIDE, 3]


def test_a_model_that_the_gpu_cannot_run_runs_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "choose", lambda device: "cuda")

    def refuse(*_: object, **__: object) -> None:
        raise ModelError("layer 'neck' (Sinh): this operator is not supported")

    monkeypatch.setattr(image_encoder, "TorchEncoder", refuse)
    with pytest.warns(DeviceWarning, match="cuda: layer 'neck'"):
        encoder = encoders.load(device="auto")
    monkeypatch.undo()
    assert cosines(encoder.encode(golden_images()[:1]), encoders.load().encode(golden_images()[:1])).min() >= 0.9999


def test_a_bfloat16_card_is_compared_with_the_cpus_float32() -> None:
    """Otherwise the CPU's rounding would count as the device's."""
    encoder = TorchEncoder(replace(CARD, precision="bf16"), small(), device="cpu")
    assert cosines(encoder.encode(noise(4)), by_openvino(small(), noise(4))).min() >= 0.99999
