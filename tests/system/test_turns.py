"""A fair semaphore that nobody waits at for long."""

import threading
import time

from lookalike.system.turns import Turns
from tests.system.test_forks import printed


def test_no_more_are_within_than_may_be_and_all_get_their_turn() -> None:
    turns, lock = Turns(2, patience_s=60), threading.Lock()
    inside, most, done = 0, 0, 0

    def work() -> None:
        nonlocal inside, most, done
        for _ in range(20):
            with turns.taken():
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.0005)
                with lock:
                    inside, done = inside - 1, done + 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done, inside) == (2, 160, 0)


def test_turns_come_in_the_order_of_arrival() -> None:
    turns, order, threads = Turns(1, patience_s=60), list[int](), list[threading.Thread]()

    def work(number: int) -> None:
        with turns.taken():
            order.append(number)

    with turns.taken():
        for number in range(6):
            threads.append(threading.Thread(target=work, args=[number]))
            threads[-1].start()
            while len(turns._waiting) <= number:
                time.sleep(0.001)
        assert order == []
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4, 5]


def test_who_has_waited_long_enough_enters_besides() -> None:
    turns, entered = Turns(1, patience_s=0.01), threading.Event()

    def work() -> None:
        with turns.taken():
            entered.set()

    with turns.taken():
        other = threading.Thread(target=work)
        other.start()
        assert entered.wait(60)
        other.join()
    assert (turns._inside, list(turns._waiting)) == (0, [])


def test_a_turn_that_another_thread_has_is_free_in_a_forked_child() -> None:
    program = """
from lookalike.system.turns import Turns
turns, taken, ended = Turns(1, patience_s=3600), threading.Event(), threading.Event()

def hold():
    with turns.taken():
        taken.set()
        ended.wait()

def use():
    with turns.taken():
        return "free"

thread = threading.Thread(target=hold)
thread.start()
taken.wait()
print(answer_of_child(use))
ended.set()
thread.join()
print(use())
"""
    assert printed(program) == ["free", "free"]
