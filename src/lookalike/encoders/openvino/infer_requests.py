"""OpenVINO's inference requests: one for each thread, with the memory that it reads and writes."""

import threading
from typing import Any

from numpy.typing import NDArray

Request = tuple[Any, NDArray[Any], NDArray[Any]]

_ONE_AT_A_TIME = threading.Lock()  # two threads that ask for OpenVINO's first arrays at once may wait for ever


class Requests:
    """The requests of a compiled network with one input and one output. Threads may share it."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._local = threading.local()

    def own(self) -> Request:
        """The calling thread's request, what it takes, and what it gives: arrays that stay where they are.

        Handing over other memory for each picture would cost a twentieth of the whole.
        """
        if not hasattr(self._local, "request"):
            with _ONE_AT_A_TIME:
                request = self._compiled.create_infer_request()
                self._local.request = request, request.get_input_tensor().data, request.get_output_tensor().data
        found: Request = self._local.request
        return found
