"""Reads a network's file in a separate process, as OpenVINO ends the process on some damaged files.

The process returns the graph in OpenVINO's own format, in two temporary files, as it may be large.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lookalike.encoders.openvino.loading import core, ov
from lookalike.errors import ModelError
from lookalike.importers.error_summary import one_line
from lookalike.importers.third_party import silenced
from lookalike.system import scratch, worker

Frontend = Literal["onnx", "ir", "tflite", "tf"]

_GRAPH, _WEIGHTS = "graph.xml", "graph.bin"
_SECONDS = 900.0  # the time limit for one file


class DamagedError(ModelError):
    """OpenVINO cannot read a file; the message is one line on the cause, without the file's name."""


@dataclass(frozen=True)
class _Task:
    """What the process reads: bytes, or the file at a path; and the directory it writes the graph to."""

    frontend: Frontend
    parts: tuple[bytes, ...]
    path: Path | None
    directory: Path


def read(frontend: Frontend, *parts: bytes, path: Path | None = None) -> ov.Model:
    """Returns the graph in a network's file.

    Args:
        frontend: OpenVINO's reader for the file's format.
        parts: the bytes of the file; for "ir", those of its two files.
        path: the file's path, instead of its bytes.

    Raises:
        DamagedError: it cannot be read.
        ModelError: the process does not work, whatever the file.
    """
    with scratch.directory(tempfile.gettempdir(), "lookalike-reading-") as directory:
        task = _Task(frontend, parts, path, directory)
        try:
            worker.run(_read_and_write, task, name="OpenVINO", progress=lambda _: None, seconds=_SECONDS)
        except TimeoutError as error:
            raise DamagedError(f"OpenVINO has not read it after {_SECONDS:.0f} seconds") from error
        except worker.EndedError as error:
            if error.code >= 0:  # a Python error, which is not the file's fault
                raise
            raise DamagedError("OpenVINO crashes on it: it is damaged, or needs more memory than there is") from error
        return core().read_model((directory / _GRAPH).read_bytes(), (directory / _WEIGHTS).read_bytes())


def _read_and_write(task: _Task, _progress: Callable[[int], None]) -> None:
    """Runs in the separate process. OpenVINO's messages on stderr are discarded, as they are of no use to a user."""
    with silenced():
        try:
            graph = _graph(task)
            for node in graph.get_ops():  # names that are not valid text would fail later
                _ = node.get_friendly_name(), [output.get_names() for output in node.outputs()]
            ov.serialize(graph, task.directory / _GRAPH, task.directory / _WEIGHTS)
        except UnicodeError as error:
            raise DamagedError("it is damaged") from error
        except Exception as error:  # OpenVINO's have no type in common
            raise DamagedError(one_line(error)) from error


def _graph(task: _Task) -> ov.Model:
    if task.path is None:
        return core().read_model(*task.parts)
    # By name: OpenVINO would otherwise guess the frontend.
    reader = ov.frontend.FrontEndManager().load_by_framework(task.frontend)
    return reader.convert(reader.load(str(task.path)))
