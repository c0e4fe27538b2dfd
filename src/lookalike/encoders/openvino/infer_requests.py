"""OpenVINO's inference requests: one for each thread, with its input and output arrays."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from numpy.typing import NDArray

from lookalike.system import forks

# Two threads that ask for OpenVINO's first arrays at once may deadlock.
_FIRST_ARRAYS = forks.lock()


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
    """The inference requests of a compiled model with one input and one output. Threads may share it.

    OpenVINO's threads are in one process only, so a forked child compiles the model again at its first request.
    """

    def __init__(self, compile_model: Callable[[], Any]) -> None:
        """Compiles the model: `compile_model` returns an openvino.CompiledModel."""
        self._compile, self._local = compile_model, threading.local()
        self._compiled: Any = None
        forks.watch(self)
        self.compiled  # noqa: B018 - so that an error is raised here

    @property
    def compiled(self) -> Any:
        """The openvino.CompiledModel of this process."""
        if self._compiled is None:
            with forks.held_off():
                self._compiled = self._compile()
        return self._compiled

    def after_fork(self) -> None:
        """Lets go of what belongs to the parent, whose threads the destructors would wait for."""
        for inherited in (self._compiled, getattr(self._local, "request", None)):
            forks.keep_forever(inherited)
        self._compiled, self._local = None, threading.local()

    @contextmanager
    def used_by_this_thread(self) -> Iterator[InferRequest]:
        """Yields the calling thread's request, which is made at its first call.

        Raises:
            UsageError: this process was forked while another thread was using an encoder for seconds.
        """
        with forks.held_off():
            if not hasattr(self._local, "request"):
                with _FIRST_ARRAYS:
                    request = self.compiled.create_infer_request()
                    arrays = request.get_input_tensor().data, request.get_output_tensor().data
                    self._local.request = InferRequest(request.infer, *arrays)
            yield self._local.request

    def __del__(self) -> None:
        if self._compiled is not None:
            with forks.held_off():  # destroying a compiled model ends its threads
                del self._local, self._compiled
