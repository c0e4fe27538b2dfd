"""Reads a network's file in a process of its own, as OpenVINO ends the process on some files that are damaged.

The process hands over what it has read in OpenVINO's own format, in two files, as it may be large.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lookalike.encoders.openvino.loading import ov
from lookalike.errors import ModelError
from lookalike.importers.error_summary import reason
from lookalike.importers.torch_export import quietly
from lookalike.system import worker

Frontend = Literal["onnx", "ir", "tflite", "tf"]

_GRAPH, _WEIGHTS = "graph.xml", "graph.bin"
_SECONDS = 900.0


class DamagedError(ModelError):
    """OpenVINO cannot read a file; the text says why, in one line, but not which file."""


@dataclass(frozen=True)
class _Task:
    """What is to be read: bytes, or what is at a path; and the folder that the result is written into."""

    frontend: Frontend
    parts: tuple[bytes, ...]
    path: Path | None
    folder: Path


def read(frontend: Frontend, *parts: bytes, path: Path | None = None) -> ov.Model:
    """The graph in the bytes of an ONNX file, in those of the two files of OpenVINO's own format, or at a path.

    Raises:
        DamagedError: it cannot be read.
        ModelError: the process that reads cannot do its work, whatever the file.
    """
    with tempfile.TemporaryDirectory(prefix="lookalike-") as name:
        folder = Path(name)
        task = _Task(frontend, parts, path, folder)
        try:
            worker.run(_hand_over, task, name="OpenVINO", progress=lambda _: None, seconds=_SECONDS)
        except TimeoutError as error:
            raise DamagedError(f"OpenVINO is not done with it after {_SECONDS:.0f} seconds") from error
        except worker.EndedError as error:
            if error.code >= 0:  # a mistake of Python's, which is not the file's
                raise
            raise DamagedError("OpenVINO fails on it: it is damaged, or needs more memory than there is") from error
        return ov.Core().read_model((folder / _GRAPH).read_bytes(), (folder / _WEIGHTS).read_bytes())


def _hand_over(task: _Task, _progress: Callable[[int], None]) -> None:
    """What the process of its own does. OpenVINO says on standard error why it ends it, which would tell nobody."""
    with quietly():
        try:
            graph = _graph(task)
            for node in graph.get_ops():  # a name that is no text would come to light where nobody expects it
                _ = node.get_friendly_name(), [output.get_names() for output in node.outputs()]
            ov.serialize(graph, task.folder / _GRAPH, task.folder / _WEIGHTS)
        except UnicodeError as error:
            raise DamagedError("it is damaged") from error
        except Exception as error:  # OpenVINO's have no type in common
            raise DamagedError(reason(error)) from error


def _graph(task: _Task) -> ov.Model:
    if task.path is None:
        return ov.Core().read_model(*task.parts)
    # Not whichever takes itself to be the right one.
    reader = ov.frontend.FrontEndManager().load_by_framework(task.frontend)
    return reader.convert(reader.load(str(task.path)))
