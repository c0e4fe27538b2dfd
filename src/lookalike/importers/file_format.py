"""Tells what kind of network's file or folder something is, and refuses those that Lookalike does not read.

It looks at first bytes and at names of entries. What may run code as it is loaded is refused, whatever it is called.
"""

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Literal

from lookalike.errors import ModelError

Kind = Literal["onnx", "tflite", "saved_model", "ir"]

SAVED_MODEL = "saved_model.pb"
_KNOWN = (
    "ONNX (.onnx), TFLite (.tflite), a TensorFlow SavedModel (the folder), OpenVINO IR (.xml with its .bin beside it)"
)
_SUFFIXES: dict[str, Kind] = {".onnx": "onnx", ".tflite": "tflite", ".xml": "ir"}
_PICKLED = {".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin"}
_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_TO_ONNX = (
    "a PyTorch file or a pickle, which can run any code as it is loaded;"
    " export the network to ONNX, where it comes from: torch.onnx.export(network, (pictures,), 'network.onnx')"
)
_TO_SAVED_MODEL = (
    "a Keras file; make a SavedModel of it, and import that folder: keras.models.load_model(FILE).export(FOLDER)"
)
_WEIGHTS_ONLY = (
    "safetensors, which are weights without a network; export the network to ONNX, or import it by its name,"
    " such as hf:OWNER/NAME or timm:NAME"
)


def kind(path: Path) -> Kind:
    """What a path leads to, by its first bytes and its suffix.

    Raises:
        ModelError: there is nothing, or nothing that Lookalike reads.
    """
    if path.is_dir():
        if not (path / SAVED_MODEL).is_file():
            raise ModelError(f"{path}: not a SavedModel, as there is no {SAVED_MODEL} in it; Lookalike knows {_KNOWN}")
        return "saved_model"
    start = _start(path)
    if foreign := _foreign(path, start):
        raise ModelError(f"{path}: this is {foreign}")
    found = _SUFFIXES.get(path.suffix.lower())
    right = {
        "onnx": bool(start),
        "tflite": start[4:8] == b"TFL3",  # as FlatBuffers mark files
        "ir": start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"<?xml", b"<net")),
    }
    if found is None or not right[found]:
        raise ModelError(f"{path}: not a network that Lookalike knows: {_KNOWN}")
    return found


def files(path: Path, found: Kind) -> list[Path]:
    """The files that make up a network, in the order of their names; those of a SavedModel are all within its folder.

    Raises:
        ModelError: one is missing, or is no ordinary file, or leads out of a SavedModel.
    """
    if found == "saved_model":
        return _all_within(path)
    if found != "ir":
        return [path]
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise ModelError(f"{path}: its weights are missing; put {weights.name} beside it")
    return [weights, path]


def sha256(path: Path, found: Kind) -> str:
    """Of one file, or of what `sha256sum` prints of several, named from their folder; in hexadecimal.

    Raises:
        ModelError: one cannot be read, or as with `files`.
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
            return file.read(512)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error


def _foreign(path: Path, start: bytes) -> str | None:
    """What is known not to be read, and what to do instead."""
    if start.startswith(b"PK\x03\x04"):
        entries = _entries(path)
        if any(Path(entry).name in ("data.pkl", "constants.pkl") for entry in entries):
            return _TO_ONNX
        if "model.weights.h5" in entries:
            return _TO_SAVED_MODEL
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return _TO_SAVED_MODEL
    if start.startswith(_PICKLES) or path.suffix.lower() in _PICKLED:
        return _TO_ONNX
    if path.suffix.lower() == ".safetensors" or start[8:].startswith((b'{"', b"{ ")):
        return _WEIGHTS_ONLY
    return None


def _entries(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return []


def _all_within(folder: Path) -> list[Path]:
    found: list[Path] = []
    inside = folder.resolve()
    for place, folders, names in os.walk(folder):
        for entry in (Path(place) / name for name in folders + names):
            if not entry.resolve().is_relative_to(inside):
                raise ModelError(f"{entry}: it leads out of {folder}; copy what it leads to into its place")
            if entry.is_file():
                found.append(entry)
            elif not entry.is_dir():
                raise ModelError(f"{entry}: this is no ordinary file; take it out of {folder}")
    return sorted(found, key=lambda entry: entry.relative_to(folder).as_posix())
