"""Runs a function in a process of its own, so that the memory and the time that it takes are its alone.

The process is a new Python, which gets the function's name and its argument through its standard input, and gives
back through its standard output how far it is, and the result. Unlike multiprocessing it does not run the calling
script again, and takes no library from the current folder.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from lookalike.errors import LookalikeError, ModelError

Task = TypeVar("Task")
Result = TypeVar("Result")

_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from lookalike import own_process; own_process.serve()"


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


def run(
    work: Callable[[Task, Callable[[int], None]], Result], task: Task, *, name: str, tell: Callable[[int], None]
) -> Result:
    """What `work(task, tell)` gives in a new process, which has ended when this returns or raises.

    Ctrl-C is for the calling process alone, and ends both.

    Args:
        work: a function of a module. It says how far it is by calling what it is given.
        task: what it is to do.
        name: what messages call it.
        tell: is told here what it says there; what it raises ends the work.

    Raises:
        LookalikeError, MemoryError: what the work has raised.
        ModelError: its process has ended without a result.
    """
    command = [sys.executable, "-P", "-c", _PROGRAM, *sys.path]
    with ExitStack() as ending:
        with _without_ctrl_c():
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
            ending.callback(_end, process)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError), process.stdin as given:  # reading tells better what has happened
                pickle.dump((work, task), given)
            result: Result = _result(process.stdout, tell)
        except EOFError:
            raise ModelError(f"{name}: the process that ran it {_fate(process.wait())}") from None
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


def _result(told: IO[bytes], tell: Callable[[int], None]) -> Any:
    while True:
        match pickle.load(told):  # noqa: S301 - the process that this one has started writes it
            case _Done(result):
                return result
            case _Failed() as failed:
                raise failed.error()
            case done:
                tell(done)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """A process that is started meanwhile never hears of Ctrl-C, not even while it is being loaded."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    with suppress(BrokenPipeError), process:  # which closes its pipes and waits for it
        pass


def _fate(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed, most likely because memory ran short; close other programs and try again"
    return f"ended before it was done (exit code {code}); what it wrote on standard error tells why"
