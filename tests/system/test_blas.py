"""Matrix products on one thread: the pools are limited within, and get back what they had."""

import os
import threading
from collections.abc import Iterator

import pytest
from threadpoolctl import ThreadpoolController

from lookalike.system import blas
from lookalike.system.blas import one_thread

POOLS = ThreadpoolController().select(threading_layer="pthreads")


def _threads() -> set[int]:
    return {pool["num_threads"] for pool in POOLS.info()}


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    if not POOLS.info():
        pytest.skip("NumPy's products have no threads here")
    limits = POOLS.limit(limits=3)
    yield
    limits.restore_original_limits()


def test_within_there_is_one_thread_and_then_as_many_as_before() -> None:
    assert _threads() == {3}
    with one_thread():
        assert _threads() == {1}
        with one_thread():
            assert _threads() == {1}
        assert _threads() == {1}
    assert _threads() == {3}


def test_the_last_of_several_threads_gives_the_pools_back() -> None:
    second_is_in, first_is_out = threading.Event(), threading.Event()
    seen: list[set[int]] = []

    def second() -> None:
        with one_thread():
            second_is_in.set()
            first_is_out.wait(10)
            seen.append(_threads())

    with one_thread():
        other = threading.Thread(target=second)
        other.start()
        assert second_is_in.wait(10)
    first_is_out.set()
    other.join()
    assert seen == [{1}]
    assert _threads() == {3}


def test_an_error_within_gives_the_pools_back() -> None:
    with pytest.raises(ZeroDivisionError), one_thread():
        1 / 0  # noqa: B018
    assert _threads() == {3}


def test_a_forked_child_begins_anew() -> None:
    with one_thread():
        child = os.fork()
        if not child:  # the thread that is within has forked, but the child does not count it
            os._exit(0 if blas._one_thread._inside == 0 and _threads() == {3} else 1)
        assert os.waitpid(child, 0)[1] == 0
    assert _threads() == {3}
