"""OpenVINO without its converter, and its core: one for the process, so that signals find their stack."""

import subprocess
import sys

from lookalike.encoders.openvino.loading import core
from tests.support.forked_children import answer_of_child

# Two encoders of which the first goes first, as when a collection is opened anew with another model.
_PROGRAM = """
import signal
from lookalike import encoders
first, second = (encoders.load(encoders.BUNDLED, threads=threads) for threads in (1, 2))
del first
del second
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("stopped")
"""


def test_ctrl_c_stops_a_program_whose_encoders_are_gone() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr


def test_there_is_one_core() -> None:
    assert core() is core()
    own = core()
    assert answer_of_child(lambda: core() is own) == "False"  # the parent's threads are not there


def test_the_converter_is_imported_when_it_is_asked_for() -> None:
    program = """
import sys
from lookalike import encoders
encoders.load()
print("openvino.tools.ovc" in sys.modules)
import openvino
print(openvino.convert_model.__module__, hasattr(openvino, "nothing"))
from openvino import convert_model
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "False\nopenvino.tools.ovc.convert False\n"), done.stderr
