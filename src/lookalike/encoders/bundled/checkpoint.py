"""Reads the weights from a legacy PyTorch file without PyTorch, and without executing anything in it."""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from math import prod
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
    """A flat array, which tensors are views of; `data` is None until it is read."""

    dtype: np.dtype[Any]
    size: int
    data: NDArray[Any] | None = None

    def read(self, file: BytesIO) -> None:
        if int.from_bytes(file.read(8), "little") != self.size:
            raise ValueError("a storage does not have its declared size")
        length = self.size * self.dtype.itemsize
        if length > len(file.getbuffer()) - file.tell():
            raise ValueError("it is truncated")
        self.data = np.frombuffer(file.read(length), self.dtype)


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage; offset, shape and strides are in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> NDArray[Any]:
        data = self.storage.data
        if data is None:
            raise ValueError("a tensor's data are missing")
        if not all(isinstance(number, int) for number in (self.offset, *self.shape, *self.strides)):
            raise ValueError("a tensor's shape is not made of integers")
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        # A stride of 0 would turn one element into any number of them.
        if min((self.offset, *self.shape, *self.strides)) < 0 or last >= data.size or prod(self.shape) > data.size:
            raise ValueError("a tensor reaches beyond its storage")
        strides = tuple(s * data.itemsize for s in self.strides)
        return np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, strides, writeable=False)


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


def _empty_dict() -> dict[str, Any]:
    return {}


# The only globals that a file may name; any other would be code of the file's choosing.
_ALLOWED_GLOBALS: dict[str, Callable[..., Any] | np.dtype[Any]] = {
    "collections OrderedDict": _empty_dict,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch FloatStorage": np.dtype("<f4"),
    "torch LongStorage": np.dtype("<i8"),
}

_LITERALS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_SCALARS = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"}
_TUPLE_LENGTHS = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Unpickler:
    """Executes the instructions of a pickle that `torch.save` writes, and refuses all others.

    Python's own unpickler allocates a table of any size that the file asks for, and hashes deeply nested tuples, and
    either can be made to end the process.
    """

    def __init__(self) -> None:
        self.storages: dict[str, _Storage] = {}
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def load(self, file: BytesIO) -> Any:
        for instruction, argument, _ in pickletools.genops(file):
            self._execute(instruction.name, argument)
        return self._stack.pop()

    def _execute(self, instruction: str, argument: Any) -> None:
        match instruction:
            case "PROTO" | "STOP":
                pass
            case "MARK":
                self._marks.append(len(self._stack))
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self._stack[-1]
            case "BUILD":  # attributes, such as a state dict's versions
                self._stack.pop()
            case "SETITEM":
                self._set_items(self._pop(2))
            case "SETITEMS":
                self._set_items(self._pop_to_mark())
            case "APPENDS":
                items = self._pop_to_mark()
                self._stack[-1].extend(items)
            case _:
                self._stack.append(self._value(instruction, argument))

    def _value(self, instruction: str, argument: Any) -> Any:
        if instruction in _SCALARS:
            return argument
        if instruction in _LITERALS:
            return _LITERALS[instruction]
        if instruction in _TUPLE_LENGTHS:
            return tuple(self._pop(_TUPLE_LENGTHS[instruction]))
        match instruction:
            case "BINGET" | "LONG_BINGET":
                return self._memo[argument]
            case "EMPTY_DICT":
                return {}
            case "EMPTY_LIST":
                return []
            case "TUPLE":
                return tuple(self._pop_to_mark())
            case "GLOBAL" if argument in _ALLOWED_GLOBALS:
                return _ALLOWED_GLOBALS[argument]
            case "REDUCE":
                function, arguments = self._pop(2)
                return function(*arguments)
            case "BINPERSID":
                return self._storage(*self._stack.pop())
            case "GLOBAL":
                raise ValueError(f"it asks for {argument.replace(' ', '.')[:80]}, which no weights need")
        raise ValueError(f"it has the instruction {instruction}, which no weights need")

    def _storage(self, _kind: str, dtype: np.dtype[Any], name: str, _device: str, size: int, _view: None) -> _Storage:
        if not (isinstance(dtype, np.dtype) and isinstance(name, str) and isinstance(size, int)):
            raise ValueError("a storage is not in PyTorch's form")
        return self.storages.setdefault(name, _Storage(dtype, size))

    def _pop(self, count: int) -> list[Any]:
        return [self._stack.pop() for _ in range(count)][::-1]

    def _pop_to_mark(self) -> list[Any]:
        return self._pop(len(self._stack) - self._marks.pop())

    def _set_items(self, items: list[Any]) -> None:
        keys, values = items[::2], items[1::2]
        if not all(isinstance(key, str) for key in keys):
            raise ValueError("a tensor's name is not a string")
        self._stack[-1].update(zip(keys, values, strict=True))


def state_dict(data: bytes, name: str) -> dict[str, NDArray[Any]]:
    """Reads the tensors of a file that was written by `torch.save` of PyTorch before 1.6.

    Only float32 and int64 tensors are supported, and the pickle may name nothing else, so that reading an untrusted
    file executes none of its code.

    Args:
        data: the file's bytes.
        name: the file's name, for messages.

    Returns:
        The tensors by name, as read-only arrays.

    Raises:
        ModelError: the file has another layout, is truncated, or asks for anything else.
    """
    try:
        return _state_dict(BytesIO(data))
    except ValueError as error:
        raise ModelError(f"{name}: refused as a weights file: {error}") from error
    except Exception as error:  # a damaged file may cause any type
        raise ModelError(f"{name}: refused as a weights file: it is damaged ({type(error).__name__})") from error


def _state_dict(file: BytesIO) -> dict[str, NDArray[Any]]:
    if (_Unpickler().load(file), _Unpickler().load(file)) != (_MAGIC_NUMBER, _PROTOCOL_VERSION):
        raise ValueError("not a legacy PyTorch file")
    _Unpickler().load(file)  # sizes of C types, which the two supported kinds of storage do not depend on
    unpickler = _Unpickler()
    tensors = unpickler.load(file)
    for name in _Unpickler().load(file):
        if not isinstance(name, str) or name not in unpickler.storages:
            raise ValueError("it has a storage that no tensor uses")
        unpickler.storages[name].read(file)
    return {name: tensor.array() for name, tensor in tensors.items()}
