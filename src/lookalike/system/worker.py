"""Runs a function in a process of its own, so that it can be stopped, and its memory and time are measured alone.

The process is a new Python interpreter. It receives the function's name and argument on its standard input, and sends
progress and the result on its standard output. Unlike multiprocessing, it does not run the calling script again. It
has the caller's `sys.path`, and so imports from the current folder only if the caller does.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from lookalike.errors import LookalikeError, ModelError
from lookalike.system import resources

Task = TypeVar("Task")
Result = TypeVar("Result")

_LOOK_S = 0.1  # between two looks at whether the work is still under way
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from lookalike.system import worker; worker.serve()"


@dataclass(frozen=True)
class _Done:
    result: Any


@dataclass(frozen=True)
class _Failed:
    """The parts of an error, since pickle would restore it from its message alone."""

    kind: type[BaseException]
    args: tuple[Any, ...]
    state: dict[str, Any]

    def error(self) -> BaseException:
        error = self.kind.__new__(self.kind, *self.args)
        error.__dict__.update(self.state)
        return error


class EndedError(ModelError):
    """A process ended without a result.

    Attributes:
        code: its exit code; below 0, the negative number of the signal that ended it.
    """

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"{name}: the process that ran it {_fate(code)}")
        self.code = code


def run(
    work: Callable[[Task, Callable[[int], None]], Result],
    task: Task,
    *,
    name: str,
    progress: Callable[[int], None],
    seconds: float | None = None,
    memory: int | None = None,
) -> Result:
    """Runs `work(task, progress)` in a new process and returns its result.

    The process ends with this call, or if the calling process is killed. Only that receives Ctrl-C, and then ends both.

    Args:
        work: a function at the top level of a module; it reports progress by calling its second argument.
        task: the first argument of `work`; it has to be picklable.
        name: what error messages call the work.
        progress: called here with each number that `work` reports; an exception from it ends the work.
        seconds: the time limit; None is no limit.
        memory: the most bytes that `work` may allocate, where the operating system can limit it; None is no limit.

    Raises:
        LookalikeError, MemoryError: `work` raised it.
        EndedError: the process ended without a result.
        TimeoutError: the work took longer than `seconds`.
    """
    with ExitStack() as ending:
        process = _started(ending)
        late = ending.enter_context(_deadline(process, seconds))
        try:
            result: Result = _worked(process, (work, task, memory), name, progress)
        except EndedError:
            if late.is_set():
                raise TimeoutError(f"{name}: not done after {seconds} seconds") from None
            raise
        return result


def run_stoppable(
    work: Callable[[Task, Callable[[int], None]], Result], task: Task, *, name: str, stopped: threading.Event
) -> Result:
    """Runs `work(task, progress)` as `run` does, without progress, and ends it soon after an event is set.

    Raises:
        LookalikeError, MemoryError: `work` raised it.
        EndedError: the process ended without a result, perhaps since it was stopped.
    """
    with ExitStack() as ending:
        process = _started(ending)
        ending.enter_context(_ended_by(process, stopped))
        result: Result = _worked(process, (work, task, None), name, lambda _: None)
        return result


def serve() -> None:
    """Does the work that standard input describes; this is the main function of the new process."""
    # Either error means that the caller has ended.
    with suppress(BrokenPipeError, EOFError), os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)  # what libraries print goes to standard error, not among the messages

        def send(message: Any) -> None:
            pickle.dump(message, output)
            output.flush()

        work, task, memory = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by the process that started this one
        threading.Thread(target=_end_with_the_caller, daemon=True).start()
        try:
            if memory is not None:
                resources.limit_memory(memory)
            send(_Done(work(task, send)))
        except (LookalikeError, MemoryError) as error:
            send(_Failed(type(error), error.args, vars(error)))


def _end_with_the_caller() -> None:
    """Ends this process as soon as the one that started it has ended, even if that was killed."""
    while os.read(0, 1):  # nothing more is written
        pass
    os._exit(1)


def _started(ending: ExitStack) -> subprocess.Popen[bytes]:
    """A new process that waits for its work, and is ended with the block."""
    command = [sys.executable, "-P", "-c", _PROGRAM, *sys.path]
    with _without_ctrl_c():
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
        ending.callback(_end, process)
    return process


def _worked(
    process: subprocess.Popen[bytes], given: tuple[Any, Any, int | None], name: str, progress: Callable[[int], None]
) -> Any:
    """Gives a process its work and returns the result."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with suppress(BrokenPipeError):  # reading the result raises the better error
            pickle.dump(given, process.stdin)
            process.stdin.flush()  # it stays open: its end tells the process that this one has ended
        return _result(process.stdout, progress)
    except (EOFError, pickle.UnpicklingError):  # the output ended, perhaps within a message
        raise EndedError(name, process.wait()) from None


def _result(output: IO[bytes], progress: Callable[[int], None]) -> Any:
    while True:
        match pickle.load(output):  # noqa: S301 - written by the process that this one started
            case _Done(result):
                return result
            case _Failed() as failed:
                raise failed.error()
            case done:
                progress(done)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Blocks Ctrl-C, so that a process that is started meanwhile never receives it, not even while Python starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _deadline(process: subprocess.Popen[bytes], seconds: float | None) -> Iterator[threading.Event]:
    """Kills a process after `seconds`; the event is set if this has happened."""
    late = threading.Event()
    if seconds is None:
        yield late
        return

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        timer.join()


@contextmanager
def _ended_by(process: subprocess.Popen[bytes], stopped: threading.Event) -> Iterator[None]:
    """Kills a process when the event is set."""
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            if stopped.wait(_LOOK_S):
                process.kill()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    with suppress(BrokenPipeError), process:  # closes its pipes and waits for it
        pass


def _fate(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed, most likely because memory ran short; close other programs and try again"
    return f"ended before it was done (exit code {code}); the reason is on standard error"
