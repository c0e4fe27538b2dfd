"""Compiled models and forks: no child gets threads that only its parent has, and no threads are made in vain."""

import sys

import pytest

from tests.support import project

FIRST_LINES = """
import os
import numpy as np
from lookalike.encoders.openvino.compiling import compile_model, import_model
from lookalike.encoders.openvino.loading import FAILURES, op, ov
from tests.support.forked_children import answer_of_child

ONE, TWO, LATENCY = {"NUM_STREAMS": 1}, {"NUM_STREAMS": 2}, {"PERFORMANCE_HINT": "LATENCY"}

def graph():
    numbers = op.parameter([2], np.float32)
    return ov.Model([op.multiply(numbers, np.float32(2))], [numbers], "doubling")

def doubled(model):
    return model([np.array([1, 3], np.float32)])[0].tolist()

def threads():
    return len(os.listdir("/proc/self/task"))

blob = compile_model(graph(), TWO).export_model().getvalue()

def of_all_kinds():
    return [doubled(model) for options in (ONE, TWO, LATENCY)
            for model in (compile_model(graph(), options), import_model(blob, options))]
"""


def printed(program: str) -> list[str]:
    """The lines that a new process prints."""
    return project.printed(FIRST_LINES + program)


def test_children_compute_with_models_of_their_own_after_those_of_the_parent_are_gone() -> None:
    program = """
expected = str(of_all_kinds())
print(answer_of_child(of_all_kinds) == expected)
print(answer_of_child(lambda: (of_all_kinds(), answer_of_child(of_all_kinds))[1]) == expected)
print(str(of_all_kinds()) == expected, answer_of_child(of_all_kinds) == expected)
"""
    assert printed(program) == ["True", "True", "True True"]


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux lists them")
@pytest.mark.parametrize("fails", [False, True], ids=["compiled", "also what fails"])
def test_threads_are_used_again_however_often_models_come_and_go_and_processes_fork(fails: bool) -> None:
    program = f"""
def come_and_go():
    of_all_kinds()
    try:
        {fails} and import_model(b"no model", ONE)
    except FAILURES:
        pass
    answer_of_child(lambda: None)
    return threads()

first = [come_and_go() for _ in range(3)]
print({{come_and_go() for _ in range(5)}} == {{first[-1]}})
"""
    assert printed(program) == ["True"]
