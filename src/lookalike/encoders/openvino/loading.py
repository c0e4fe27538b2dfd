"""Imports OpenVINO without its telemetry. All other modules import it from here.

OpenVINO's converter, which is imported with it, reports each use to its makers if it finds the package
openvino_telemetry. Otherwise it uses a stub of its own, for the rest of the process.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


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


with _hidden("openvino_telemetry"):
    import openvino as ov
    from openvino import opset13 as op
    from openvino.preprocess import PrePostProcessor

# The exceptions that OpenVINO raises; not all are RuntimeErrors.
FAILURES = (
    RuntimeError,
    ov.frontend.GeneralFailure,
    ov.frontend.InitializationFailure,
    ov.frontend.NotImplementedFailure,
    ov.frontend.OpConversionFailure,
    ov.frontend.OpValidationFailure,
)

__all__ = ["FAILURES", "PrePostProcessor", "op", "ov"]
