"""Inference stays on no processor in particular, so that processes beside each other use all of them."""

import os
import sys
import threading
from contextlib import suppress

import numpy as np
import pytest

from lookalike import encoders


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which processors a thread may run on")
def test_no_thread_is_bound_to_a_processor() -> None:
    """With threads that are bound, two processes with one each have half of a processor each."""
    encoder = encoders.load("efficientnet-lite0", threads=1)
    pixels = np.zeros((16, 224, 224, 3), np.uint8)
    encoding = threading.Thread(target=encoder.encode, args=(pixels,))
    allowed = os.sched_getaffinity(0)
    encoding.start()
    while encoding.is_alive():
        for task in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):
                assert os.sched_getaffinity(int(task)) == allowed
