import logging
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.optional_packages import needs

needs("torch")

import torch
from torch import nn

from lookalike.encoders.openvino.loading import ov
from lookalike.errors import MissingExtraError, ModelError
from lookalike.importers.third_party import optional_module, silenced
from lookalike.importers.torch_export import to_openvino

# Quiet


def test_nothing_is_said_meanwhile(capfd: pytest.CaptureFixture[str]) -> None:
    with silenced():
        warnings.warn("a warning", stacklevel=1)
        logging.getLogger("timm").critical("a record")
        logging.error("a record of nobody in particular")
        print("a line")
        print("a line", file=sys.stderr)
        os.write(2, b"a line from beneath Python\n")
    assert capfd.readouterr() == ("", "")


def state() -> tuple[Any, ...]:
    root = logging.getLogger()
    torch_state = torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled()
    return torch_state, list(warnings.filters), root.manager.disable, root.level, list(root.handlers), sys.stderr


def fail_silenced() -> None:
    with silenced():
        assert not torch.is_grad_enabled()
        assert not torch.backends.mha.get_fastpath_enabled()
        logging.warning("a record")
        raise ZeroDivisionError


def test_all_is_as_before_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    """Also after an error, and where logging.warning() would have set logging up for the whole process."""
    before = state()
    handlers = logging.getLogger().handlers[:]
    logging.getLogger().handlers.clear()
    try:
        with pytest.raises(ZeroDivisionError):
            fail_silenced()
        assert logging.getLogger().handlers == []
    finally:
        logging.getLogger().handlers[:] = handlers
    assert state() == before
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


def test_it_may_be_quiet_within_the_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    with silenced():
        with silenced():
            pass
        os.write(2, b"a line\n")
        warnings.warn("a warning", stacklevel=1)
    assert capfd.readouterr() == ("", "")


def test_it_is_quiet_where_there_is_nothing_to_say_it_on() -> None:
    """A program without a terminal may have closed its standard error."""
    code = (
        "import os; os.close(2); from lookalike.importers.third_party import silenced\nwith silenced(): print('unheard')"
    )
    ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert ended.stdout == b""


def test_two_threads_are_quiet_one_after_the_other_and_all_is_as_before_afterwards(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """If the second began within the first and ended after it, it would put back the quiet of the first."""
    before = state(), sys.stdout
    began, may_end = threading.Event(), threading.Event()

    def be_quiet() -> None:
        with silenced():
            began.set()
            may_end.wait(20)

    other = threading.Thread(target=be_quiet)
    with silenced():
        other.start()
        assert not began.wait(0.3)
    assert began.wait(20)
    may_end.set()
    other.join()
    assert (state(), sys.stdout) == before
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


# Telemetry

LISTEN = """
import sys
from openvino_telemetry.utils.sender import TelemetrySender
sent = []
TelemetrySender.send = lambda self, backend, message: sent.append(message)
"""
CONVERT = """
import torch
from lookalike.importers.torch_export import to_openvino
to_openvino(torch.nn.Linear(3, 2), torch.zeros(1, 3))
"""


def told(code: str, home: Path) -> list[str]:
    """What a process of its own prints, which is not in CI, where OpenVINO would say nothing."""
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "TF_BUILD", "JENKINS_URL"}}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment | {"HOME": str(home)}, capture_output=True, text=True, check=True
    )
    return ended.stdout.split()


def test_openvino_reports_nothing_to_its_makers(tmp_path: Path) -> None:
    """Neither that it was imported nor what was converted, and no file for that is put into the user's home."""
    assert told(CONVERT + "import sys; print('openvino_telemetry' in sys.modules)", tmp_path) == ["False"]
    assert list(tmp_path.iterdir()) == []


def test_openvino_reports_nothing_where_it_was_imported_before(tmp_path: Path) -> None:
    """It does report that itself, which shows that there is something to keep it from; and is as before afterwards."""
    again = "import openvino as ov; ov.convert_model(torch.nn.Linear(3, 2), example_input=torch.zeros(1, 3))"
    code = (
        f"{LISTEN}import openvino; print(len(sent)); sent.clear(){CONVERT}print(len(sent))\n{again}; print(len(sent))"
    )
    imported, converted, elsewhere = map(int, told(code, tmp_path))
    assert (imported > 0, converted, elsewhere > 0) == (True, 0, True)


# Conversion


def outputs(graph: Any, *inputs: torch.Tensor) -> list[Any]:
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [compiled(taken.numpy())[0].copy() for taken in inputs]


def shape(graph: Any) -> str:
    return str(graph.input(0).get_partial_shape())


class Pictures(nn.Sequential):  # type: ignore[misc]
    def __init__(self) -> None:
        torch.manual_seed(3)
        super().__init__(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5)
        )


class TextTower(nn.Module):  # type: ignore[misc]
    """A text tower: its vector is where the largest token stands, as in CLIP."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embedding = nn.Embedding(100, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=True)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        encoded = self.encoder(self.embedding(tokens))
        return encoded[torch.arange(tokens.shape[0]), tokens.argmax(dim=-1)]


def test_a_network_computes_what_it_computed_in_torch_for_any_number_of_pictures() -> None:
    module = Pictures().train()
    module(torch.randn(8, 3, 12, 12))  # other statistics than at first
    graph = to_openvino(module, torch.zeros(1, 3, 12, 12))
    assert shape(graph) == "[?,3,12,12]"
    inputs = [torch.randn(number, 3, 12, 12) for number in (1, 2, 7)]
    for taken, found in zip(inputs, outputs(graph, *inputs), strict=True):
        np.testing.assert_allclose(found, module(taken).detach().numpy(), atol=1e-5)


def test_a_text_tower_computes_what_it_computed_in_torch() -> None:
    """With attention that PyTorch would do in one step, which OpenVINO does not know."""
    module = TextTower()
    graph = to_openvino(module, torch.randint(0, 100, (1, 9)))
    assert shape(graph) == "[?,9]"
    assert graph.input(0).get_element_type() == ov.Type.i64
    inputs = [torch.randint(0, 100, (number, 9)) for number in (1, 3)]
    for taken, found in zip(inputs, outputs(graph, *inputs), strict=True):
        np.testing.assert_allclose(found, module(taken).detach().numpy(), atol=1e-5)


def test_half_precision_becomes_single() -> None:
    module = Pictures().half()
    graph = to_openvino(module, torch.zeros(1, 3, 12, 12))
    taken = torch.randn(1, 3, 12, 12)
    np.testing.assert_allclose(outputs(graph, taken)[0], module(taken).detach().numpy(), atol=1e-5)
    assert graph.output(0).get_element_type() == ov.Type.f32


def test_the_weights_are_not_copied() -> None:
    module = nn.Linear(300, 200)
    graph = to_openvino(module, torch.zeros(1, 300))
    constants = [node.data for node in graph.get_ops() if node.get_type_name() == "Constant"]
    [weight] = [constant for constant in constants if constant.shape == (200, 300)]
    assert weight.ctypes.data == module.weight.data_ptr()


class OneByOne(Pictures):
    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return super().forward(pictures).reshape(int(pictures.shape[0]), 8)


def test_a_network_that_takes_one_picture_only_is_converted_for_one() -> None:
    module = OneByOne()
    graph = to_openvino(module, torch.zeros(1, 3, 12, 12))
    assert shape(graph) == "[1,3,12,12]"
    taken = torch.randn(1, 3, 12, 12)
    np.testing.assert_allclose(outputs(graph, taken)[0], module(taken).detach().numpy(), atol=1e-5)


class Moody(nn.Linear):  # type: ignore[misc]
    def forward(self, taken: torch.Tensor) -> torch.Tensor:
        return super().forward(taken) if taken.any() else taken


class Unknown(nn.Module):  # type: ignore[misc]
    def forward(self, taken: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svdvals(taken)


class Broken(nn.Module):  # type: ignore[misc]
    def forward(self, taken: torch.Tensor) -> torch.Tensor:
        raise ValueError("it takes 4 channels\nand more lines")


def test_a_network_that_cannot_be_traced_is_refused() -> None:
    """What it does depends on numbers in the picture, and a traced one always does what it did with the example."""
    with pytest.raises(ModelError, match="Moody: OpenVINO computes something else"):
        to_openvino(Moody(3, 3), torch.zeros(1, 3))


@pytest.mark.parametrize(
    ("module", "reason"), [(Unknown(), "No conversion rule.*linalg_svd"), (Broken(), "it takes 4 channels")]
)
def test_what_cannot_be_converted_is_named_in_one_line(
    module: nn.Module, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match=rf"{type(module).__name__}: it cannot be converted.*{reason}") as raised:
        to_openvino(module, torch.zeros(1, 3, 3))
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


# What others have made


def test_what_is_not_installed_or_cannot_be_loaded_is_said_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torn_package.py").write_text("raise RuntimeError('operator torn::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r'torn cannot be loaded here: operator torn::nms.*"lookalike\[torch\]"'):
        optional_module("torn_package", "torn", "torch")
    with pytest.raises(MissingExtraError, match=r'importing from torn takes.*pip install "lookalike\[clip\]"'):
        optional_module("no_such_package", "torn", "clip")
