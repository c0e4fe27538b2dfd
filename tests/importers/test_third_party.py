"""Third-party code runs without output, logs and telemetry, and optional modules say what to install."""

import logging
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.support.optional_packages import needs

needs("torch")

import torch

from lookalike.errors import MissingExtraError, ModelError
from lookalike.importers.third_party import optional_module, silenced

# Silence


def test_third_party_output_is_silenced(capfd: pytest.CaptureFixture[str]) -> None:
    with silenced():
        warnings.warn("a warning", stacklevel=1)
        logging.getLogger("timm").critical("a record")
        logging.error("a record of the root logger")
        print("a line")
        print("a line", file=sys.stderr)
        os.write(2, b"a line from native code\n")
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


def test_process_state_is_restored_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    """Also after an error, and if logging.warning() would have configured logging for the whole process."""
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


def test_silence_can_be_nested(capfd: pytest.CaptureFixture[str]) -> None:
    with silenced():
        with silenced():
            pass
        os.write(2, b"a line\n")
        warnings.warn("a warning", stacklevel=1)
    assert capfd.readouterr() == ("", "")


def test_silence_works_without_a_standard_error() -> None:
    """A program without a terminal may have closed its standard error."""
    code = "from lookalike.importers.third_party import silenced\nwith silenced(): print('unheard')"
    code = f"import os; os.close(2); {code}"
    ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert ended.stdout == b""


def test_threads_are_silenced_one_after_the_other(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """If the second began within the first and ended after it, it would restore the silence of the first."""
    before = state(), sys.stdout
    began, may_end = threading.Event(), threading.Event()

    def stay_silenced() -> None:
        with silenced():
            began.set()
            may_end.wait(20)

    other = threading.Thread(target=stay_silenced)
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


def printed(code: str, home: Path) -> list[str]:
    """What a separate process prints that is not in CI, where OpenVINO would send no telemetry."""
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "TF_BUILD", "JENKINS_URL"}}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment | {"HOME": str(home)}, capture_output=True, text=True, check=True
    )
    return ended.stdout.split()


def test_openvino_sends_no_telemetry(tmp_path: Path) -> None:
    """Neither for the import nor for a conversion, and it creates no file for it in the user's home."""
    assert printed(CONVERT + "import sys; print('openvino_telemetry' in sys.modules)", tmp_path) == ["False"]
    assert list(tmp_path.iterdir()) == []


def test_openvino_imported_before_sends_no_telemetry_for_conversions(tmp_path: Path) -> None:
    """It sends some for its import, which shows that the test can fail, and again outside of Lookalike."""
    again = "import openvino as ov; ov.convert_model(torch.nn.Linear(3, 2), example_input=torch.zeros(1, 3))"
    code = (
        f"{LISTEN}import openvino; print(len(sent)); sent.clear(){CONVERT}print(len(sent))\n{again}; print(len(sent))"
    )
    imported, converted, elsewhere = map(int, printed(code, tmp_path))
    assert (imported > 0, converted, elsewhere > 0) == (True, 0, True)


# Optional modules


def test_a_module_that_is_missing_or_cannot_be_loaded_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torn_package.py").write_text("raise RuntimeError('operator torn::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    message = r'torn cannot be loaded here: operator torn::nms.*pip install --upgrade "lookalike\[torch\]"'
    with pytest.raises(ModelError, match=message):
        optional_module("torn_package", "torn", "torch")
    with pytest.raises(MissingExtraError, match=r'importing from torn needs.*pip install "lookalike\[clip\]"'):
        optional_module("no_such_package", "torn", "clip")
