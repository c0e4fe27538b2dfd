"""Converts PyTorch modules to OpenVINO graphs, and checks that both compute the same."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.openvino.compiling import compile_model
from lookalike.encoders.openvino.loading import FAILURES, ov
from lookalike.errors import ModelError
from lookalike.importers.error_summary import one_line
from lookalike.importers.third_party import silenced

# Difference allowed between the graph and PyTorch, relative to the largest value. Both compute in 32 bits and add up in
# another order, which makes some 1e-5; a mistake makes 1e-2 or more.
_TOLERANCE = 1e-3


def to_openvino(module: Any, example: Any) -> Any:
    """Converts a torch.nn.Module to an openvino.Model that computes the same.

    The graph takes batches of any size, or of one if the module cannot do otherwise. The module is left in evaluation
    mode and in 32 bits, and the graph shares its weights.

    Args:
        module: has one input and one output, a tensor whose first dimension is the batch.
        example: an input for it, a torch.Tensor: float32 (n, channels, h, w), or int64 (n, context) of token ids.

    Raises:
        ModelError: OpenVINO cannot convert it, or computes something else.
    """
    name = type(module).__name__
    with silenced():
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        try:
            # PyTorch's own check would run the network three times more; the one below is stricter.
            unchecked = {"check_trace": False}
            traced = TorchScriptPythonDecoder(module.eval().float(), example_input=example, trace_kwargs=unchecked)
            graph = ov.convert_model(traced, example_input=example)
            del traced
            if _agrees(graph, module, _inputs(example, 1, 3)) or _agrees(graph, module, _inputs(example, 1)):
                return graph
        except Exception as error:  # of any type: neither library documents what it raises
            raise ModelError(f"{name}: it cannot be converted for OpenVINO: {one_line(error)}") from error
    raise ModelError(f"{name}: OpenVINO computes something else than PyTorch; please report it with the model's name")


def example_image(size: int) -> Any:
    """Returns a black image, a torch.Tensor: float32 (1, 3, size, size)."""
    import torch

    return torch.zeros(1, 3, size, size)


def _inputs(example: Any, *batches: int) -> list[Any]:
    """Random inputs like the example, in batches of these sizes."""
    import torch

    random = torch.Generator().manual_seed(0)
    shapes = [(batch, *example.shape[1:]) for batch in batches]
    if example.is_floating_point():
        return [torch.randn(shape, generator=random) for shape in shapes]
    known = int(example.max()) + 1
    return [torch.randint(known, shape, generator=random, dtype=example.dtype) for shape in shapes]


def _agrees(graph: Any, module: Any, inputs: list[Any]) -> bool:
    """Reshapes the graph for batches like the inputs, and returns whether it computes what the module computes."""
    expected = [module(batch).numpy() for batch in inputs]
    batch_size = -1 if len(inputs) > 1 else len(inputs[0])
    try:
        graph.reshape([batch_size, *inputs[0].shape[1:]])
        compiled = compile_model(graph, {"INFERENCE_PRECISION_HINT": "f32"})
        found = [compiled(batch.numpy())[0] for batch in inputs]
    except FAILURES:  # a part of the network is made for another size
        return False
    return all(map(_close, found, expected))


def _close(found: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
    if found.shape != expected.shape:
        return False
    return bool(np.abs(found - expected).max() <= _TOLERANCE * np.abs(expected).max())
