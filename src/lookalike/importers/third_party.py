"""Imports optional third-party libraries, and runs third-party code without its warnings, logs and telemetry."""

import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from typing import Any

from lookalike.encoders.openvino import loading  # noqa: F401 - first, as it loads OpenVINO without its telemetry
from lookalike.errors import Hint, MissingExtraError, ModelError
from lookalike.importers.error_summary import one_line

_STDERR = 2
# The settings that `silenced` changes belong to the whole process: two threads would restore each other's.
_LOCK = threading.RLock()


@contextmanager
def silenced() -> Iterator[None]:
    """Runs third-party code without its warnings, log records, output and telemetry.

    Nothing is written to stdout and stderr, by the whole process. If PyTorch is loaded, it computes no gradients, and
    attention in single operators, which can be converted. Afterwards everything is as before.

    One thread at a time is inside, others wait. So code inside may also change other settings of the whole process, as
    long as it restores them.
    """
    with ExitStack() as stack:
        stack.enter_context(_LOCK)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(_without_log_records())
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        stack.enter_context(_without_stderr())
        stack.enter_context(_without_telemetry())
        stack.enter_context(_without_tensorflow_import())
        if "torch" in sys.modules:
            stack.enter_context(_traceable_torch())
        yield


def optional_module(module: str, source: str, extra: str) -> Any:
    """Imports a module that one of Lookalike's extras installs.

    Args:
        module: its name.
        source: the library's name, for messages.
        extra: the extra that installs it.

    Raises:
        MissingExtraError: the module, or one that it needs, is not installed.
        ModelError: it cannot be loaded.
    """
    try:
        with silenced():
            return import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"importing from {source}", extra) from error
    except Exception as error:  # such as from versions of torch and torchvision that do not match
        raise ModelError(
            f"{source} cannot be loaded here: {one_line(error)}; the installed versions may not match",
            Hint("upgrade", {"extra": extra}),
        ) from error


@contextmanager
def _without_log_records() -> Iterator[None]:
    """Disables all loggers; removes handlers that are added meanwhile, as logging.warning() does by itself."""
    root = logging.getLogger()
    disabled, level, handlers = root.manager.disable, root.level, list(root.handlers)
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
        root.setLevel(level)
        root.handlers[:] = handlers


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Discards what native code writes to stderr: TensorFlow's start-up messages can be stopped in no other way."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # it is closed
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, _STDERR)
    os.close(null)
    try:
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Keeps OpenVINO's converter from sending telemetry, even if it was imported before Lookalike.

    The converter's modules hold the sender under the name `tm`. If Lookalike imports it first, that is a stub.
    """
    from lookalike.encoders.openvino.loading import load_converter

    load_converter()
    from openvino.tools.ovc import telemetry_stub

    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("openvino.tools.ovc") and "tm" in vars(module):
                stack.callback(vars(module).__setitem__, "tm", vars(module)["tm"])
                vars(module)["tm"] = telemetry_stub
        yield


@contextmanager
def _without_tensorflow_import() -> Iterator[None]:
    """Keeps OpenVINO's converter from importing TensorFlow, which it does whatever it converts.

    It imports it by `exec`, twice, and then deletes the name likewise. From Python 3.13 on that name does not exist
    (PEP 667), and the conversion would end with a NameError. The converter works without.
    """
    try:
        from openvino.frontend.tensorflow import utils
    except ImportError:  # a build without that frontend
        yield
        return
    if hasattr(utils, "exec"):  # inside another `silenced`
        yield
        return
    utils.exec = lambda _: None
    try:
        yield
    finally:
        del utils.exec


@contextmanager
def _traceable_torch() -> Iterator[None]:
    """Disables gradients, and the fused attention operator, which OpenVINO cannot convert."""
    import torch

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
