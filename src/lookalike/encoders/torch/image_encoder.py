"""Runs an image encoder on a GPU with PyTorch."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookalike.encoders.card import Card
from lookalike.encoders.card_encoder import CardEncoder
from lookalike.encoders.openvino.image_encoder import OpenVinoEncoder
from lookalike.encoders.openvino.loading import ov
from lookalike.encoders.torch.batching import Batcher, Embeddings, Finish, Pixels
from lookalike.encoders.torch.translation import TorchGraph, with_dynamic_batch
from lookalike.errors import ModelError

T = TypeVar("T")

# The least cosine to the CPU's vectors. If integer arithmetic is simulated, the CPU's real one rounds elsewhere.
_LEAST_COSINE, _LEAST_QUANTIZED_COSINE = 0.999, 0.99
_LARGEST_BATCH = 256  # images; larger batches are no faster on any GPU
_LARGEST_CPU_BATCH = 16  # images
_MEASURED_BATCH = 8  # images, of the batch whose memory is measured
# The part of the free memory that a batch may take: a convolution's memory grows with the batch in steps.
_SHARE_OF_MEMORY = 0.5


class TorchEncoder(CardEncoder):
    """An encoder whose graph is run by PyTorch, in batches of as many images as wait and fit into memory.

    `encode` may be called from any number of threads at once; it takes several to keep a GPU busy. It computes in half
    precision, or in float32 if that is not enough: when it is loaded, it verifies with two images that its vectors
    have a cosine of at least 0.999 to those of the CPU.
    """

    def __init__(self, card: Card, model: ov.Model, *, device: str, dtype: torch.dtype | None = None) -> None:
        """Translates a graph, moves it to the device, and verifies its vectors.

        Args:
            card: the model's card.
            model: the graph, from uint8 (1, size, size, 3) or (n, size, size, 3) to float32 (1, dim) or (n, dim).
            device: "cuda", "cuda:1" and so on, "mps" or "cpu"; it has to be available.
            dtype: the precision to compute in (default: float16 on a GPU, float32 if that is not enough).

        Raises:
            ModelError: the graph cannot be run on the device, or returns other vectors than on the CPU.
            RuntimeError: the device fails.
        """
        super().__init__(card)
        self.device = device
        try:
            network, batches = _verified_network(card, model, device, dtype)
            runner = _BatchRunner(network, card, batches=batches)
        except MemoryError as error:
            raise ModelError(f"{card.name}: the memory of {device} is too small for it") from error
        self._batcher = Batcher(runner.start, limit=runner.limit)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns embeddings, float32 (n, dim), of pixels, uint8 (n, size, size, 3).

        Raises:
            UsageError: the pixels have another shape or dtype, or the encoder was loaded in another process.
            ModelError: the device fails, or its memory is taken by other programs.
        """
        self.check_pixels(pixels)
        if not len(pixels):
            return np.empty((0, self.dim), np.float32)
        try:
            return self._batcher.encode(pixels)
        except MemoryError as error:
            raise ModelError(
                f"{self.name}: the memory of {self.device} is taken by other programs; end them, or use the CPU"
            ) from error
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0]
            raise ModelError(f"{self.name}: {self.device} fails: {reason}; use the CPU") from error


class _Network:
    """A network on a device, in one precision."""

    def __init__(self, model: ov.Model, device: str, dtype: torch.dtype) -> None:
        self.device, self.dtype, self._model = device, dtype, model
        self._graph = _detecting_lack_of_memory(device, lambda: TorchGraph(model, device=device, dtype=dtype))

    def __call__(self, pixels: Tensor) -> Tensor:
        with self._without_tf32():
            return self._graph(pixels)

    def embeddings(self, pixels: Pixels, *, batch_size: int) -> Embeddings:
        """Returns embeddings, float32 (n, dim), computed one batch after the other."""
        batches = torch.from_numpy(pixels).split(batch_size)
        results = _detecting_lack_of_memory(
            self.device, lambda: [self(batch.to(self.device)).cpu() for batch in batches]
        )
        embeddings: Embeddings = torch.cat(results).numpy()
        return embeddings

    @cached_property
    def exact(self) -> "_Network":
        """The network in float32, for the rare image whose values exceed the range of half precision."""
        return self if self.dtype == torch.float32 else _Network(self._model, self.device, torch.float32)

    def _without_tf32(self) -> AbstractContextManager[Any]:
        """Keeps cuDNN from rounding the inputs of float32 convolutions to TF32, which has ten bits, as float16 has."""
        if self.dtype == torch.float32 and self.device.startswith("cuda"):
            cudnn: AbstractContextManager[Any] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
            return cudnn
        return nullcontext()


def _verified_network(card: Card, model: ov.Model, device: str, dtype: torch.dtype | None) -> tuple[_Network, bool]:
    """Returns the network in the first precision that gives the CPU's vectors, and whether it gives them in batches.

    Raises:
        ModelError: no precision does.
    """
    images = _test_images(card.preprocessing.size)
    graph, dynamic = with_dynamic_batch(model, card.preprocessing.size)
    quantized = any(node.get_type_name() == "FakeQuantize" for node in model.get_ops())
    least = _LEAST_QUANTIZED_COSINE if quantized else _LEAST_COSINE
    # Half precision cannot represent all products of an integer in 0..255 and a scale.
    default = torch.float32 if quantized or device == "cpu" else torch.float16
    reference = replace(card, precision="f32" if card.precision == "bf16" else card.precision)
    expected = OpenVinoEncoder(reference, model.clone, threads=1).encode(images)
    for precision in dict.fromkeys((dtype or default, torch.float32)):
        network = _Network(graph, device, precision)
        for batch_size in (len(images), 1) if dynamic else (1,):
            cosine = _least_cosine(network.embeddings(images, batch_size=batch_size), expected)
            if cosine >= least:
                return network, batch_size > 1
    raise ModelError(f"{card.name}: on {device} it returns other vectors than on the CPU, to a cosine of {cosine:.4f}")


def _test_images(size: int) -> Pixels:
    """Two images of smooth waves in all colours, uint8 (2, size, size, 3)."""
    y, x = np.mgrid[:size, :size] * (2 * np.pi / size)
    waves = [[np.sin(3 * x + 2 * y), np.cos(5 * y), np.sin(x - y)], [np.cos(x), np.sin(2 * x * y), np.cos(7 * x)]]
    return (127.5 + 120 * np.moveaxis(np.array(waves), 1, -1)).astype(np.uint8)


def _least_cosine(found: Embeddings, expected: Embeddings) -> float:
    if found.shape != expected.shape:
        return 0.0
    products = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return float(((found * expected).sum(axis=1) / np.maximum(products, np.finfo(np.float32).tiny)).min())


class _BatchRunner:
    """Computes batches, up to two at once: while one is computed, the next is copied to the device.

    It is used by one thread at a time.
    """

    def __init__(self, network: _Network, card: Card, *, batches: bool) -> None:
        """If not `batches`, the network takes one image at a time."""
        self._network, self._device, self._size = network, network.device, card.preprocessing.size
        self._cuda = self._device.startswith("cuda")
        self._copy_stream = torch.cuda.Stream(self._device) if self._cuda else None
        self.limit = self._measured_limit() if batches else 1
        self._buffers = [_Buffers(self.limit, self._size, card.dim, pinned=self._cuda) for _ in range(2)]

    def start(self, groups: Sequence[Pixels]) -> Finish:
        """Starts to compute a batch, as in `batching.Start`."""
        buffers = self._buffers.pop()
        count = buffers.fill(groups)
        try:
            wait = _detecting_lack_of_memory(self._device, lambda: self._launch(buffers, count))
        except BaseException:
            self._buffers.append(buffers)
            raise

        def finish() -> Embeddings:
            try:
                return _detecting_lack_of_memory(self._device, lambda: self._finished(buffers, count, wait))
            finally:
                self._buffers.append(buffers)

        return finish

    def _launch(self, buffers: "_Buffers", count: int) -> Callable[[], object]:
        """Starts the computation; the function that it returns waits until the embeddings are in the buffers."""
        images, embeddings = buffers.pixels[:count], buffers.embeddings[:count]
        if not self._cuda:
            result = self._network(images.to(self._device))
            return lambda: embeddings.copy_(result)
        with torch.inference_mode(), torch.cuda.device(self._device):
            computing = torch.cuda.current_stream()
            with torch.cuda.stream(self._copy_stream):
                pixels = images.to(self._device, non_blocking=True)
            computing.wait_stream(self._copy_stream)
            pixels.record_stream(computing)  # otherwise its memory could be reused too early
            embeddings.copy_(self._network(pixels), non_blocking=True)
            done = torch.cuda.Event(blocking=True)  # a blocked thread leaves its core to the decoding threads
            done.record()
            wait: Callable[[], object] = done.synchronize
            return wait

    def _finished(self, buffers: "_Buffers", count: int, wait: Callable[[], object]) -> Embeddings:
        wait()
        embeddings: Embeddings = buffers.embeddings[:count].numpy().copy()
        overflowed = ~np.isfinite(embeddings).all(axis=1)
        if overflowed.any() and self._network.exact is not self._network:
            pixels = buffers.pixels[:count][torch.from_numpy(overflowed)]
            embeddings[overflowed] = self._network.exact(pixels.to(self._device)).cpu().numpy()
        return embeddings

    def _measured_limit(self) -> int:
        """The number of images that fit into the free memory, estimated from a small batch."""
        if self._device == "cpu":
            return _LARGEST_CPU_BATCH
        try:
            used, free = _detecting_lack_of_memory(self._device, self._measure_memory)
        except MemoryError:
            return 1
        return max(1, min(_LARGEST_BATCH, int(free * _SHARE_OF_MEMORY * _MEASURED_BATCH / max(used, 1))))

    def _measure_memory(self) -> tuple[int, int]:
        """The memory that a batch of `_MEASURED_BATCH` images takes, and the free memory, in bytes."""
        pixels = torch.zeros((_MEASURED_BATCH, self._size, self._size, 3), dtype=torch.uint8, device=self._device)
        if not self._cuda:
            torch.mps.empty_cache()
            before = torch.mps.driver_allocated_memory()
            self._network(pixels).cpu()
            after = torch.mps.driver_allocated_memory()
            return after - before, torch.mps.recommended_max_memory() - after
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        self._network(pixels).cpu()
        used = torch.cuda.max_memory_allocated(self._device) - before
        cached = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return used, torch.cuda.mem_get_info(self._device)[0] + cached


class _Buffers:
    """The memory of one batch's pixels and embeddings; if pinned, the device copies without the CPU."""

    def __init__(self, limit: int, size: int, dim: int, *, pinned: bool) -> None:
        self.pixels = torch.empty((limit, size, size, 3), dtype=torch.uint8, pin_memory=pinned)
        self.embeddings = torch.empty((limit, dim), dtype=torch.float32, pin_memory=pinned)

    def fill(self, groups: Sequence[Pixels]) -> int:
        """Concatenates the images of all groups, and returns their number."""
        count = sum(map(len, groups))
        np.concatenate(groups, out=self.pixels[:count].numpy())
        return count


def _detecting_lack_of_memory(device: str, work: Callable[[], T]) -> T:
    """Returns the result of `work`, or raises MemoryError if the device's memory is too small for it.

    It is raised outside the `except` clause, because torch's own error keeps all tensors of `work` alive.
    """
    try:
        return work()
    except RuntimeError as error:
        if not _is_lack_of_memory(error):
            raise
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
    raise MemoryError(f"the memory of {device} is too small")


def _is_lack_of_memory(error: RuntimeError) -> bool:
    message = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in message or "alloc_failed" in message
