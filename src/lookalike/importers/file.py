"""Imports networks from files: ONNX, TFLite, TensorFlow's SavedModel and OpenVINO's own format.

Files say nothing about how images are prepared, except for the size. The rest is what the user specifies, or what most
networks take. Normalization has no usable default: it is required, unless the network normalizes pixels itself.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.card import NO_NORMALIZATION, Normalization
from lookalike.encoders.openvino.loading import PrePostProcessor, ov
from lookalike.errors import ModelError, UsageError
from lookalike.images.decode import Preprocessing
from lookalike.importers import file_format, isolated_read, onnx_safety, output_layer
from lookalike.importers.base import ImportedNetwork, ImportOptions, ImportProgress, ImportRequest
from lookalike.importers.encoder_graph import Layout, Shape, input_name, shape_of
from lookalike.importers.error_summary import one_line

_MAX_SIZE = 4096  # pixels; four times the side of what published networks take
_AFFINE = {"Add": np.add, "Subtract": np.subtract, "Multiply": np.multiply, "Divide": np.divide}
_VALUE_PRESERVING = {"Convert", "Transpose", "FakeQuantize"}  # the last, from quantization, only rounds
_MAX_NORMALIZED = 10  # no published normalization yields larger values, except by subtracting the mean alone


def fetch(request: ImportRequest) -> ImportedNetwork:
    """Returns the network in a file or folder.

    Raises:
        ModelError: it is refused, damaged, or does not take images.
        UsageError: a required option is missing, or an option does not fit the network.
    """
    path, options = Path(request.name), request.options
    request.progress(ImportProgress("reading"))
    kind = file_format.kind(path)
    sha256 = file_format.sha256(path, kind)
    model = _read(path, kind)
    layout, size = _image_input(model, path, options.size)
    graph, output = output_layer.cut(model, options.output)
    return ImportedNetwork(
        graph=graph,
        layout=layout,
        preprocessing=options.preprocessing(Preprocessing(size)),
        normalization=_normalization(model, path, options),
        source=path.absolute().name,
        licence=options.licence or "",
        sha256=sha256,
        output=output,
    )


def read(path: Path) -> ov.Model:
    """Returns the whole graph in a file or folder.

    Raises:
        ModelError: it is missing, refused or damaged.
    """
    return _read(path, file_format.kind(path))


def _read(path: Path, kind: file_format.Kind) -> ov.Model:
    file_format.files(path, kind)
    try:
        match kind:
            case "onnx":
                model = onnx_safety.read(path)
            case "ir":
                model = isolated_read.read("ir", path.read_bytes(), path.with_suffix(".bin").read_bytes())
            case "tflite":
                model = isolated_read.read("tflite", path=path)
            case "saved_model":
                model = isolated_read.read("tf", path=path)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    except isolated_read.DamagedError as error:
        raise ModelError(f"{path}: it cannot be read: {error}") from error
    return _from_pixels(model)


def _from_pixels(model: ov.Model) -> ov.Model:
    """Lets a network of signed 8-bit integers, which TFLite feeds with pixels minus 128, take pixels."""
    if len(model.inputs) == 1 and model.inputs[0].get_element_type() == ov.Type.i8:
        steps = PrePostProcessor(model)
        steps.input().tensor().set_element_type(ov.Type.u8)
        steps.input().preprocess().convert_element_type(ov.Type.f32).mean(128.0).convert_element_type(ov.Type.i8)
        model = steps.build()
    return model


# The input


def _image_input(model: ov.Model, path: Path, given_size: int | None) -> tuple[Layout, int]:
    """The layout of the only input and the side of the image that it takes; the model is reshaped to that side."""
    if len(model.inputs) != 1:
        names = ", ".join(map(input_name, model.inputs)) or "none"
        raise ModelError(
            f"{path}: it has {len(model.inputs)} inputs ({names}); export the part that takes an image by itself"
        )
    port = model.inputs[0]
    shape = shape_of(port) or (None,) * 4
    layout = _layout(shape)
    name, kind = input_name(port), port.get_element_type()
    if layout is None or not (kind.is_real() or kind == ov.Type.u8):
        raise ModelError(
            f"{path}: its input {name} is {kind.get_type_name()} {port.get_partial_shape()},"
            " and not an image of 3 channels"
        )
    height, width = shape[layout.index("H")], shape[layout.index("W")]
    if None not in (height, width) and height != width:
        raise ModelError(f"{path}: its input {name} is an image of {width} x {height}, and Lookalike's are square")
    size = given_size or height or width
    if size is None:
        raise UsageError(f"{path}: it takes images of any size; give the `size` that it was trained with, such as 224")
    if size > _MAX_SIZE:
        raise ModelError(f"{path}: its input {name} is an image of {size} x {size}; the limit is {_MAX_SIZE}")
    _set_size(model, path, layout, size)
    return layout, size


def _layout(shape: Shape) -> Layout | None:
    """The layout of an image input, None if it is not one. An open layout is PyTorch's; TensorFlow's is fixed."""
    if len(shape) != 4:
        return None
    if shape[1] == 3 or (shape[1] is None and shape[3] != 3):
        return "NCHW"
    return "NHWC" if shape[3] == 3 else None


def _set_size(model: ov.Model, path: Path, layout: Layout, size: int) -> None:
    [batch, *_] = shape_of(model.inputs[0]) or (None,)
    sides = {"N": batch or -1, "C": 3, "H": size, "W": size}
    try:
        model.reshape([sides[side] for side in layout])
    except Exception as error:  # OpenVINO's have no type in common
        raise UsageError(f"{path}: it does not take images of {size} x {size}: {one_line(error)}") from error


# The normalization


def _normalization(model: ov.Model, path: Path, options: ImportOptions) -> Normalization | None:
    channels = options.channels or NO_NORMALIZATION.channels
    as_they_are = replace(NO_NORMALIZATION, channels="BGR") if channels == "BGR" else None
    if model.inputs[0].get_element_type() == ov.Type.u8:
        if options.mean or options.std:
            raise UsageError(f"{path}: it takes pixels as they are; leave out `mean` and `std`")
        return as_they_are
    if options.mean and options.std:
        return Normalization(options.mean, options.std, channels)
    if options.mean or options.std:
        raise UsageError(f"{path}: give both `mean` and `std`, or neither")
    if normalizes(model):
        return as_they_are
    raise UsageError(
        f"{path}: it does not say how pixels are normalized; give `mean` and `std`, of pixels in 0..255:"
        " 0 and 255 if it takes 0..1, 127.5 and 127.5 if it takes -1..1,"
        " 123.675,116.28,103.53 and 58.395,57.12,57.375 if it was trained on ImageNet as most networks are,"
        " 0 and 1 if it takes 0..255"
    )


def normalizes(model: ov.Model) -> bool:
    """Returns whether a network begins with arithmetic that normalizes pixels in 0..255.

    The result of such arithmetic is at most 10 in magnitude, or pixels minus their mean.
    """
    low, high = np.zeros(1), np.full(1, 255.0)
    output, steps = model.inputs[0], 0
    while len(readers := list(output.get_target_inputs())) == 1:
        [reader] = readers
        node = reader.get_node()
        kind = node.get_type_name()
        if kind in _AFFINE:
            operands = [None if port.get_index() == reader.get_index() else _constant(port) for port in node.inputs()]
            if all(operand is None for operand in operands):
                break
            low, high = (
                _AFFINE[kind](*(bound if operand is None else operand for operand in operands)) for bound in (low, high)
            )
            steps += 1
        elif kind not in _VALUE_PRESERVING:
            break
        output = node.output(0)
    largest = max(np.abs(low).max(), np.abs(high).max())
    return steps > 0 and bool(largest <= _MAX_NORMALIZED or (low.max() < -50 and high.max() < 205))


def _constant(port: Any) -> NDArray[np.float64] | None:
    """The values of an input that is a constant of one or three numbers; None for any other input."""
    node = port.get_source_output().get_node()
    if node.get_type_name() == "Convert":
        return _constant(node.input(0))
    if node.get_type_name() != "Constant" or node.data.size not in (1, 3):
        return None
    return np.asarray(node.data, np.float64).ravel()
