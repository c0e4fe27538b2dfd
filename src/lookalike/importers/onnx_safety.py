"""Reads ONNX files, and refuses those that would have other files opened.

A file's weights may lie in other files, which it names as it likes. So its bytes are walked before OpenVINO sees them.

They are laid out as https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3 says, in protocol buffers' wire format:
https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from pathlib import Path

from lookalike.encoders.openvino.loading import ov
from lookalike.errors import ModelError
from lookalike.importers import isolated_read

_DEEPEST = 64  # of messages in messages, such as the graphs in the branches of a conditional
_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE, _FUNCTION, _TRAINING = range(8)
# For each kind of message, the fields that are messages which may hold tensors.
_FIELDS: dict[int, dict[int, int]] = {
    _MODEL: {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _TENSOR: {},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
    _TRAINING: {1: _GRAPH, 2: _GRAPH},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of a tensor
_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}  # kinds of fields that have always so many bytes


def read(path: Path) -> ov.Model:
    """The graph in an ONNX file, from the very bytes that were found to be harmless.

    Raises:
        ModelError: it is missing, damaged, or has weights in other files, which are not opened.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    try:
        check(data)
        return isolated_read.read("onnx", data)
    except (ValueError, isolated_read.DamagedError) as error:
        raise ModelError(f"{path}: refused as an ONNX file: {error}") from error


def check(data: bytes) -> None:
    """Makes sure that an ONNX file's bytes are whole and have all weights in them.

    Raises:
        ValueError: they are not.
    """
    if not any(field == 7 for field, _ in _fields(memoryview(data))):
        raise ValueError("there is no graph in it")
    _check(memoryview(data), _MODEL, 0)


def _check(message: memoryview, kind: int, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"its graphs are nested more than {_DEEPEST} deep")
    for field, value in _fields(message):
        if kind == _TENSOR and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value != 0)):
            raise ValueError("its weights are in other files; save it as one: onnx.save(onnx.load(FILE), ANOTHER)")
        if field in _FIELDS[kind]:
            if not isinstance(value, memoryview):
                raise ValueError("it is damaged")
            _check(value, _FIELDS[kind][field], depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The number and the value of each field; numbers of a fixed length come as their bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        field, kind = key >> 3, key & 7
        if key >= 2**32:  # which readers cut to 32 bits, or refuse
            raise ValueError("it is not an ONNX file, or damaged")
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield field, value
            continue
        if kind == _BYTES:
            length, place = _varint(message, place)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ValueError("it is not an ONNX file, or damaged")
        if length > len(message) - place:
            raise ValueError("it is not an ONNX file, or cut short")
        yield field, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number of up to ten bytes with seven bits each, the lowest first, and the place behind it."""
    number = 0
    for count, byte in enumerate(message[place : place + 10]):
        number |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return number, place + count + 1
    raise ValueError("it is not an ONNX file, or damaged")
