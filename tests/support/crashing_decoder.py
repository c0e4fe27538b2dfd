"""Decoding that ends the process at images with a mark in them, as a library with an error in it does."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from lookalike.images import decode, isolated

MARK = b"ends the process"


def render_or_crash(task: Any, progress: Callable[[int], None]) -> Any:
    """Replaces what runs in the process of its own."""
    _crash_at(task.data)
    return _render(task, progress)


def install(patch: pytest.MonkeyPatch) -> None:
    """Lets both ways of decoding end their process."""

    def rendered_file(data: bytes, *rest: Any) -> Any:
        _crash_at(data)
        return _rendered_file(data, *rest)

    patch.setattr(decode, "_rendered_file", rendered_file)
    patch.setattr(isolated, "_render", render_or_crash)


_render, _rendered_file = isolated._render, decode._rendered_file


def _crash_at(data: bytes) -> None:
    if MARK in data:
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(60)  # a thread goes on until the process ends
