"""The command line in processes of its own, which are forked as those of forked_programs.py are."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from lookalike.__main__ import main
from tests.support.forked_programs import FORKING
from tests.support.unsynced import unsynced

LIMIT_S = 120
_STREAMS = ("stdin", "stdout", "stderr")


def run(*arguments: str | Path, cwd: Path, stdin: bytes | None = None, **environment: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `lookalike` with these arguments."""
    with tempfile.TemporaryDirectory() as name:
        streams = Path(name)
        (streams / "stdin").write_bytes(stdin or b"")
        given = (streams, [os.fspath(argument) for argument in arguments], cwd, {**os.environ, **environment})
        process = FORKING.Process(target=_be_command, args=given)
        process.start()
        process.join(LIMIT_S)
        assert process.exitcode is not None, f"{arguments} takes longer than {LIMIT_S} s"
        out, err = (os.fsdecode((streams / stream).read_bytes()) for stream in _STREAMS[1:])
    assert "Traceback" not in err
    return process.exitcode, out, err


def records(out: str) -> list[dict[str, Any]]:
    """JSON lines, strictly."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return [json.loads(line, parse_constant=refuse) for line in out.splitlines()]


def _be_command(streams: Path, arguments: list[str], cwd: Path, environment: dict[str, str]) -> None:
    """What `lookalike` does in a new process."""
    for descriptor, (stream, mode) in enumerate(zip(_STREAMS, ("r", "w", "w"), strict=True)):
        file = (streams / stream).open(mode)
        os.dup2(file.fileno(), descriptor)
        setattr(sys, stream, open(descriptor, mode, closefd=False))  # noqa: SIM115
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    be_command(*arguments)


def be_command(*arguments: str) -> None:
    """Does what `lookalike` does with these arguments, and exits."""
    sys.argv = ["lookalike", *arguments]
    with unsynced():
        main()
