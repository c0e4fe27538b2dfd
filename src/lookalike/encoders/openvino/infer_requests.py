"""OpenVINO's inference requests: one for each thread, with its input and output arrays."""

import threading
from typing import Any, NamedTuple

from numpy.typing import NDArray

# Two threads that ask for OpenVINO's first arrays at once may deadlock.
_FIRST_ARRAYS = threading.Lock()


class InferRequest(NamedTuple):
    """An inference request with the arrays that it reads and writes, which stay the same.

    Passing other memory for each image would cost a twentieth of the whole time.

    Attributes:
        run: computes `output` from `input`.
        input: the input tensor's memory.
        output: the output tensor's memory.
    """

    run: Any
    input: NDArray[Any]
    output: NDArray[Any]


class InferRequests:
    """The inference requests of a compiled model with one input and one output. Threads may share it."""

    def __init__(self, compiled: Any) -> None:
        """Takes an openvino.CompiledModel."""
        self._compiled = compiled
        self._local = threading.local()

    def for_this_thread(self) -> InferRequest:
        """Returns the calling thread's request, which is made at its first call."""
        if not hasattr(self._local, "request"):
            with _FIRST_ARRAYS:
                request = self._compiled.create_infer_request()
                arrays = request.get_input_tensor().data, request.get_output_tensor().data
                self._local.request = InferRequest(request.infer, *arrays)
        found: InferRequest = self._local.request
        return found
