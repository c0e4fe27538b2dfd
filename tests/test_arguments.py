"""What the checks of arguments accept, what they return, and what they say of the rest."""

import os
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from lookalike import arguments
from lookalike.errors import UsageError


class Named:
    """An object that stands for a path."""

    def __init__(self, path: Any) -> None:
        self._path = path

    def __fspath__(self) -> Any:
        return self._path

    def __repr__(self) -> str:
        return "Named()"


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_a_whole_number_becomes_an_int(value: Any) -> None:
    found = arguments.whole(value, "k")
    assert (type(found), found) == (int, 3)


@pytest.mark.parametrize("value", [3.0, np.float32(3), True, np.True_, "3", b"3", None, [3], np.array([3, 4]), 3 + 0j])
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^k=.*: give a whole number$"):
        arguments.whole(value, "k")


def test_a_whole_number_has_a_least_value() -> None:
    assert arguments.whole(-(10**30), "k") == -(10**30)
    assert arguments.whole(2, "k", least=2) == 2
    with pytest.raises(UsageError, match=r"^k=1: give at least 2$"):
        arguments.whole(np.int8(1), "k", least=2)


@pytest.mark.parametrize("value", [0.5, np.float16(0.5), np.float64(0.5), Fraction(1, 2)])
def test_a_number_becomes_a_float(value: Any) -> None:
    found = arguments.number(value, "weight")
    assert (type(found), found) == (float, 0.5)


@pytest.mark.parametrize(
    "value", ["0.5", True, np.True_, None, [0.5], np.array([0.5]), 1j, float("nan"), np.float32("nan")]
)
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^weight=.*: give a number$"):
        arguments.number(value, "weight")


@pytest.mark.parametrize("value", [float("inf"), -np.float32("inf"), 10**400])
def test_an_infinite_number_is_refused_where_it_has_to_be_finite(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^weight=.*: give a finite number$"):
        arguments.number(value, "weight")


@pytest.mark.parametrize("value", [True, np.True_, 1])
def test_what_is_true_becomes_true(value: Any) -> None:
    assert arguments.flag(value, "exact") is True


@pytest.mark.parametrize("value", ["yes", "", None, 2, [], np.array([True, True])])
def test_what_is_neither_true_nor_false_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^exact=.*: give True or False$"):
        arguments.flag(value, "exact")


@pytest.mark.parametrize("value", [b"text", None, 5, ["text"], Path("text")])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^text=.*: give text$"):
        arguments.text(value, "text")


@pytest.mark.parametrize(
    "value", ["a/b", np.str_("a/b"), Path("a/b"), PurePosixPath("a/b"), Named("a/b"), Named(b"a/b")]
)
def test_what_stands_for_a_path_becomes_one(value: Any) -> None:
    assert arguments.path(value, "folder") == Path("a/b")


def test_a_path_that_is_not_utf_8_stays_as_it_is() -> None:
    assert os.fsencode(arguments.path(Named(b"a\xff"), "folder")) == b"a\xff"


@pytest.mark.parametrize("value", ["", "a\0b", "a\ud800b", b"a/b", None, 5, ["a"], Named(5), Named("a\0b"), Named(b"")])
def test_what_is_no_path_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^folder=.*: give a path, as text or as a pathlib.Path$"):
        arguments.path(value, "folder")


@pytest.mark.parametrize(
    "make",
    [lambda: [1, 2], lambda: (1, 2), lambda: iter([1, 2]), lambda: np.array([1, 2]), lambda: {1: 0, 2: 0}.keys()],
)
def test_several_values_become_a_list(make: Callable[[], Any]) -> None:
    assert arguments.several(make(), "paths") == [1, 2]


@pytest.mark.parametrize(
    "value", ["a", b"a", bytearray(b"a"), memoryview(b"a"), Path("a"), Named("a"), BytesIO(b"a"), {"a": 1}, None, 5]
)
def test_a_single_value_is_no_list(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^paths: expected a list, got the single value "):
        arguments.several(value, "paths")


def test_an_array_without_dimensions_is_no_list() -> None:
    with pytest.raises(UsageError, match=r"^paths: expected a list, got the single value array\(1\)"):
        arguments.several(np.array(1), "paths")


@pytest.mark.parametrize("value", [print, str, lambda: 1, None])
def test_a_function_or_none_is_a_callback(value: Any) -> None:
    assert arguments.callback(value, "progress") is value


@pytest.mark.parametrize("value", ["print", 5, [print], True])
def test_what_cannot_be_called_is_no_callback(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^progress=.*: give a function$"):
        arguments.callback(value, "progress")


def test_an_object_of_a_class_is_asked_for_by_name() -> None:
    assert arguments.instance(5, int, "options", "options") == 5
    with pytest.raises(UsageError, match=r"^options='5': give Options\(\.\.\.\)$"):
        arguments.instance("5", int, "options", "Options(...)")


def test_a_value_is_shown_on_one_line_and_not_longer_than_it() -> None:
    assert arguments.shown("a\n b") == r"'a\n b'"
    assert arguments.shown(np.zeros((2, 2))) == "array([[0., 0.], [0., 0.]])"
    assert arguments.shown(b"a" * 1000) == "b'" + "a" * 58 + "..."
