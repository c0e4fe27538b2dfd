"""Runs a graph of OpenVINO's with torch, operator by operator, on a graphics processor.

So a network that was imported runs on either kind of processor from the same file. The graph is translated once, into
steps. What depends on the pixels is computed on the device; shapes and what comes of them on the CPU, so that no step
has to wait for the device; and what depends on neither is computed in advance, in float32.
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
        """`dtype` is what its convolutions and products compute with; sums over many numbers are float32 anyway.

        Raises:
            ModelError: it has an operator that is not known here.
            RuntimeError: torch cannot put it on the device.
        """
        with torch.inference_mode():
            translation = _Translation(device, dtype)
            for node in model.get_ordered_ops():
                translation.take(node)
        self._input, self._output = translation.input, translation.output
        self._steps = _pruned(translation.steps, self._output)
        used = {slot for step in self._steps for slot in step.inputs}
        self._slots = [numbers if slot in used else None for slot, numbers in enumerate(translation.slots)]

    def __call__(self, pixels: Tensor) -> Tensor:
        """Starts what is to be done on the device, where `pixels` are and the result will be.

        Raises:
            ModelError: an operator is used in a way that is not known here.
            RuntimeError: torch cannot do it on this device, such as for want of memory.
        """
        slots: list[Any] = self._slots.copy()
        slots[self._input] = pixels
        with torch.inference_mode():
            for step in self._steps:
                _carry_out(step, slots)
            return slots[self._output].float()


def any_number(model: ov.Model, size: int) -> tuple[ov.Model, bool]:
    """A copy of a graph, and whether it takes any number of pictures at once; if not, it takes one.

    Raises:
        ModelError: it does not take pictures of that size.
    """
    for count in (-1, 1):
        copy = model.clone()
        try:
            copy.reshape([count, size, size, 3])
        except FAILURES:  # such as for a batch of one that is written into the shapes within
            continue
        if count == 1 or copy.output(0).get_partial_shape()[0].is_dynamic:
            return copy, count != 1
    raise ModelError(f"its graph does not take pixels of (1, {size}, {size}, 3)")


@dataclass(frozen=True)
class _Step:
    """Something to be done with what is in some slots, for what comes into others.

    Attributes:
        name: of the layer, for messages.
        attributes: of the operator.
        last_used: the slots that are not looked at again.
    """

    name: str
    operator: Operator
    attributes: Mapping[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    last_used: tuple[int, ...] = ()


def _carry_out(step: _Step, slots: list[Any]) -> None:
    try:
        result = step.operator.apply(step.attributes, *[slots[slot] for slot in step.inputs])
    except (ModelError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise ModelError(f"{step.name}: {error}") from error
    for slot, tensor in zip(step.outputs, result if isinstance(result, tuple) else (result,), strict=False):
        slots[slot] = tensor
    for slot in step.last_used:
        slots[slot] = None  # its memory is free for the next


def _pruned(steps: list[_Step], output: int) -> list[_Step]:
    """The steps that the output depends on, each with the slots that are not looked at again."""
    needed, kept = {output}, []
    for step in reversed(steps):
        if needed.isdisjoint(step.outputs):
            continue
        done_with = (set(step.inputs) | set(step.outputs)) - needed
        kept.append(replace(step, last_used=tuple(sorted(done_with))))
        needed = needed - set(step.outputs) | set(step.inputs)
    return kept[::-1]


_Place = Literal["constant", "host", "device"]


@dataclass(frozen=True)
class _Value:
    """What is known in advance of the numbers in a slot.

    Attributes:
        place: "constant" if they are known, "host" if they come from shapes alone, "device" if from the pixels.
        real: they are floating-point numbers.
        wide: they are on the device in float32, also where the graph computes in half precision.
    """

    slot: int
    place: _Place
    real: bool
    wide: bool = False


class _Translation:
    """Turns nodes into steps, one after the other."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self.slots: list[Any] = []  # those of constants are filled from the start
        self.steps: list[_Step] = []
        self.input = self.output = -1
        self._device, self._dtype = device, dtype
        self._values: dict[tuple[str, int], _Value] = {}  # by the node's name and its output's place
        self._moved: dict[tuple[int, str], int] = {}  # by the slot that it was moved from, and what for

    def take(self, node: ov.Node) -> None:
        """Raises ModelError for an operator that is not known."""
        kind = node.get_type_name()
        if kind == "Parameter":
            self.input = self._new_slot()
            self._values[node.get_name(), 0] = _Value(self.input, "device", real=False)
        elif kind == "Constant":
            self._values[node.get_name(), 0] = _Value(self._new_slot(_numbers(node)), "constant", real=_is_real(node))
        elif kind == "Result":
            [value] = _inputs(node, self._values)
            self.output = value.slot
        elif kind in _OPERATORS:
            self._take_operator(node, _OPERATORS[kind])
        else:
            raise ModelError(f"{_name(node)}: this operator is not known to the runtime for graphics processors")

    def _take_operator(self, node: ov.Node, operator: Operator) -> None:
        values = _inputs(node, self._values)
        place = _place(node, operator, values)
        wide = place == "device" and _is_wide(operator, values)
        outputs = tuple(self._new_slot() for _ in range(node.get_output_size()))
        for index, slot in enumerate(outputs):
            self._values[node.get_name(), index] = _Value(slot, place, _is_real(node, index), wide)
        inputs = [
            self._on_device(value, self._purpose(node, operator, wide=wide, index=index))
            if place == "device" and index not in operator.settings
            else value.slot
            for index, value in enumerate(values)
        ]
        step = _Step(_name(node), operator, node.get_attributes(), tuple(inputs), outputs)
        if place == "constant":
            _carry_out(step, self.slots)
        else:
            self.steps.append(step)

    def _purpose(self, node: ov.Node, operator: Operator, *, wide: bool, index: int) -> str:
        if index == 1 and node.get_type_name() in _CONVOLUTIONS:
            return "weight"
        if operator.numbers == "half":
            return "half"
        return "wide" if wide else "same"

    def _on_device(self, value: _Value, purpose: str) -> int:
        """The slot of a value as an operator on the device takes it: moved there or made narrower if need be."""
        if value.place == "device" and not (value.wide and purpose == "half"):
            return value.slot
        if (value.slot, purpose) not in self._moved:
            dtype = (torch.float32 if purpose == "wide" else self._dtype) if value.real else None
            slot = self._moved[value.slot, purpose] = self._new_slot()
            if value.place == "constant":
                numbers = self.slots[value.slot]
                numbers = _channels_last(numbers) if purpose == "weight" else numbers
                self.slots[slot] = numbers.to(self._device, dtype)
            else:
                move = Operator(lambda _, x: x.to(self._device, dtype, non_blocking=True))
                self.steps.append(_Step("moved", move, {}, (value.slot,), (slot,)))
        return self._moved[value.slot, purpose]

    def _new_slot(self, numbers: Tensor | None = None) -> int:
        self.slots.append(numbers)
        return len(self.slots) - 1


def _place(node: ov.Node, operator: Operator, values: list[_Value]) -> _Place:
    """Where an operator's outputs are to be computed."""
    settings = [value for index, value in enumerate(values) if index in operator.settings]
    numbers = [value for index, value in enumerate(values) if index not in operator.settings]
    if any(value.place == "device" for value in settings):
        raise ModelError(f"{_name(node)}: its shape or axes depend on the pixels, which only the CPU can do")
    if all(value.place == "constant" for value in values):
        return "constant"
    if node.get_type_name() == "ShapeOf":
        return "host"
    if any(value.place == "device" for value in numbers):
        return "device"
    # What is learned, such as a token that is repeated for each picture, is there already.
    learned = all(value.place == "constant" for value in numbers) and any(value.real for value in numbers)
    return "device" if learned else "host"


def _is_wide(operator: Operator, values: list[_Value]) -> bool:
    """Whether what comes out is float32: torch goes by the widest of those that come in from the device."""
    found = [value for value in values if value.place == "device"]
    if operator.numbers != "same" or not found:
        return operator.numbers == "wide"
    return any(value.wide for value in found) or not any(value.real for value in found)


def _inputs(node: ov.Node, values: Mapping[tuple[str, int], _Value]) -> list[_Value]:
    sources = [node.input_value(index) for index in range(node.get_input_size())]
    return [values[source.get_node().get_name(), source.get_index()] for source in sources]


def _name(node: ov.Node) -> str:
    return f"layer {node.get_friendly_name()!r} ({node.get_type_name()})"


def _is_real(node: ov.Node, index: int = 0) -> bool:
    return bool(node.get_output_element_type(index).is_real())


def _numbers(node: ov.Node) -> Tensor:
    """A constant's, on the CPU: floats as float32, integers as they are, or signed where torch has it only so."""
    numbers = node.get_data(dtype=np.float32) if _is_real(node) else node.get_data()
    if numbers.dtype in (np.uint16, np.uint32, np.uint64):
        numbers = numbers.astype(np.int64)
    return torch.from_numpy(np.array(numbers))


def _channels_last(weight: Tensor) -> Tensor:
    """A convolution's weight, in the order of its numbers in memory that the fastest kernels ask for."""
    if weight.ndim not in (4, 5):
        return weight
    flat = weight.flatten(0, weight.ndim - 4).contiguous(memory_format=torch.channels_last)
    return flat.unflatten(0, weight.shape[:-3])
