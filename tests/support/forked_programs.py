"""Processes that are forked from one that has imported what most need: importing takes most of a short process.

Tests that are about starting Python itself (test_readme.py, test_interrupt.py and others) use `subprocess`.
"""

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(
    [
        *("lookalike.cli.main", "lookalike.collection.opening", "lookalike.search.searcher"),
        *("lookalike.encoders.openvino.image_encoder", "openvino", "faiss", "PIL.JpegImagePlugin", "rich.progress"),
        *("lookalike.server.serving", "lookalike.server.app", "tests.support.pictures", "tests.support.unsynced"),
    ]
)


class Program:
    """A function in a process of its own, used like `subprocess.Popen` with text.

    Attributes:
        stdout: what it prints.
        stderr: what it writes to standard error.
    """

    def __init__(
        self, function: Callable[..., object], *given: Any, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> None:
        """Starts it; what it is given has to be picklable."""
        pipes = [FORKING.Pipe(duplex=False) for _ in range(2)]
        settings = (cwd or Path.cwd(), dict(os.environ) if env is None else env)
        self._process = FORKING.Process(target=_run, args=([end for _, end in pipes], settings, function, given))
        self._process.start()
        for _, end in pipes:
            end.close()
        self.stdout, self.stderr = (os.fdopen(os.dup(end.fileno()), errors="surrogateescape") for end, _ in pipes)
        for end, _ in pipes:
            end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Waits for its end, as `subprocess.Popen` does."""
        self.stdout.close()
        self.stderr.close()
        self._process.join()

    @property
    def returncode(self) -> int | None:
        """Its exit code, or the negative number of the signal that has ended it; None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float) -> int:
        """Its exit code, as soon as it has ended."""
        self._process.join(seconds)
        assert self.returncode is not None, f"it does not end within {seconds} seconds"
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process.pid
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()


def _run(
    ends: list[Any], settings: tuple[Path, dict[str, str]], function: Callable[..., object], given: tuple[Any, ...]
) -> None:
    for descriptor, name, end in zip((1, 2), ("stdout", "stderr"), ends, strict=True):
        os.dup2(end.fileno(), descriptor)
        end.close()
        setattr(sys, name, open(descriptor, "w", buffering=1, closefd=False))  # noqa: SIM115
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    folder, environment = settings
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    function(*given)


def be_program(path: Path, *arguments: str) -> None:
    """Does what `python path` does with these arguments."""
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.parent))
    runpy.run_path(str(path), run_name="__main__")


def be_code(code: str, *arguments: str) -> None:
    """Does what `python -c code` does with these arguments."""
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<string>", "exec"), vars(sys.modules["__main__"]))
