"""OpenVINO's elementwise and shape operators as functions of torch.

A function takes the operator's attributes and then its inputs, and returns its output, or a tuple of them. Inputs that
are parameters, such as axes and shapes, are always on the CPU, so that reading them does not wait for the GPU. The
semantics are those of docs.openvino.ai, "Operation Sets".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from lookalike.errors import ModelError

Attributes = Mapping[str, Any]

_TYPES = {"boolean": torch.bool, "u8": torch.uint8, "i8": torch.int8, "i32": torch.int32, "i64": torch.int64}


@dataclass(frozen=True)
class Operator:
    """The implementation of one of OpenVINO's operators in torch.

    Attributes:
        apply: a function of the attributes and the inputs.
        parameters: the indices of the inputs that are parameters, such as axes; they are always on the CPU.
        precision: "half" if it computes in the graph's own precision whatever its inputs are, "float32" if it sums
            many numbers and so returns float32, "same" if it computes in the precision of its inputs.
    """

    apply: Callable[..., Any]
    parameters: tuple[int, ...] = ()
    precision: Literal["same", "half", "float32"] = "same"


def integers(tensor: Tensor) -> list[int]:
    """The elements of a parameter as integers."""
    return [int(number) for number in tensor.flatten().tolist()]


def check_attribute(attributes: Attributes, name: str, *supported: Any) -> None:
    """Raises ModelError if an attribute has another value than the supported ones; the first is the default."""
    if attributes.get(name, supported[0]) not in supported:
        raise ModelError(f"{name} is {attributes[name]!r}, which only the CPU can do")


# Elementwise operators


def _divide(attributes: Attributes, x: Tensor, y: Tensor) -> Tensor:
    if x.is_floating_point():
        return x / y
    return torch.div(x, y, rounding_mode="floor" if attributes.get("m_pythondiv", True) else "trunc")


def _clamp(attributes: Attributes, x: Tensor) -> Tensor:
    return x.clamp(attributes["min"], attributes["max"])


def _elu(attributes: Attributes, x: Tensor) -> Tensor:
    return functional.elu(x, attributes["alpha"])


def _gelu(attributes: Attributes, x: Tensor) -> Tensor:
    tanh = attributes.get("approximation_mode", "ERF").upper() == "TANH"
    return functional.gelu(x, approximate="tanh" if tanh else "none")


def _hard_sigmoid(_: Attributes, x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    return (x * alpha.item() + beta.item()).clamp(0, 1)


def _prelu(_: Attributes, x: Tensor, slope: Tensor) -> Tensor:
    if slope.ndim == 1 and x.ndim > 1 and slope.numel() > 1:  # a slope a channel, axis 1
        slope = slope.reshape(-1, *[1] * (x.ndim - 2))
    return torch.where(x >= 0, x, x * slope)


def _squared_difference(_: Attributes, x: Tensor, y: Tensor) -> Tensor:
    return (x - y).square()


def _swish(_: Attributes, x: Tensor, beta: Tensor | None = None) -> Tensor:
    return functional.silu(x) if beta is None else x * torch.sigmoid(x * beta.item())


def _convert(attributes: Attributes, x: Tensor) -> Tensor:
    """Conversions between float types change nothing: the translation chooses the precision of floats."""
    target = str(attributes["destination_type"])
    if target in _TYPES:
        return x.to(_TYPES[target])
    if target not in {"f16", "bf16", "f32", "f64"}:
        raise ModelError(f"it converts to {target}, which only the CPU can do")
    return x if x.is_floating_point() else x.float()


_ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "Abs": torch.abs,
    "Add": torch.add,
    "Ceiling": torch.ceil,
    "Equal": torch.eq,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "FloorMod": torch.remainder,
    "Greater": torch.gt,
    "GreaterEqual": torch.ge,
    "HSigmoid": functional.hardsigmoid,
    "HSwish": functional.hardswish,
    "Less": torch.lt,
    "LessEqual": torch.le,
    "Log": torch.log,
    "LogicalAnd": torch.logical_and,
    "LogicalNot": torch.logical_not,
    "LogicalOr": torch.logical_or,
    "Maximum": torch.maximum,
    "Minimum": torch.minimum,
    "Mish": functional.mish,
    "Multiply": torch.mul,
    "Negative": torch.neg,
    "NotEqual": torch.ne,
    "Power": torch.pow,
    "Relu": torch.relu,
    "Select": torch.where,
    "Sigmoid": torch.sigmoid,
    "SoftPlus": functional.softplus,
    "Sqrt": torch.sqrt,
    "Subtract": torch.sub,
    "Tanh": torch.tanh,
}


def _without_attributes(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _, *inputs: function(*inputs)


# Shape operators


def _shape_of(_: Attributes, x: Tensor) -> Tensor:
    return torch.tensor(x.shape, dtype=torch.int64)


def _reshape(attributes: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    sizes = integers(shape)
    if attributes.get("special_zero"):
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


def _squeeze(_: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    return x.squeeze() if axes is None else x.squeeze(integers(axes))


def _unsqueeze(_: Attributes, x: Tensor, axes: Tensor) -> Tensor:
    new = integers(axes)
    for axis in sorted(axis % (x.ndim + len(new)) for axis in new):
        x = x.unsqueeze(axis)
    return x


def _transpose(_: Attributes, x: Tensor, order: Tensor | None = None) -> Tensor:
    return x.permute(integers(order) if order is not None and order.numel() else list(range(x.ndim))[::-1])


def _concat(attributes: Attributes, *parts: Tensor) -> Tensor:
    return torch.cat(parts, attributes["axis"])


def _split(attributes: Attributes, x: Tensor, axis: Tensor) -> tuple[Tensor, ...]:
    return tuple(x.chunk(attributes["num_splits"], int(axis)))


def _variadic_split(_: Attributes, x: Tensor, axis: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
    sizes, total = integers(lengths), x.shape[int(axis)]
    rest = total - sum(size for size in sizes if size >= 0)
    return tuple(x.split([rest if size < 0 else size for size in sizes], int(axis)))


def _gather(attributes: Attributes, x: Tensor, indices: Tensor, axis: Tensor) -> Tensor:
    check_attribute(attributes, "batch_dims", 0)
    dimension = int(axis) % x.ndim
    if indices.ndim == 0:
        return x.select(dimension, int(indices))
    positions = indices.flatten().long() % x.shape[dimension]  # negative ones count from the end
    taken = x.index_select(dimension, positions.to(x.device))
    return taken.reshape(x.shape[:dimension] + indices.shape + x.shape[dimension + 1 :])


def _slice(_: Attributes, x: Tensor, start: Tensor, stop: Tensor, step: Tensor, axes: Tensor | None = None) -> Tensor:
    along = range(start.numel()) if axes is None else integers(axes)
    for axis, *bounds in zip(along, *map(integers, (start, stop, step)), strict=True):
        x = _sliced(x, axis, slice(*bounds))
    return x


def _sliced(x: Tensor, axis: int, part: slice) -> Tensor:
    first, last, stride = part.indices(x.shape[axis])
    if stride > 0:
        return x[(slice(None),) * (axis % x.ndim) + (slice(first, last, stride),)]
    return x.index_select(axis, torch.arange(first, last, stride, device=x.device))


def _strided_slice(
    attributes: Attributes, x: Tensor, begin: Tensor, end: Tensor, strides: Tensor | None = None
) -> Tensor:
    """NumPy's basic indexing: masks say which entries are integers (shrink), None (new axis) or an ellipsis."""
    starts, stops = integers(begin), integers(end)
    steps = integers(strides) if strides is not None else [1] * len(starts)

    def masked(name: str, entry: int) -> bool:
        mask = attributes.get(name, ())
        return entry < len(mask) and bool(mask[entry])

    axis = 0
    for entry, (start, stop, step) in enumerate(zip(starts, stops, steps, strict=True)):
        if masked("ellipsis_mask", entry):
            axis = x.ndim - sum(not masked("new_axis_mask", later) for later in range(entry + 1, len(starts)))
        elif masked("new_axis_mask", entry):
            x = x.unsqueeze(axis)
            axis += 1
        elif masked("shrink_axis_mask", entry):
            x = x.select(axis, start)
        else:
            first = None if masked("begin_mask", entry) else start
            x = _sliced(x, axis, slice(first, None if masked("end_mask", entry) else stop, step))
            axis += 1
    return x


def _broadcast(attributes: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    check_attribute(attributes, "mode", "numpy", "bidirectional")
    return x.broadcast_to(torch.broadcast_shapes(x.shape, integers(shape)))


def _tile(_: Attributes, x: Tensor, repeats: Tensor) -> Tensor:
    return x.tile(integers(repeats))


def _pad(attributes: Attributes, x: Tensor, begin: Tensor, end: Tensor, value: Tensor | None = None) -> Tensor:
    check_attribute(attributes, "pad_mode", "constant")
    widths = [w for pair in zip(integers(begin), integers(end), strict=True) for w in pair[::-1]]
    return functional.pad(x, widths[::-1], value=0 if value is None else value.item())


def _roll(_: Attributes, x: Tensor, shift: Tensor, axes: Tensor) -> Tensor:
    return x.roll(integers(shift), integers(axes))


OPERATORS: dict[str, Operator] = {
    **{name: Operator(_without_attributes(function)) for name, function in _ELEMENTWISE.items()},
    "Broadcast": Operator(_broadcast, parameters=(1,)),
    "Clamp": Operator(_clamp),
    "Concat": Operator(_concat),
    "Convert": Operator(_convert),
    "Divide": Operator(_divide),
    "Elu": Operator(_elu),
    "Gather": Operator(_gather, parameters=(1, 2)),
    "Gelu": Operator(_gelu),
    "HardSigmoid": Operator(_hard_sigmoid, parameters=(1, 2)),
    "PRelu": Operator(_prelu),
    "Pad": Operator(_pad, parameters=(1, 2, 3)),
    "Reshape": Operator(_reshape, parameters=(1,)),
    "Roll": Operator(_roll, parameters=(1, 2)),
    "ShapeOf": Operator(_shape_of),
    "Slice": Operator(_slice, parameters=(1, 2, 3, 4)),
    "Split": Operator(_split, parameters=(1,)),
    "SquaredDifference": Operator(_squared_difference),
    "Squeeze": Operator(_squeeze, parameters=(1,)),
    "StridedSlice": Operator(_strided_slice, parameters=(1, 2, 3)),
    "Swish": Operator(_swish, parameters=(1,)),
    "Tile": Operator(_tile, parameters=(1,)),
    "Transpose": Operator(_transpose, parameters=(1,)),
    "Unsqueeze": Operator(_unsqueeze, parameters=(1,)),
    "VariadicSplit": Operator(_variadic_split, parameters=(1, 2)),
}
