"""Decodes an image in a process of its own, which has a limit of memory and of time.

The libraries of some formats allocate what a file asks for, and may end the process. Large images only: starting a
process takes as long as decoding some photographs.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from PIL import AvifImagePlugin, Image

from lookalike.errors import ImageError
from lookalike.images import limits
from lookalike.images.failures import one_image
from lookalike.images.formats import open_image
from lookalike.images.rendering import Rendered, View, render
from lookalike.system import worker

_SECONDS = 60.0  # to decode an image
_BESIDES = 200_000_000  # bytes of memory for what is not in the estimate, such as the rows that are scaled at once


@dataclass(frozen=True)
class _Task:
    data: bytes
    view: View


def render_apart(data: bytes, view: View, max_pixels: int) -> Rendered:
    """Decodes the bytes of an image file in a new process, and crops and scales it to a view.

    Raises:
        ImageError: it cannot be used, takes too much memory or time, or ended the process.
    """
    memory = limits.memory_limit(max_pixels) + len(data) + _BESIDES
    try:
        task = _Task(data, view)
        return worker.run(_render, task, name="decoding", progress=lambda _: None, seconds=_SECONDS, memory=memory)
    except MemoryError:
        raise ImageError(f"takes more than {memory / 1e9:.1f} GB of memory to decode") from None
    except TimeoutError:
        raise ImageError(f"not decoded after {_SECONDS:.0f} seconds") from None
    except worker.EndedError as error:
        raise ImageError(ended(error), lasting=error.code < 0) from None
    except OSError as error:
        raise ImageError(
            f"no process could be started to decode it: {error.strerror or error}", lasting=False
        ) from error


def ended(error: worker.EndedError) -> str:
    """Why an image is skipped that ended the process which decoded it."""
    if error.code >= 0:
        return f"decoding it ended the process (exit code {error.code})"
    name = signal.Signals(-error.code).name if -error.code in set(signal.Signals) else "unknown"
    return f"decoding it ended the process (signal {-error.code}, {name})"


def _render(task: _Task, _progress: Callable[[int], None]) -> Rendered:
    """Runs in the process of its own, in which Pillow's own limit does not hold."""
    Image.MAX_IMAGE_PIXELS = None
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each thread takes memory of its own
    try:
        with one_image("image"):
            draft = limits.draft_of(open_image(task.data), task.view.covers, task.data, None)
            return render(draft, task.view)
    except ImageError as error:
        if isinstance(error.__cause__, MemoryError):
            raise error.__cause__ from None
        raise
