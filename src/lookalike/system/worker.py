"""Runs a function in a process of its own, so that the memory and the time that it takes are its alone.

The process is a new Python, which gets the function's name and its argument through its standard input, and gives
back through its standard output how far it is, and the result. Unlike multiprocessing it does not run the calling
script again. It finds libraries where the calling process does, and so in the current folder only where that does.
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

Task = TypeVar("Task")
Result = TypeVar("Result")

_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from lookalike.system import worker; worker.serve()"


@dataclass(frozen=True)
class _Done:
    result: Any


@dataclass(frozen=True)
class _Failed:
    """An error taken apart, since pickle would put it together from its message alone."""

    kind: type[BaseException]
    args: tuple[Any, ...]
    state: dict[str, Any]

    def error(self) -> BaseException:
        error = self.kind.__new__(self.kind, *self.args)
        error.__dict__.update(self.state)
        return error


class EndedError(ModelError):
    """A process has ended without a result.

    Attributes:
        code: its exit code, below 0 the signal that has ended it.
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
) -> Result:
    """What `work(task, tell)` gives in a new process, which has ended when this returns or raises.

    Ctrl-C is for the calling process alone, and ends both.

    Args:
        work: a function of a module. It says how far it is by calling what it is given.
        task: what it is to do.
        name: what messages call it.
        tell: is told here what it says there; what it raises ends the work.
        seconds: how long it may take, None for as long as it likes.

    Raises:
        LookalikeError, MemoryError: what the work has raised.
        EndedError: its process has ended without a result.
        TimeoutError: it has taken too long.
    """
    command = [sys.executable, "-P", "-c", _PROGRAM, *sys.path]
    with ExitStack() as ending:
        with _without_ctrl_c():
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
            ending.callback(_end, process)
        late = ending.enter_context(_deadline(process, seconds))
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError), process.stdin as given:  # reading tells better what has happened
                pickle.dump((work, task), given)
            result: Result = _result(process.stdout, progress)
        except (EOFError, pickle.UnpicklingError):  # nothing more, or the beginning of something
            code = process.wait()
            if late.is_set():
                raise TimeoutError(f"{name}: it is not done after {seconds} seconds") from None
            raise EndedError(name, code) from None
        return result


def serve() -> None:
    """What the new process does."""
    with suppress(BrokenPipeError, EOFError), os.fdopen(os.dup(1), "wb") as told:  # nobody waits for it any more
        os.dup2(2, 1)  # what a library prints is no part of the result

        def send(message: Any) -> None:
            pickle.dump(message, told)
            told.flush()

        work, task = pickle.load(sys.stdin.buffer)  # noqa: S301 - the process that started this one has written it
        try:
            send(_Done(work(task, send)))
        except (LookalikeError, MemoryError) as error:
            send(_Failed(type(error), error.args, vars(error)))


def _result(told: IO[bytes], progress: Callable[[int], None]) -> Any:
    while True:
        match pickle.load(told):  # noqa: S301 - the process that this one has started writes it
            case _Done(result):
                return result
            case _Failed() as failed:
                raise failed.error()
            case done:
                progress(done)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """A process that is started meanwhile never hears of Ctrl-C, not even while it is being loaded."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _deadline(process: subprocess.Popen[bytes], seconds: float | None) -> Iterator[threading.Event]:
    """Kills a process after that time; the event says that this has happened."""
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


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    with suppress(BrokenPipeError), process:  # which closes its pipes and waits for it
        pass


def _fate(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed, most likely because memory ran short; close other programs and try again"
    return f"ended before it was done (exit code {code}); what it wrote on standard error tells why"
