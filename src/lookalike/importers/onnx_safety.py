"""Reads ONNX files, and refuses those that refer to other files.

A file's weights may lie in other files, whose paths it names. So its bytes are checked before OpenVINO reads them.

The format is described in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3, in the wire format of protocol
buffers: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from pathlib import Path

from lookalike.encoders.openvino.loading import ov
from lookalike.errors import ModelError
from lookalike.importers import isolated_read

_MAX_DEPTH = 64  # of messages in messages, such as the graphs in the branches of a conditional
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
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of a tensor
_VARINT, _LENGTH_DELIMITED = 0, 2  # wire types
_FIXED = {1: 8, 5: 4}  # wire types of a fixed size, in bytes


def read(path: Path) -> ov.Model:
    """Returns the graph in an ONNX file, read from the very bytes that were checked.

    Raises:
        ModelError: the file is missing, damaged, or refers to weights in other files, which are not opened.
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
    """Checks that the bytes of an ONNX file are complete and hold all of its weights.

    Raises:
        ValueError: they are not, or do not.
    """
    if not any(field == 7 for field, _ in _fields(memoryview(data))):
        raise ValueError("there is no graph in it")
    _check(memoryview(data), _MODEL, 0)


def _check(message: memoryview, kind: int, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError(f"its graphs are nested more than {_MAX_DEPTH} deep")
    for field, value in _fields(message):
        if kind == _TENSOR and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value != 0)):
            raise ValueError("its weights are in other files; save it as one: onnx.save(onnx.load(FILE), ANOTHER)")
        if field in _FIELDS[kind]:
            if not isinstance(value, memoryview):
                raise ValueError("it is damaged")
            _check(value, _FIELDS[kind][field], depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yields the number and the value of each field; values of a fixed size as their bytes."""
    offset = 0
    while offset < len(message):
        key, offset = _varint(message, offset)
        field, kind = key >> 3, key & 7
        if key >= 2**32:  # readers truncate it to 32 bits, or refuse it
            raise ValueError("it is not an ONNX file, or damaged")
        if kind == _VARINT:
            value, offset = _varint(message, offset)
            yield field, value
            continue
        if kind == _LENGTH_DELIMITED:
            length, offset = _varint(message, offset)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ValueError("it is not an ONNX file, or damaged")
        if length > len(message) - offset:
            raise ValueError("it is not an ONNX file, or truncated")
        yield field, message[offset : offset + length]
        offset += length


def _varint(message: memoryview, offset: int) -> tuple[int, int]:
    """The number at an offset, in up to ten bytes of seven bits each, the lowest first, and the offset after it."""
    number = 0
    for count, byte in enumerate(message[offset : offset + 10]):
        number |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return number, offset + count + 1
    raise ValueError("it is not an ONNX file, or damaged")
