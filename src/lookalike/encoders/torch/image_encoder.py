"""Runs a network on a graphics processor with PyTorch."""

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
from lookalike.encoders.openvino.image_encoder import OpenVinoEncoder
from lookalike.encoders.openvino.loading import ov
from lookalike.encoders.torch.batching import Batcher, Embeddings, Finish, Pixels
from lookalike.encoders.torch.translation import TorchGraph, any_number
from lookalike.errors import ModelError, UsageError
from lookalike.images.decode import Preprocessing

T = TypeVar("T")

# The least cosine to the CPU's vectors. Where a network imitates integers, the CPU rounds in other places.
_LEAST_COSINE, _LEAST_QUANTIZED = 0.999, 0.99
_LARGEST_BATCH = 256  # above which no processor gains anything
_LARGEST_ON_CPU = 16
_MEASURED_BATCH = 8
_SHARE_OF_MEMORY = 0.5  # of what is free; how much a convolution takes depends on the batch in steps


class TorchEncoder:
    """An encoder whose network PyTorch runs, as many pictures at once as come together and fit into memory.

    `encode` may be called from any number of threads at once; it takes several to keep a graphics processor busy.
    What it computes with is half precision, and float32 where that is not enough. That a picture's vector is the one
    that the CPU gives, up to a cosine of 0.999, is tried with two pictures when it is loaded.
    """

    def __init__(self, card: Card, model: ov.Model, *, device: str, dtype: torch.dtype | None = None) -> None:
        """`model` takes uint8 (1, size, size, 3), or any number of pictures, and gives float32 (1, dim).

        Args:
            card: what the network is.
            model: its graph.
            device: "cuda", "cuda:1", "mps" or "cpu", which has to be there.
            dtype: what to compute with, instead of what is usual there.

        Raises:
            ModelError: it cannot be run there, or gives other vectors than on the CPU.
            RuntimeError: the device fails.
        """
        self.card = card
        self.device = device
        try:
            network, together = _tried(card, model, device, dtype)
            processor = _Processor(network, card, together=together)
        except MemoryError as error:
            raise ModelError(f"{card.name}: the memory of {device} is too small for it") from error
        self._batcher = Batcher(processor.start, limit=processor.limit)

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def dim(self) -> int:
        return self.card.dim

    @property
    def preprocessing(self) -> Preprocessing:
        return self.card.preprocessing

    @property
    def fingerprint(self) -> str:
        return self.card.fingerprint

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings, float32 (n, dim), of pixels, uint8 (n, size, size, 3).

        Raises:
            UsageError: the pixels are of another shape or type.
            ModelError: the device fails, or its memory is taken by others.
        """
        side = self.preprocessing.size
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (side, side, 3):
            raise UsageError(f"pixels: {pixels.dtype} of {pixels.shape}; give uint8 of (n, {side}, {side}, 3)")
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
        self._graph = _with_memory(device, lambda: TorchGraph(model, device=device, dtype=dtype))

    def __call__(self, pixels: Tensor) -> Tensor:
        with self._without_shortcuts():
            return self._graph(pixels)

    def embeddings(self, pixels: Pixels, *, at_once: int) -> Embeddings:
        """Embeddings, float32 (n, dim), of so many pictures at once, without haste."""
        batches = torch.from_numpy(pixels).split(at_once)
        given = _with_memory(self.device, lambda: [self(batch.to(self.device)).cpu() for batch in batches])
        embeddings: Embeddings = torch.cat(given).numpy()
        return embeddings

    @cached_property
    def exact(self) -> "_Network":
        """The same in float32, for the rare picture that leads beyond the largest number of half precision."""
        return self if self.dtype == torch.float32 else _Network(self._model, self.device, torch.float32)

    def _without_shortcuts(self) -> AbstractContextManager[Any]:
        """Left to itself, torch rounds what convolutions take in float32 to ten bits, as half precision does."""
        if self.dtype == torch.float32 and self.device.startswith("cuda"):
            cudnn: AbstractContextManager[Any] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
            return cudnn
        return nullcontext()


def _tried(card: Card, model: ov.Model, device: str, dtype: torch.dtype | None) -> tuple[_Network, bool]:
    """The network in the first precision that gives the CPU's vectors, and whether it takes pictures together.

    Raises:
        ModelError: it does in none.
    """
    pictures, (flexible, together) = _pictures(card.preprocessing.size), any_number(model, card.preprocessing.size)
    quantized = any(node.get_type_name() == "FakeQuantize" for node in model.get_ops())
    least = _LEAST_QUANTIZED if quantized else _LEAST_COSINE
    # Half precision has fewer steps than integers between 0 and 255 multiplied by a scale.
    usual = torch.float32 if quantized or device == "cpu" else torch.float16
    exactly = replace(card, precision="f32" if card.precision == "bf16" else card.precision)
    expected = OpenVinoEncoder(exactly, model.clone(), threads=1).encode(pictures)
    for precision in dict.fromkeys((dtype or usual, torch.float32)):
        network = _Network(flexible, device, precision)
        for count in (len(pictures), 1) if together else (1,):
            cosine = _least_cosine(network.embeddings(pictures, at_once=count), expected)
            if cosine >= least:
                return network, count > 1
    raise ModelError(f"{card.name}: on {device} it gives other vectors than on the CPU, to a cosine of {cosine:.4f}")


def _pictures(size: int) -> Pixels:
    """Two, uint8 (2, size, size, 3), of smooth waves in all colours."""
    y, x = np.mgrid[:size, :size] * (2 * np.pi / size)
    waves = [[np.sin(3 * x + 2 * y), np.cos(5 * y), np.sin(x - y)], [np.cos(x), np.sin(2 * x * y), np.cos(7 * x)]]
    return (127.5 + 120 * np.moveaxis(np.array(waves), 1, -1)).astype(np.uint8)


def _least_cosine(given: Embeddings, expected: Embeddings) -> float:
    if given.shape != expected.shape:
        return 0.0
    products = np.linalg.norm(given, axis=1) * np.linalg.norm(expected, axis=1)
    return float(((given * expected).sum(axis=1) / np.maximum(products, np.finfo(np.float32).tiny)).min())


class _Processor:
    """Computes batches, up to two at once: while one is computed, the next is copied to the device.

    It is used by one thread at a time.
    """

    def __init__(self, network: _Network, card: Card, *, together: bool) -> None:
        self._network, self._device, self._size = network, network.device, card.preprocessing.size
        self._cuda = self._device.startswith("cuda")
        self._copying = torch.cuda.Stream(self._device) if self._cuda else None
        self.limit = self._most_at_once() if together else 1
        self._lanes = [_Lane(self.limit, self._size, card.dim, pinned=self._cuda) for _ in range(2)]

    def start(self, groups: Sequence[Pixels]) -> Finish:
        """As `batching.Start`."""
        lane = self._lanes.pop()
        count = lane.fill(groups)
        try:
            wait = _with_memory(self._device, lambda: self._launch(lane, count))
        except BaseException:
            self._lanes.append(lane)
            raise

        def finish() -> Embeddings:
            try:
                return _with_memory(self._device, lambda: self._finished(lane, count, wait))
            finally:
                self._lanes.append(lane)

        return finish

    def _launch(self, lane: "_Lane", count: int) -> Callable[[], object]:
        """Starts what is to be done; the embeddings are in the lane when what is given back has been called."""
        taken, given = lane.pixels[:count], lane.embeddings[:count]
        if not self._cuda:
            result = self._network(taken.to(self._device))
            return lambda: given.copy_(result)
        with torch.inference_mode(), torch.cuda.device(self._device):
            computing = torch.cuda.current_stream()
            with torch.cuda.stream(self._copying):
                pixels = taken.to(self._device, non_blocking=True)
            computing.wait_stream(self._copying)
            pixels.record_stream(computing)  # or its memory would be given to the next batch too early
            given.copy_(self._network(pixels), non_blocking=True)
            done = torch.cuda.Event(blocking=True)  # a thread that waits leaves its core to those that decode
            done.record()
            wait: Callable[[], object] = done.synchronize
            return wait

    def _finished(self, lane: "_Lane", count: int, wait: Callable[[], object]) -> Embeddings:
        wait()
        embeddings: Embeddings = lane.embeddings[:count].numpy().copy()
        beyond = ~np.isfinite(embeddings).all(axis=1)
        if beyond.any() and self._network.exact is not self._network:
            pixels = lane.pixels[:count][torch.from_numpy(beyond)]
            embeddings[beyond] = self._network.exact(pixels.to(self._device)).cpu().numpy()
        return embeddings

    def _most_at_once(self) -> int:
        """How many pictures fit into the memory that is free, by what some take."""
        if self._device == "cpu":
            return _LARGEST_ON_CPU
        try:
            taken, free = _with_memory(self._device, self._measured)
        except MemoryError:
            return 1
        return max(1, min(_LARGEST_BATCH, int(free * _SHARE_OF_MEMORY * _MEASURED_BATCH / max(taken, 1))))

    def _measured(self) -> tuple[int, int]:
        """The bytes that a batch takes, and those that are free."""
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
        taken = torch.cuda.max_memory_allocated(self._device) - before
        kept = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return taken, torch.cuda.mem_get_info(self._device)[0] + kept


class _Lane:
    """Where a batch is put together, and where its embeddings arrive; if pinned, the device copies by itself."""

    def __init__(self, limit: int, size: int, dim: int, *, pinned: bool) -> None:
        self.pixels = torch.empty((limit, size, size, 3), dtype=torch.uint8, pin_memory=pinned)
        self.embeddings = torch.empty((limit, dim), dtype=torch.float32, pin_memory=pinned)

    def fill(self, groups: Sequence[Pixels]) -> int:
        """Puts the pictures of all groups together, and counts them."""
        count = sum(map(len, groups))
        np.concatenate(groups, out=self.pixels[:count].numpy())
        return count


def _with_memory(device: str, work: Callable[[], T]) -> T:
    """Does some work, and raises MemoryError if the device's memory is too small for it.

    That is raised only once torch's own error is gone, which keeps all that was computed by then in memory.
    """
    try:
        return work()
    except RuntimeError as error:
        if not _is_want_of_memory(error):
            raise
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
    raise MemoryError(f"the memory of {device} is too small")


def _is_want_of_memory(error: RuntimeError) -> bool:
    message = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in message or "alloc_failed" in message
