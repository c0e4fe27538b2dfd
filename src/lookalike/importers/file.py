"""Networks from files: ONNX, TFLite, TensorFlow's SavedModel and OpenVINO's own format.

Files say nothing of how pictures have to be prepared, but for the size. The rest is what the user wishes, or what most
networks take; and the scaling of pixels, without which nothing works, is asked for unless the network does it itself.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.card import Normalization
from lookalike.encoders.openvino.loading import PrePostProcessor, ov
from lookalike.errors import ModelError, UsageError
from lookalike.images.decode import Preprocessing
from lookalike.importers import file_format, isolated_read, onnx_safety, output_layer
from lookalike.importers.base import ImportedNetwork, ImportOptions, ImportProgress, ImportRequest
from lookalike.importers.encoder_graph import Layout, Shape, input_name, sizes
from lookalike.importers.error_summary import reason

_LARGEST = 4096  # pixels; four times the side of what networks take
_AFFINE = {"Add": np.add, "Subtract": np.subtract, "Multiply": np.multiply, "Divide": np.divide}
_UNCHANGING = {"Convert", "Transpose", "FakeQuantize"}  # the last as quantization makes it: steps, but no scaling


def fetch(request: ImportRequest) -> ImportedNetwork:
    """The network in a file or folder.

    Raises:
        ModelError: it is refused, damaged, or not a network for pictures.
        UsageError: what has to be known of it is neither in it nor wished, or a wish does not fit it.
    """
    path, options = Path(request.name), request.options
    request.progress(ImportProgress("reading"))
    kind = file_format.kind(path)
    sha256 = file_format.sha256(path, kind)
    model = _read(path, kind)
    layout, size = _picture(model, path, options.size)
    graph, output = output_layer.cut(model, options.output)
    return ImportedNetwork(
        graph=graph,
        layout=layout,
        preprocessing=_recipe(options, size),
        normalization=_scaling(model, path, options),
        source=path.absolute().name,
        licence=options.licence or "",
        sha256=sha256,
        output=output,
    )


def read(path: Path) -> ov.Model:
    """The whole graph in a file or folder.

    Raises:
        ModelError: it is refused, or damaged.
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
    """A network of 8-bit numbers with a sign, as TFLite makes them, takes those of pixels less 128; now pixels."""
    if len(model.inputs) == 1 and model.inputs[0].get_element_type() == ov.Type.i8:
        steps = PrePostProcessor(model)
        steps.input().tensor().set_element_type(ov.Type.u8)
        steps.input().preprocess().convert_element_type(ov.Type.f32).mean(128.0).convert_element_type(ov.Type.i8)
        model = steps.build()
    return model


# The input


def _picture(model: ov.Model, path: Path, wished: int | None) -> tuple[Layout, int]:
    """The layout of the only input, and the side of the picture that it takes, which the model then has."""
    if len(model.inputs) != 1:
        names = ", ".join(map(input_name, model.inputs)) or "none"
        raise ModelError(
            f"{path}: it has {len(model.inputs)} inputs ({names}); export the part that takes a picture by itself"
        )
    port = model.inputs[0]
    shape = sizes(port) or (None,) * 4
    layout = _layout(shape)
    name, kind = input_name(port), port.get_element_type()
    if layout is None or not (kind.is_real() or kind == ov.Type.u8):
        raise ModelError(
            f"{path}: its input {name} is {kind.get_type_name()} {port.get_partial_shape()},"
            " and not a picture of 3 channels"
        )
    height, width = shape[layout.index("H")], shape[layout.index("W")]
    if None not in (height, width) and height != width:
        raise ModelError(f"{path}: its input {name} is a picture of {width} x {height}, and Lookalike's are square")
    size = wished or height or width
    if size is not None and size > _LARGEST:
        raise ModelError(f"{path}: its input {name} is a picture of {size} x {size}, more than {_LARGEST} x {_LARGEST}")
    if size is None:
        raise UsageError(
            f"{path}: it takes pictures of any size; say with --size which it was trained with, such as 224"
        )
    _set_size(model, path, layout, size)
    return layout, size


def _layout(shape: Shape) -> Layout | None:
    """Where the three channels are. What leaves it open comes from PyTorch, as TensorFlow does not leave it."""
    if len(shape) != 4:
        return None
    if shape[1] == 3 or (shape[1] is None and shape[3] != 3):
        return "NCHW"
    return "NHWC" if shape[3] == 3 else None


def _set_size(model: ov.Model, path: Path, layout: Layout, size: int) -> None:
    [batch, *_] = sizes(model.inputs[0]) or (None,)
    sides = {"N": batch or -1, "C": 3, "H": size, "W": size}
    try:
        model.reshape([sides[side] for side in layout])
    except Exception as error:  # OpenVINO's have no type in common
        raise UsageError(f"{path}: it does not take pictures of {size} x {size}: {reason(error)}") from error


# The preparation


def _recipe(options: ImportOptions, size: int) -> Preprocessing:
    return options.preprocessing(Preprocessing(size))


def _scaling(model: ov.Model, path: Path, options: ImportOptions) -> Normalization | None:
    none = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), options.channels or "RGB")
    as_it_is = none if options.channels == "BGR" else None
    if model.inputs[0].get_element_type() == ov.Type.u8:
        if options.mean or options.std:
            raise UsageError(f"{path}: it takes pixels as they are; leave out --mean and --std")
        return as_it_is
    if options.mean and options.std:
        return Normalization(options.mean, options.std, none.channels)
    if options.mean or options.std:
        raise UsageError(f"{path}: give both --mean and --std, or neither")
    if rescales(model):
        return as_it_is
    raise UsageError(
        f"{path}: it does not say how pixels are to be scaled; give --mean and --std, of pixels in 0..255:"
        " 0 and 255 if it takes 0..1, 127.5 and 127.5 if it takes -1..1,"
        " 123.675,116.28,103.53 and 58.395,57.12,57.375 if it was trained as networks for ImageNet mostly are,"
        " 0 and 1 if it takes 0..255"
    )


def rescales(model: ov.Model) -> bool:
    """Whether a network begins with arithmetic that makes of pixels in 0..255 what networks compute with.

    That is numbers no larger than 10, or pixels less their mean.
    """
    low, high = np.zeros(1), np.full(1, 255.0)
    output, steps = model.inputs[0], 0
    while len(readers := list(output.get_target_inputs())) == 1:
        [reader] = readers
        node = reader.get_node()
        kind = node.get_type_name()
        if kind in _AFFINE:
            numbers = [None if port.get_index() == reader.get_index() else _constant(port) for port in node.inputs()]
            if all(number is None for number in numbers):
                break
            low, high = (
                _AFFINE[kind](*(ends if number is None else number for number in numbers)) for ends in (low, high)
            )
            steps += 1
        elif kind not in _UNCHANGING:
            break
        output = node.output(0)
    largest = max(np.abs(low).max(), np.abs(high).max())
    return steps > 0 and bool(largest <= 10 or (low.max() < -50 and high.max() < 205))


def _constant(port: Any) -> NDArray[np.float64] | None:
    """The one or three numbers of a constant input."""
    node = port.get_source_output().get_node()
    if node.get_type_name() == "Convert":
        return _constant(node.input(0))
    if node.get_type_name() != "Constant" or node.data.size not in (1, 3):
        return None
    return np.asarray(node.data, np.float64).ravel()
