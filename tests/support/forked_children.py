"""Forked children of a test's process: what they answer, and how they end, within a limit of time."""

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

SECONDS = 20.0
HANGS = "hangs"


def answer_of_child(work: Callable[[], Any], *, seconds: float = SECONDS) -> str:
    """What a forked child answers: the text of a function's result or error, or HANGS, and then it is killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _answer(work, writing)
    os.close(writing)
    answered = select.select([reading], [], [], seconds)[0]
    answer = os.read(reading, 4096).decode() if answered else HANGS
    os.close(reading)
    if not answered:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return answer


def end_of_child(work: Callable[[], Any], *, seconds: float = SECONDS) -> int | str:
    """How a forked child ends that runs a function and then exits as Python does: its wait status, or HANGS."""
    child = os.fork()
    if not child:
        work()
        sys.exit()  # with all destructors, unlike os._exit
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return HANGS


def _answer(work: Callable[[], Any], writing: int) -> None:
    try:
        answer = str(work())
    except BaseException as error:
        traceback.print_exc()
        answer = f"{type(error).__name__}: {error}"
    os.write(writing, answer.encode()[:4096])
    os._exit(0)
