"""Work that threads share: the order of the results, errors, and forks."""

import threading
import time

import pytest

from lookalike.system import threads
from lookalike.system.threads import Threads


@pytest.fixture(params=[1, 2, 5], ids="{} cores".format)
def shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Threads:
    """Threads of a machine with so many cores."""
    monkeypatch.setattr(threads, "cores", lambda: request.param)
    return Threads("tests")


@pytest.mark.parametrize("items", [0, 1, 2, 3, 100])
def test_results_are_in_the_order_of_the_items(shared: Threads, items: int) -> None:
    def work(item: int) -> int:
        time.sleep(0.001 * (item % 3))
        return item * item

    for _ in range(2):
        assert shared.each(work, range(items)) == [item * item for item in range(items)]


def test_the_error_is_that_of_the_first_item_that_has_one(shared: Threads) -> None:
    done = []

    def work(item: int) -> None:
        if item == 3:
            time.sleep(0.05)  # others fail before it
        if item in (3, 4, 5, 70):
            raise ValueError(item)
        done.append(item)

    with pytest.raises(ValueError, match=r"^3$"):
        shared.each(work, range(100))
    assert {0, 1, 2} <= {*done} <= {*range(10)}  # the rest is not begun
    assert shared.each(str, range(3)) == ["0", "1", "2"]


def test_what_stops_the_program_comes_before_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 2)
    both = threading.Barrier(2)

    def work(item: int) -> None:
        both.wait(60)
        raise KeyboardInterrupt if item == 1 else ValueError

    with pytest.raises(KeyboardInterrupt):
        Threads("tests").each(work, range(2))


def test_no_more_threads_work_than_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 3)
    meeting = threading.Barrier(3)  # all three have to work at once to get past it
    names = set()

    def work(_: int) -> None:
        meeting.wait(60)
        names.add(threading.current_thread().name)

    Threads("tests").each(work, range(9))
    assert len(names) == 3
    assert threading.current_thread().name in names


def test_work_within_work_ends(shared: Threads) -> None:
    """Its threads are all taken, so that the calling ones do it."""
    assert shared.each(lambda item: sum(shared.each(lambda other: item * other, range(5))), range(8)) == [
        10 * item for item in range(8)
    ]
