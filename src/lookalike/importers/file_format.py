"""Detects the format of a network's file or folder, and refuses formats that Lookalike does not read.

Formats are detected by their first bytes and by the names of archive entries. A file that may run code when it is
loaded is refused, whatever its name.
"""

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Literal

from lookalike.errors import ModelError

Kind = Literal["onnx", "tflite", "saved_model", "ir"]

SAVED_MODEL = "saved_model.pb"
_READABLE = (
    "ONNX (.onnx), TFLite (.tflite), a TensorFlow SavedModel (the folder), OpenVINO IR (.xml with its .bin next to it)"
)
_SUFFIXES: dict[str, Kind] = {".onnx": "onnx", ".tflite": "tflite", ".xml": "ir"}
_PICKLE_SUFFIXES = {".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin"}
_PICKLE_STARTS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_START = 512  # bytes of a file that its format is detected by
_TO_ONNX = (
    "a PyTorch file or a pickle, which can run any code when it is loaded;"
    " export the network to ONNX, where it comes from: torch.onnx.export(network, (images,), 'network.onnx')"
)
_TO_SAVED_MODEL = (
    "a Keras file; make a SavedModel of it, and import that folder: keras.models.load_model(FILE).export(FOLDER)"
)
_WEIGHTS_ONLY = (
    "safetensors, which are weights without a network; export the network to ONNX, or import it by its name,"
    " such as hf:OWNER/NAME or timm:NAME"
)


def kind(path: Path) -> Kind:
    """Returns the format of a file or folder, by its first bytes and its suffix.

    Raises:
        ModelError: it is missing, or not in a format that Lookalike reads.
    """
    if path.is_dir():
        if not (path / SAVED_MODEL).is_file():
            raise ModelError(f"{path}: not a SavedModel, as it has no {SAVED_MODEL}; Lookalike reads {_READABLE}")
        return "saved_model"
    start = _start(path)
    if foreign := _foreign(path, start):
        raise ModelError(f"{path}: this is {foreign}")
    found = _SUFFIXES.get(path.suffix.lower())
    matches = {
        "onnx": bool(start),
        "tflite": start[4:8] == b"TFL3",  # FlatBuffers' file identifier
        "ir": start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"<?xml", b"<net")),
    }
    if found is None or not matches[found]:
        raise ModelError(f"{path}: not in a format that Lookalike reads: {_READABLE}")
    return found


def files(path: Path, found: Kind) -> list[Path]:
    """Returns the files that make up a network, sorted by name; those of a SavedModel are all within its folder.

    Raises:
        ModelError: a file is missing, is not a regular file, or leads out of a SavedModel's folder.
    """
    if found == "saved_model":
        return _files_within(path)
    if found != "ir":
        return [path]
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise ModelError(f"{path}: its weights are missing; put {weights.name} next to it")
    return [weights, path]


def sha256(path: Path, found: Kind) -> str:
    """Returns the SHA-256 of a network, in hexadecimal.

    That of several files is the SHA-256 of what `sha256sum` prints for them in their folder.

    Raises:
        ModelError: a file cannot be read, or as `files`.
    """
    parts = files(path, found)
    digests = []
    for part in parts:
        try:
            with part.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        except OSError as error:
            raise ModelError(f"{part}: {error.strerror}") from error
    if len(parts) == 1:
        return digests[0]
    folder = path if path.is_dir() else path.parent
    names = [part.relative_to(folder).as_posix() for part in parts]
    lines = "".join(f"{digest}  {name}\n" for digest, name in zip(digests, names, strict=True))
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _start(path: Path) -> bytes:
    if not path.exists():
        raise ModelError(f"{path}: there is no such file")
    if not path.is_file():
        raise ModelError(f"{path}: this is neither a file nor a folder")
    try:
        with path.open("rb") as file:
            return file.read(_START)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error


def _foreign(path: Path, start: bytes) -> str | None:
    """A known format that is not read, and what to do instead; None if it is not one of these."""
    if start.startswith(b"PK\x03\x04"):
        entries = _archive_entries(path)
        if any(Path(entry).name in ("data.pkl", "constants.pkl") for entry in entries):
            return _TO_ONNX
        if "model.weights.h5" in entries:
            return _TO_SAVED_MODEL
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return _TO_SAVED_MODEL
    if start.startswith(_PICKLE_STARTS) or path.suffix.lower() in _PICKLE_SUFFIXES:
        return _TO_ONNX
    if path.suffix.lower() == ".safetensors" or start[8:].startswith((b'{"', b"{ ")):
        return _WEIGHTS_ONLY
    return None


def _archive_entries(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return []


def _files_within(folder: Path) -> list[Path]:
    found: list[Path] = []
    inside = folder.resolve()
    for parent, folders, names in os.walk(folder):
        for entry in (Path(parent) / name for name in folders + names):
            if not entry.resolve().is_relative_to(inside):
                raise ModelError(f"{entry}: it leads out of {folder}; replace it by a copy of what it leads to")
            if entry.is_file():
                found.append(entry)
            elif not entry.is_dir():
                raise ModelError(f"{entry}: this is not a regular file; take it out of {folder}")
    return sorted(found, key=lambda entry: entry.relative_to(folder).as_posix())
