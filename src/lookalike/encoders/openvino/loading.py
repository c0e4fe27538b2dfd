"""OpenVINO, loaded so that it reports nothing to its makers. Lookalike takes it from here and nowhere else.

Its converter, which is loaded with it, sends them a message each time, if it finds the package to do so with. Without
that it falls back on a stub of its own, for as long as the process lives.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """As if that package were not installed."""
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

# Not all that OpenVINO raises is a RuntimeError.
FAILURES = (
    RuntimeError,
    ov.frontend.GeneralFailure,
    ov.frontend.InitializationFailure,
    ov.frontend.NotImplementedFailure,
    ov.frontend.OpConversionFailure,
    ov.frontend.OpValidationFailure,
)

__all__ = ["FAILURES", "PrePostProcessor", "op", "ov"]
