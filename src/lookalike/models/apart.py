"""Reads a network's file in a process of its own, as OpenVINO ends the process on some files that are damaged.

The process hands over what it has read in OpenVINO's own format. It is started with this file as its program.
"""

import re
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Literal

from lookalike.encoders.ov import ov

Frontend = Literal["onnx", "ir", "tflite", "tf"]

_GRAPH, _WEIGHTS, _ERROR = "graph.xml", "graph.bin", "error.txt"
_LENGTH = 8  # bytes that say how long the first of two parts is
_SECONDS = 900
# What OpenVINO writes about itself rather than about the file.
_NOISE = re.compile(
    r"(Exception from |Check '|\[?FrontEnd API failed|While validating|.*failed with (General)?Failure:?$)"
)


class DamagedError(Exception):
    """OpenVINO cannot read a file; the text says why, in one line."""


def read(frontend: Frontend, *parts: bytes, path: Path | None = None) -> ov.Model:
    """The graph in the bytes of an ONNX file, in those of the two files of OpenVINO's own format, or at a path.

    Raises:
        DamagedError: it cannot be read.
    """
    data = len(parts[0]).to_bytes(_LENGTH, "little") + b"".join(parts) if parts else b""
    with tempfile.TemporaryDirectory(prefix="lookalike-") as folder:
        # -P: what lies in the current folder is not to be taken for a library.
        command = [sys.executable, "-P", __file__, frontend, folder, *([str(path.absolute())] if path else [])]
        try:
            ended = subprocess.run(command, input=data, capture_output=True, cwd=folder, timeout=_SECONDS, check=False)  # noqa: S603
        except subprocess.TimeoutExpired as error:
            raise DamagedError(f"OpenVINO is not done with it after {_SECONDS} seconds") from error
        place = Path(folder)
        if (place / _ERROR).exists():
            raise DamagedError((place / _ERROR).read_text(encoding="utf-8"))
        if ended.returncode:
            raise DamagedError("OpenVINO fails on it: it is damaged, or needs more memory than there is")
        return ov.Core().read_model((place / _GRAPH).read_bytes(), (place / _WEIGHTS).read_bytes())


def reason(error: Exception) -> str:
    """The first line of an error of OpenVINO's that says something about the network."""
    if isinstance(error, UnicodeError):
        return "it is damaged"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = next((line for line in lines if not _NOISE.match(line)), lines[0] if lines else type(error).__name__)
    return telling if len(telling) <= 200 else telling[:200] + " ..."


def _read(frontend: str, path: str | None) -> ov.Model:
    if path is not None:
        # Not whichever takes itself to be the right one.
        reader = ov.frontend.FrontEndManager().load_by_framework(frontend)
        return reader.convert(reader.load(path))
    data = BytesIO(sys.stdin.buffer.read())
    first = data.read(int.from_bytes(data.read(_LENGTH), "little"))
    return ov.Core().read_model(first, data.read()) if frontend == "ir" else ov.Core().read_model(first)


def _main(frontend: str, folder: str, path: str | None = None) -> None:
    place = Path(folder)
    try:
        graph = _read(frontend, path)
        for node in graph.get_ops():  # a name that is no text would come to light where nobody expects it
            _ = node.get_friendly_name(), [output.get_names() for output in node.outputs()]
        ov.serialize(graph, place / _GRAPH, place / _WEIGHTS)
    except Exception as error:  # OpenVINO's have no type in common
        (place / _ERROR).write_text(reason(error), encoding="utf-8")


if __name__ == "__main__":
    _main(*sys.argv[1:])
