"""Translates an OpenVINO graph to torch, operator by operator, to run it on a GPU.

An imported model thus runs on the CPU and on a GPU from the same file. The graph is translated once, into a list of
steps. Values that depend on the pixels are computed on the device; those that depend on shapes only on the CPU, so that
no step has to wait for the device; those that depend on neither are computed in advance, in float32.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lookalike.encoders.openvino.loading import FAILURES, ov
from lookalike.encoders.torch.layers import LAYERS
from lookalike.encoders.torch.operators import OPERATORS, Operator
from lookalike.errors import ModelError

_OPERATORS: Mapping[str, Operator] = {**OPERATORS, **LAYERS}
_CONVOLUTIONS = ("Convolution", "GroupConvolution")


class TorchGraph:
    """A graph on a device, from pixels, uint8 (n, size, size, 3), to embeddings, float32 (n, dim)."""

    def __init__(self, model: ov.Model, *, device: str, dtype: torch.dtype) -> None:
        """Translates a graph, and moves its weights to the device.

        Args:
            model: the graph.
            device: a device of torch, such as "cuda".
            dtype: the precision of convolutions and matrix products; sums over many numbers are float32 anyway.

        Raises:
            ModelError: the graph has an operator that is not supported.
            RuntimeError: torch cannot move the graph to the device.
        """
        with torch.inference_mode():
            translation = _Translation(device, dtype)
            for node in model.get_ordered_ops():
                translation.add(node)
        self._input, self._output = translation.input, translation.output
        self._steps = _pruned(translation.steps, self._output)
        used = {slot for step in self._steps for slot in step.inputs}
        self._slots = [tensor if slot in used else None for slot, tensor in enumerate(translation.slots)]

    def __call__(self, pixels: Tensor) -> Tensor:
        """Starts the computation on the device, which holds `pixels` and the result.

        Raises:
            ModelError: an operator is used in a way that is not supported.
            RuntimeError: torch fails on this device, for example for lack of memory.
        """
        slots: list[Any] = self._slots.copy()
        slots[self._input] = pixels
        with torch.inference_mode():
            for step in self._steps:
                _run_step(step, slots)
            return slots[self._output].float()


def with_dynamic_batch(model: ov.Model, size: int) -> tuple[ov.Model, bool]:
    """Copies a graph, with a dynamic batch size if it supports one, else with a batch size of 1.

    Returns:
        The copy, and whether its batch size is dynamic.

    Raises:
        ModelError: the graph does not take images of that size.
    """
    for count in (-1, 1):
        copy = model.clone()
        try:
            copy.reshape([count, size, size, 3])
        except FAILURES:  # for example, a batch size of 1 is fixed within the graph
            continue
        if count == 1 or copy.output(0).get_partial_shape()[0].is_dynamic:
            return copy, count != 1
    raise ModelError(f"its graph does not take pixels of (1, {size}, {size}, 3)")


@dataclass(frozen=True)
class _Step:
    """An operator that is applied to the values in some slots, and whose outputs go into others.

    Attributes:
        name: the layer's name, for messages.
        operator: its implementation.
        attributes: the operator's attributes.
        inputs: the slots of the inputs.
        outputs: the slots of the outputs.
        last_used: the slots that no later step reads.
    """

    name: str
    operator: Operator
    attributes: Mapping[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    last_used: tuple[int, ...] = ()


def _run_step(step: _Step, slots: list[Any]) -> None:
    try:
        result = step.operator.apply(step.attributes, *[slots[slot] for slot in step.inputs])
    except (ModelError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise ModelError(f"{step.name}: {error}") from error
    for slot, tensor in zip(step.outputs, result if isinstance(result, tuple) else (result,), strict=False):
        slots[slot] = tensor
    for slot in step.last_used:
        slots[slot] = None  # frees its memory


def _pruned(steps: list[_Step], output: int) -> list[_Step]:
    """The steps that the output depends on, each with the slots that no later step reads."""
    needed, kept = {output}, []
    for step in reversed(steps):
        if needed.isdisjoint(step.outputs):
            continue
        last_used = (set(step.inputs) | set(step.outputs)) - needed
        kept.append(replace(step, last_used=tuple(sorted(last_used))))
        needed = needed - set(step.outputs) | set(step.inputs)
    return kept[::-1]


_Location = Literal["constant", "host", "device"]


@dataclass(frozen=True)
class _Value:
    """The facts about a slot's value that are known in advance.

    Attributes:
        slot: its index.
        location: "constant" if the value is known, "host" if it depends on shapes only, "device" if on the pixels.
        is_float: whether it has a floating-point type.
        is_float32: whether it is on the device in float32 even if the graph computes in half precision.
    """

    slot: int
    location: _Location
    is_float: bool
    is_float32: bool = False


class _Translation:
    """Translates a graph's nodes, given in topological order, to steps."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self.slots: list[Any] = []  # constants are filled in, all others are None
        self.steps: list[_Step] = []
        self.input = self.output = -1
        self._device, self._dtype = device, dtype
        self._values: dict[tuple[str, int], _Value] = {}  # by the node's name and the output's index
        self._moved: dict[tuple[int, str], int] = {}  # by the original slot and the purpose

    def add(self, node: ov.Node) -> None:
        """Adds a node.

        Raises:
            ModelError: its operator is not supported.
        """
        kind = node.get_type_name()
        if kind == "Parameter":
            self.input = self._new_slot()
            self._values[node.get_name(), 0] = _Value(self.input, "device", is_float=False)
        elif kind == "Constant":
            slot = self._new_slot(_constant(node))
            self._values[node.get_name(), 0] = _Value(slot, "constant", is_float=_is_float(node))
        elif kind == "Result":
            [value] = _inputs(node, self._values)
            self.output = value.slot
        elif kind in _OPERATORS:
            self._add_operator(node, _OPERATORS[kind])
        else:
            raise ModelError(f"{_name(node)}: this operator is not supported on a GPU")

    def _add_operator(self, node: ov.Node, operator: Operator) -> None:
        values = _inputs(node, self._values)
        location = _location(node, operator, values)
        is_float32 = location == "device" and _returns_float32(operator, values)
        outputs = tuple(self._new_slot() for _ in range(node.get_output_size()))
        for index, slot in enumerate(outputs):
            self._values[node.get_name(), index] = _Value(slot, location, _is_float(node, index), is_float32)
        inputs = [
            self._on_device(value, _purpose(node, operator, index, is_float32=is_float32))
            if location == "device" and index not in operator.parameters
            else value.slot
            for index, value in enumerate(values)
        ]
        step = _Step(_name(node), operator, node.get_attributes(), tuple(inputs), outputs)
        if location == "constant":
            _run_step(step, self.slots)
        else:
            self.steps.append(step)

    def _on_device(self, value: _Value, purpose: str) -> int:
        """The slot of a value on the device, in the precision for the purpose; moves or converts it if necessary."""
        if value.location == "device" and not (value.is_float32 and purpose == "half"):
            return value.slot
        if (value.slot, purpose) not in self._moved:
            dtype = (torch.float32 if purpose == "float32" else self._dtype) if value.is_float else None
            slot = self._moved[value.slot, purpose] = self._new_slot()
            if value.location == "constant":
                tensor = self.slots[value.slot]
                tensor = _channels_last(tensor) if purpose == "weight" else tensor
                self.slots[slot] = tensor.to(self._device, dtype)
            else:
                move = Operator(lambda _, x: x.to(self._device, dtype, non_blocking=True))
                self.steps.append(_Step("moved", move, {}, (value.slot,), (slot,)))
        return self._moved[value.slot, purpose]

    def _new_slot(self, tensor: Tensor | None = None) -> int:
        self.slots.append(tensor)
        return len(self.slots) - 1


def _purpose(node: ov.Node, operator: Operator, index: int, *, is_float32: bool) -> str:
    """The use that an operator on the device makes of an input: "weight", or the precision that it takes it in."""
    if index == 1 and node.get_type_name() in _CONVOLUTIONS:
        return "weight"
    if operator.precision == "half":
        return "half"
    return "float32" if is_float32 else "same"


def _location(node: ov.Node, operator: Operator, values: list[_Value]) -> _Location:
    """The location where an operator's outputs are computed."""
    parameters = [value for index, value in enumerate(values) if index in operator.parameters]
    operands = [value for index, value in enumerate(values) if index not in operator.parameters]
    if any(value.location == "device" for value in parameters):
        raise ModelError(f"{_name(node)}: its shape or axes depend on the pixels, which only the CPU can do")
    if all(value.location == "constant" for value in values):
        return "constant"
    if node.get_type_name() == "ShapeOf":
        return "host"
    if any(value.location == "device" for value in operands):
        return "device"
    # Learned operands, such as a token that is repeated for each image, are on the device already.
    learned = all(value.location == "constant" for value in operands) and any(value.is_float for value in operands)
    return "device" if learned else "host"


def _returns_float32(operator: Operator, values: list[_Value]) -> bool:
    """Whether an operator on the device returns float32: torch promotes to the widest type of the inputs."""
    inputs = [value for value in values if value.location == "device"]
    if operator.precision != "same" or not inputs:
        return operator.precision == "float32"
    return any(value.is_float32 for value in inputs) or not any(value.is_float for value in inputs)


def _inputs(node: ov.Node, values: Mapping[tuple[str, int], _Value]) -> list[_Value]:
    sources = [node.input_value(index) for index in range(node.get_input_size())]
    return [values[source.get_node().get_name(), source.get_index()] for source in sources]


def _name(node: ov.Node) -> str:
    return f"layer {node.get_friendly_name()!r} ({node.get_type_name()})"


def _is_float(node: ov.Node, index: int = 0) -> bool:
    return bool(node.get_output_element_type(index).is_real())


def _constant(node: ov.Node) -> Tensor:
    """A constant's value, on the CPU: floats as float32, and as int64 the unsigned integers that torch lacks."""
    array = node.get_data(dtype=np.float32) if _is_float(node) else node.get_data()
    if array.dtype in (np.uint16, np.uint32, np.uint64):
        array = array.astype(np.int64)
    return torch.from_numpy(np.array(array))


def _channels_last(weight: Tensor) -> Tensor:
    """Lays a convolution's weight out in memory with the channels last, as the fastest kernels require."""
    if weight.ndim not in (4, 5):
        return weight
    flat = weight.flatten(0, weight.ndim - 4).contiguous(memory_format=torch.channels_last)
    return flat.unflatten(0, weight.shape[:-3])
