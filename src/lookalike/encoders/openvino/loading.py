"""Imports OpenVINO without its converter and its telemetry. All other modules import it from here.

The converter takes half of the time that importing OpenVINO takes, and only imports of some models need it. It reports
each use to its makers if it finds the package openvino_telemetry; else it uses a stub of its own, for the rest of the
process.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lookalike.system import forks


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Makes a package look as if it were not installed."""
    before = sys.modules.get(package)
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
        if before is not None:
            sys.modules[package] = before


with _hidden("openvino.tools.ovc"), _hidden("openvino_telemetry"):
    import openvino as ov
    from openvino import opset13 as op
    from openvino.preprocess import PrePostProcessor


def _of_converter(name: str) -> Any:
    """What OpenVINO itself has of its converter, for whoever asks for it: `openvino.convert_model`."""
    if name != "convert_model":
        raise AttributeError(f"module 'openvino' has no attribute {name!r}")
    load_converter()
    return ov.convert_model


def load_converter() -> None:
    """Imports OpenVINO's converter, without its telemetry unless it was imported before Lookalike."""
    if "convert_model" not in vars(ov):
        with _hidden("openvino_telemetry"):
            from openvino.tools.ovc import convert_model
        ov.convert_model = convert_model


if not hasattr(ov, "convert_model"):
    ov.__getattr__ = _of_converter

# The exceptions that OpenVINO raises; not all are RuntimeErrors.
FAILURES = (
    RuntimeError,
    ov.frontend.GeneralFailure,
    ov.frontend.InitializationFailure,
    ov.frontend.NotImplementedFailure,
    ov.frontend.OpConversionFailure,
    ov.frontend.OpValidationFailure,
)

__all__ = ["FAILURES", "PrePostProcessor", "core", "op", "ov"]

_LOCK = forks.lock()
_CORES = dict[int, ov.Core]()  # by process


def core() -> ov.Core:
    """The only `ov.Core` of this process, which is never let go of.

    The plugin of each core gives the thread that loads it another stack for signals, and gives back the one before when
    it goes. Where the cores do not go in the reverse order, that may be one that is gone already, and the next signal,
    such as Ctrl-C, would end the process (OpenVINO 2024 to 2026, on Linux). A forked process has a core of its own.

    No thread is bound to a processor: those of several processes would all be bound to the first ones, so that two
    processes that index with one thread each would take as long as one after the other.
    """
    with _LOCK:
        process = os.getpid()
        if process not in _CORES:
            _CORES[process] = made = ov.Core()
            made.set_property("CPU", {"ENABLE_CPU_PINNING": False})
            forks.keep_forever(made)  # a child's copy would wait for threads that only its parent has
        return _CORES[process]
