"""A network of PyTorch becomes a graph of OpenVINO, and other people's code is kept quiet while it runs."""

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

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.openvino.loading import FAILURES, ov
from lookalike.errors import MissingExtraError, ModelError
from lookalike.importers.error_summary import reason

_STDERR = 2
# How far the graph may be from the framework, as a part of the largest number that comes out. Both compute with 32 bits
# and add up in another order, which comes to 1e-5 or so; a mistake is no smaller than 1e-2.
_TOLERANCE = 1e-3
# What is changed meanwhile belongs to the whole process: two threads would put back what the other has changed.
_QUIET = threading.RLock()


@contextmanager
def quietly() -> Iterator[None]:
    """Runs other people's code without their warnings, log records, output and reports to their makers.

    What is around an import of theirs, or a call, says nothing on stdout and stderr, of the whole process; so nothing
    of Lookalike's own should be said inside. Where PyTorch was loaded before, it computes no gradients, and attention
    layer by layer, as it can be converted. All of it is as before afterwards.

    One thread at a time is quiet, and others wait for it. So what else belongs to the whole process, such as other
    people's settings, can be changed inside for a while.
    """
    with ExitStack() as stack:
        stack.enter_context(_QUIET)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(_without_log_records())
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        stack.enter_context(_without_stderr())
        stack.enter_context(_without_reports())
        stack.enter_context(_without_forgetting())
        if "torch" in sys.modules:
            stack.enter_context(_traceable_torch())
        yield


def imported(module: str, source: str, extra: str) -> Any:
    """A module of other people's, which comes with one of Lookalike's extras.

    Raises:
        MissingExtraError: it is not installed, or something that it needs is not.
        ModelError: it cannot be loaded.
    """
    try:
        with quietly():
            return import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"importing from {source}", extra) from error
    except Exception as error:  # such as where torch and torchvision are of versions that do not go together
        raise ModelError(
            f"{source} cannot be loaded here: {reason(error)}; what it needs may be of versions that do not go"
            f' together: pip install --upgrade "lookalike[{extra}]"'
        ) from error


def converted(module: Any, example: Any) -> Any:
    """The openvino.Model of a torch.nn.Module with one input and one output, which agrees with it.

    It takes any number at once, or one where the network cannot do otherwise. The module is left in evaluation mode and
    computes with 32 bits, and the graph shares its weights.

    Args:
        module: gives one tensor, whose first dimension is the batch.
        example: an input for it, a torch.Tensor: float32 (n, channels, h, w), or int64 (n, context) of token ids.

    Raises:
        ModelError: OpenVINO cannot convert it, or computes something else.
    """
    name = type(module).__name__
    with quietly():
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        try:
            # PyTorch's own check would run the network three times more; the one below is stricter.
            unchecked = {"check_trace": False}
            traced = TorchScriptPythonDecoder(module.eval().float(), example_input=example, trace_kwargs=unchecked)
            graph = ov.convert_model(traced, example_input=example)
            del traced
            if _agrees(graph, module, _inputs(example, 1, 3)) or _agrees(graph, module, _inputs(example, 1)):
                return graph
        except Exception as error:  # whatever it is that neither of them foresaw
            raise ModelError(f"{name}: it cannot be converted for OpenVINO: {reason(error)}") from error
    raise ModelError(f"{name}: OpenVINO computes something else than PyTorch; please report it with the network's name")


def _inputs(example: Any, *batches: int) -> list[Any]:
    """Inputs of other content than the example, in batches of these sizes."""
    import torch

    random = torch.Generator().manual_seed(0)
    shapes = [(batch, *example.shape[1:]) for batch in batches]
    if example.is_floating_point():
        return [torch.randn(shape, generator=random) for shape in shapes]
    known = int(example.max()) + 1
    return [torch.randint(known, shape, generator=random, dtype=example.dtype) for shape in shapes]


def _agrees(graph: Any, module: Any, inputs: list[Any]) -> bool:
    """Makes the graph take batches as large as these, and says whether it gives what the module gives."""
    wanted = [module(taken).numpy() for taken in inputs]
    batch = -1 if len(inputs) > 1 else len(inputs[0])
    try:
        graph.reshape([batch, *inputs[0].shape[1:]])
        compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = [compiled(taken.numpy())[0] for taken in inputs]
    except FAILURES:  # a part of the network is made for another size
        return False
    return all(map(_close, found, wanted))


def _close(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> bool:
    if found.shape != wanted.shape:
        return False
    return bool(np.abs(found - wanted).max() <= _TOLERANCE * np.abs(wanted).max())


@contextmanager
def _without_log_records() -> Iterator[None]:
    """No logger says anything; a handler that is added meanwhile, as logging.warning() does by itself, goes again."""
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
    """What is written to it beneath Python goes nowhere: TensorFlow's greetings can be stopped in no other way."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


@contextmanager
def _without_reports() -> Iterator[None]:
    """OpenVINO's converter reports nothing to its makers, even where somebody else has imported it before Lookalike.

    It keeps what it reports with under the name of `tm`. Lookalike's own import of it finds a stub there.
    """
    from openvino.tools.ovc import telemetry_stub

    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("openvino.tools.ovc") and "tm" in vars(module):
                stack.callback(vars(module).__setitem__, "tm", vars(module)["tm"])
                vars(module)["tm"] = telemetry_stub
        yield


@contextmanager
def _without_forgetting() -> Iterator[None]:
    """OpenVINO's converter looks at TensorFlow, where that is installed, whatever it converts.

    It imports it by `exec`, and once more, and then forgets the name likewise. From Python 3.13 on that name was never
    there (PEP 667), and the conversion would end with a NameError. It can do without both.
    """
    try:
        from openvino.frontend.tensorflow import utils
    except ImportError:  # a build without that
        yield
        return
    if hasattr(utils, "exec"):  # one quiet part inside another
        yield
        return
    utils.exec = lambda _: None
    try:
        yield
    finally:
        del utils.exec


@contextmanager
def _traceable_torch() -> Iterator[None]:
    """No gradients, and attention as PyTorch's single steps: as one step, OpenVINO does not know it."""
    import torch

    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
