"""Reads the weights out of a legacy PyTorch file without PyTorch, and without running anything in it."""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError

# The layout of torch.save before PyTorch 1.6: five pickles (magic number, protocol version, system,
# the state dict with named storages, the names in order), then each storage's element count and bytes.
_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001


@dataclass
class _Storage:
    """A flat run of numbers, of which tensors are views."""

    dtype: np.dtype[Any]
    size: int
    data: NDArray[Any] | None = None


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage: offset, shape and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> NDArray[Any]:
        data = self.storage.data
        assert data is not None  # read_state_dict fills every storage first
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if self.offset < 0 or min(self.strides, default=0) < 0 or last >= data.size:
            raise ValueError("a tensor reaches beyond its storage")
        strides = tuple(s * data.itemsize for s in self.strides)
        return np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, strides).copy()


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


# Everything that a file may name. Anything else would be code of the file's choosing.
_ADMITTED: dict[tuple[str, str], Callable[..., Any] | np.dtype[Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, name, _, size, _ = pid
        return self.storages.setdefault(name, _Storage(dtype, size))


def state_dict(data: bytes, name: str) -> dict[str, NDArray[Any]]:
    """The tensors in a file that `torch.save` of PyTorch before 1.6 wrote, by name.

    Only float32 and int64 tensors are admitted; the pickle may name nothing else, so reading
    a stranger's file runs no code of theirs.

    Raises:
        ModelError: the file is not of that layout, is cut short, or asks for anything else.
    """
    try:
        file = BytesIO(data)
        if _Unpickler(file).load() != _MAGIC_NUMBER or _Unpickler(file).load() != _PROTOCOL_VERSION:
            raise ValueError("not a legacy PyTorch file")
        _Unpickler(file).load()  # sizes of C types, which the two kinds of storage do not depend on
        unpickler = _Unpickler(file)
        tensors = unpickler.load()
        for storage in _Unpickler(file).load():
            _read_storage(file, unpickler.storages[storage])
        return {key: tensor.array() for key, tensor in tensors.items()}
    except (
        pickle.UnpicklingError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        IndexError,
    ) as error:
        raise ModelError(f"{name}: refused as a weights file: {error}") from error


def _read_storage(file: BytesIO, storage: _Storage) -> None:
    if int.from_bytes(file.read(8), "little") != storage.size:
        raise ValueError("a storage is not of the size it was announced with")
    raw = file.read(storage.size * storage.dtype.itemsize)
    storage.data = np.frombuffer(raw, storage.dtype)
    if storage.data.size != storage.size:
        raise EOFError("the file is cut short")
