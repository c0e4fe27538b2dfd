"""What forked children make anew."""

from tests.support import project

FIRST_LINES = """
import os, threading
from lookalike.system import forks
from tests.support.forked_children import answer_of_child, end_of_child
"""


def printed(program: str) -> list[str]:
    """The lines that a new process prints."""
    return project.printed(FIRST_LINES + program)


def test_a_lock_is_free_in_a_child_whoever_holds_it_in_the_parent() -> None:
    program = """
lock, taken, ended = forks.lock(), threading.Event(), threading.Event()

def hold():
    with lock:
        taken.set()
        ended.wait()

def use():
    with lock:
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


def test_an_object_is_told_once_in_each_child_and_never_in_the_parent() -> None:
    program = """
class Told:
    times = 0

    def after_fork(self):
        self.times += 1

told = Told()
forks.watch(told)
print(answer_of_child(lambda: told.times), answer_of_child(lambda: told.times), told.times)
print(answer_of_child(lambda: answer_of_child(lambda: told.times)))
"""
    assert printed(program) == ["1 1 0", "2"]


def test_an_object_prepares_each_fork_when_no_other_thread_is_within_a_library() -> None:
    program = """
class Prepared:
    seen = ()

    def before_fork(self):
        self.seen += (within.is_set(),)

prepared, within, forking = Prepared(), threading.Event(), threading.Event()
forks.prepare(prepared)

def use():
    with forks.held_off():
        within.set()
        forking.wait(0.5)
        within.clear()

thread = threading.Thread(target=use)
thread.start()
within.wait()
print(answer_of_child(lambda: prepared.seen))
print(answer_of_child(lambda: answer_of_child(lambda: len(prepared.seen))), len(prepared.seen))
"""
    assert printed(program) == ["(False,)", "3 2"]


def test_an_object_is_not_kept_by_being_watched() -> None:
    program = """
class Told:
    def after_fork(self):
        print("told")

forks.watch(Told())
print(answer_of_child(lambda: "answered"))
"""
    assert printed(program) == ["answered"]


def test_what_is_kept_for_ever_is_not_destroyed_at_the_end() -> None:
    program = """
class Noisy:
    def __del__(self):
        os.write(1, b"destroyed\\n")

kept, other = Noisy(), Noisy()
forks.keep_forever(kept)
del kept, other
"""
    assert printed(program) == ["destroyed"]


HELD = """
forks._LONGEST_WAIT_S = {seconds}
inside, ended = threading.Event(), threading.Event()

def hold():
    with forks.held_off():
        inside.set()
        ended.wait({held})

def use():
    with forks.held_off(), forks.held_off():
        return "used"

thread = threading.Thread(target=hold)
thread.start()
inside.wait()
"""


def test_a_fork_waits_until_other_threads_have_left_a_library() -> None:
    program = """
print(answer_of_child(lambda: (thread.is_alive(), use())))
print(use())
"""
    assert printed(HELD.format(seconds=10, held=0.3) + program) == ["(False, 'used')", "used"]


def test_a_child_refuses_what_a_thread_has_held_for_too_long() -> None:
    program = """
print(answer_of_child(use))
print(answer_of_child(lambda: answer_of_child(use)))
ended.set()
thread.join()
print(answer_of_child(use), use())
"""
    first, second, third = printed(HELD.format(seconds=0.1, held=30) + program)
    assert first == second
    assert first == (
        "UsageError: this process was forked while another thread was using a collection; start processes by"
        " multiprocessing's method `spawn`, or before the threads"
    )
    assert third == "used used"


def test_a_thread_forks_while_it_is_within_a_library_itself() -> None:
    program = """
with forks.held_off():
    print(answer_of_child(use))
print(answer_of_child(use), use())
"""
    assert printed(HELD.format(seconds=10, held=0.1) + "thread.join()" + program) == ["used", "used used"]


def test_several_threads_fork_at_once() -> None:
    program = """
answers = []
threads = [threading.Thread(target=lambda: answers.append(answer_of_child(use))) for _ in range(6)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(answers, use())
"""
    assert printed(HELD.format(seconds=10, held=0.2) + program) == [f"{['used'] * 6} used"]
