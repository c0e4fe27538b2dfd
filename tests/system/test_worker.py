"""Functions in a process of their own: results, errors, stops, and that no process is left over."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.errors import ModelError
from lookalike.system import worker
from tests.support import worker_tasks
from tests.support.project import ROOT

SCRIPT = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.support import worker_tasks
from lookalike.system import worker
"""
SLEEPER = f"""{SCRIPT}
work = getattr(worker_tasks, sys.argv[1])
try:
    worker.run(work, None, name="work", progress=lambda number: print(number, flush=True))
except KeyboardInterrupt:
    sys.exit(130)
"""


def run(work: Callable[..., object], task: object, progress: Callable[[int], None] = lambda _: None) -> object:
    return worker.run(work, task, name="the work", progress=progress)


def has_ended(process: int) -> bool:
    """Returns whether there is no process of this id."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_progress_and_the_result_come_back_from_another_process() -> None:
    reported: list[int] = []
    result = run(worker_tasks.count, 3, reported.append)
    assert isinstance(result, tuple)
    process, parent, numbers = result
    assert (parent, numbers, reported) == (os.getpid(), [0, 1, 2], [0, 1, 2])
    assert process != parent
    assert has_ended(process)


@pytest.mark.parametrize("name", worker_tasks.ERRORS)
def test_an_error_is_raised_again_with_its_type_and_attributes(name: str) -> None:
    error = worker_tasks.ERRORS[name]
    with pytest.raises(type(error)) as raised:
        run(worker_tasks.fail, name)
    assert type(raised.value) is type(error)
    assert (str(raised.value), vars(raised.value)) == (str(error), vars(error))


def test_the_traceback_of_another_error_is_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match=r"^the work: the process that ran it ended .*exit code 1.*standard error"):
        run(worker_tasks.stumble, None)
    assert "ZeroDivisionError: a mistake" in capfd.readouterr().err


def test_a_killed_process_is_reported_as_short_of_memory() -> None:
    with pytest.raises(ModelError, match="killed, most likely because memory ran short"):
        run(worker_tasks.die, signal.SIGKILL)


def test_work_that_takes_too_long_is_ended() -> None:
    reported: list[int] = []
    with pytest.raises(TimeoutError, match="the work: not done after 1 seconds"):
        worker.run(worker_tasks.sleep, None, name="the work", progress=reported.append, seconds=1)
    assert has_ended(reported[0])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_work_that_takes_too_much_memory_fails_as_if_there_were_no_more() -> None:
    def allocate(megabytes: int) -> object:
        return worker.run(worker_tasks.allocate, megabytes, name="", progress=lambda _: None, memory=200 * 2**20)

    assert allocate(150) == 150
    with pytest.raises(MemoryError):
        allocate(250)


def test_work_that_is_done_in_time_leaves_no_thread() -> None:
    before = threading.enumerate()
    result = worker.run(worker_tasks.count, 1, name="the work", progress=lambda _: None, seconds=60)
    assert isinstance(result, tuple)
    assert result[2] == [0]
    assert threading.enumerate() == before


@pytest.mark.parametrize("code", [-signal.SIGSEGV, -signal.SIGKILL, 1])
def test_the_exit_code_tells_a_crash_from_an_exception(code: int, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(worker.EndedError) as raised:
        run(*((worker_tasks.die, -code) if code < 0 else (worker_tasks.stumble, None)))
    assert raised.value.code == code


def test_an_exception_from_the_callback_ends_the_work() -> None:
    reported: list[int] = []

    def stop(number: int) -> None:
        reported.append(number)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(worker_tasks.sleep, None, stop)
    assert has_ended(reported[0])


@pytest.mark.parametrize("work", ["sleep", "wait"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_no_process_or_output_is_left_if_the_caller_is_stopped(number: int, code: int, work: str) -> None:
    """Ctrl-C goes to all processes of a terminal; SIGKILL goes to the caller alone."""
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER, work],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as caller:
        assert caller.stdout is not None
        caller.stdout.readline()  # the work has begun
        (os.killpg if number == signal.SIGINT else os.kill)(caller.pid, number)
        _, errors = caller.communicate(timeout=20)  # returns when no process has standard error open
    assert (caller.returncode, errors) == (code, "")


def test_a_script_from_standard_input_needs_no_main_guard(tmp_path: Path) -> None:
    """multiprocessing would run the script again, and import `signal` from the current folder."""
    (tmp_path / "signal.py").write_text("raise SystemExit('from the current folder')")
    script = f"{SCRIPT}\nprint(worker.run(worker_tasks.count, 2, name='', progress=print)[2])"
    done = subprocess.run(
        [sys.executable, "-P", "-"], input=script, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "0\n1\n[0, 1]\n")
    assert done.stderr == "what a library may print\n"


def test_modules_are_imported_from_the_callers_path(tmp_path: Path) -> None:
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "twice.py").write_text("def twice(number, progress): return 2 * number")
    script = (
        "import twice; from lookalike.system import worker as w; print(w.run(twice.twice, 4, name='', progress=print))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": "libraries"},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout == b"8\n"


def test_work_can_be_stopped_and_leaves_no_process_and_no_thread(tmp_path: Path) -> None:
    before, stopped, note = threading.enumerate(), threading.Event(), tmp_path / "process"

    def stop() -> None:
        while not note.exists() or not note.read_text():
            time.sleep(0.02)
        stopped.set()

    threading.Thread(target=stop).start()
    with pytest.raises(worker.EndedError, match="the work: the process that ran it was killed"):
        worker.run_stoppable(worker_tasks.sleep_noted, note, name="the work", stopped=stopped)
    assert has_ended(int(note.read_text()))
    result = worker.run_stoppable(worker_tasks.count, 2, name="the work", stopped=threading.Event())
    assert isinstance(result, tuple)
    assert result[2] == [0, 1]
    assert [thread for thread in threading.enumerate() if thread not in before and thread.is_alive()] == []
