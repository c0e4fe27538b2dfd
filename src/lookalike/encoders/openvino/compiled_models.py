"""Keeps compiled models in the user's cache directory, so that the next process does not build and compile them again.

    ~/.cache/lookalike/compiled/3f0c….blob     the SHA-256 of what follows, and what OpenVINO has exported

The name of a file tells all that its contents depend on: the graph, OpenVINO's version, the processor and the options.
A file that is damaged, or that someone else could have written, counts as none: OpenVINO would run what it says. All
of them may be deleted at any time.
"""

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

import lookalike
from lookalike.encoders.openvino.compiling import import_model
from lookalike.encoders.openvino.loading import FAILURES, core, ov
from lookalike.system import durable, regular_file

_ENVIRONMENT = "LOOKALIKE_CACHE"
_FORMAT = 1
_SUFFIX = ".blob"
_DIGEST_BYTES = 32
_MAX_BYTES = 2**32
_UNUSED_S = 90 * 86_400.0  # a file that has not been used for so long is deleted when another one is written
_NOT_OURS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class Options:
    """Options of OpenVINO.

    Attributes:
        compiling: those that change what is compiled.
        running: those that only say how it is run, which need not be the same when it is used again.
    """

    compiling: Mapping[str, Any]
    running: Mapping[str, Any]

    @property
    def all(self) -> dict[str, Any]:
        """All of them."""
        return {**self.compiling, **self.running}


def kept(identity: str | None, options: Options, compile_graph: Callable[[], ov.CompiledModel]) -> ov.CompiledModel:
    """A compiled model: the one that was kept, else a new one, which is kept.

    Args:
        identity: tells the graph from all others; None if nothing is to be kept.
        options: of OpenVINO.
        compile_graph: compiles the graph with these options.

    Raises:
        ModelError: `compile_graph` has raised it.
    """
    path = _path(identity, options) if identity else None
    if path and (found := _read(path, options)):
        return found
    made = compile_graph()
    if path:
        with suppress(OSError, *FAILURES):  # the disk is full, the folder is not writable, or it cannot be exported
            _keep(path, made.export_model().getvalue())
    return made


def folder() -> Path | None:
    """Where compiled models are kept: "compiled" in $LOOKALIKE_CACHE, or in the user's cache directory.

    None if the variable is empty, or the user has no home directory.
    """
    named = os.environ.get(_ENVIRONMENT)
    if named == "":
        return None
    try:
        home = Path(named) if named else platformdirs.user_cache_path("lookalike", appauthor=False)
    except (RuntimeError, KeyError, OSError):
        return None
    return home / "compiled"


def _path(identity: str, options: Options) -> Path | None:
    home = folder()
    if home is None:
        return None
    processor = [core().get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    facts = [_FORMAT, identity, lookalike.__version__, ov.__version__, *processor, sorted(options.compiling.items())]
    return home / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}{_SUFFIX}"


def _read(path: Path, options: Options) -> ov.CompiledModel | None:
    """The model that a file holds; None if there is none that can be used."""
    try:
        if not (_is_ours(path.parent) and _is_ours(path)):
            return None
        data = regular_file.read(path, most=_MAX_BYTES)
        blob = data[_DIGEST_BYTES:]
        if hashlib.sha256(blob).digest() != data[:_DIGEST_BYTES]:
            return None
        made = import_model(blob, options.all)
        with suppress(OSError):
            os.utime(path)
        return made
    except (OSError, *FAILURES):
        return None


def _is_ours(path: Path) -> bool:
    """Whether only this user can have written it, links not followed."""
    status = path.lstat()
    return status.st_uid == os.geteuid() and not status.st_mode & _NOT_OURS


def _keep(path: Path, blob: bytes) -> None:
    """Writes a file; what nobody has used for long is deleted.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _is_ours(path.parent):
        _forget_unused(path.parent)
        durable.publish(path, hashlib.sha256(blob).digest() + blob)


def _forget_unused(home: Path) -> None:
    oldest = time.time() - _UNUSED_S
    for path in home.iterdir():
        with suppress(OSError):  # it is gone, or a directory
            if path.lstat().st_mtime < oldest:
                path.unlink()
