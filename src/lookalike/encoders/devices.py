"""Chooses the device that a model runs on: the CPU, an NVIDIA GPU ("cuda") or an Apple GPU ("mps")."""

import platform
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from lookalike import arguments
from lookalike.errors import DeviceWarning, Hint, ModelError, UsageError, with_hints

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
# One of these exists if there is a driver: NVIDIA's own, or the one of the Windows Subsystem for Linux.
_DRIVER_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg")
_LONGEST_REASON = 200  # characters of a message from torch


def choose(device: str) -> str:
    """Returns the device to use: "cpu", "cuda", "cuda:1" and so on, or "mps".

    "auto" is the fastest device. Importing torch takes seconds, so this does it only if there seems to be a GPU, or if
    one is asked for by name. If that one is not available, a DeviceWarning is issued and the CPU is returned.

    Raises:
        UsageError: `device` is not the name of a device.
    """
    if checked_device(device) == "cpu":
        return device
    if device == "auto":
        gpu = _detected_gpu()
        return gpu if gpu and _why_unavailable(gpu) is None else "cpu"
    if reason := _why_unavailable(device):
        _warn(device, reason)
        return "cpu"
    return device


def checked_device(device: object) -> str:
    """The name of a device, available or not; raises UsageError for anything else."""
    if not isinstance(device, str) or not _DEVICE.fullmatch(device):
        raise UsageError(f"device {arguments.shown(device)}: give auto, cpu, cuda, cuda:1 and so on, or mps")
    return device


def describe(device: str) -> str:
    """Describes a device that `choose` returned; for the CPU, also why a GPU of this machine is not used."""
    if device == "cpu":
        gpu = _detected_gpu()
        reason = gpu and _why_unavailable(gpu)
        return f"CPU (the GPU is not used: {reason})" if reason else "CPU"
    import torch

    return f"{torch.cuda.get_device_name(device)} ({device})" if device != "mps" else "Apple GPU (mps)"


@contextmanager
def fall_back_to_cpu(device: str) -> Iterator[None]:
    """Turns a failure of a GPU into a DeviceWarning, so that the caller goes on with the CPU."""
    try:
        yield
    except (RuntimeError, ModelError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = lines[0]
    else:
        return
    _warn(device, reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}...")


def threads_for(device: str, cores: int) -> int:
    """The number of threads that should decode images for a device: more than cores, as some always wait for it."""
    return cores + (max(1, cores // 4) if device == "cpu" else max(2, cores // 2))


def _warn(device: str, reason: str) -> None:
    warnings.warn(f"{device}: {reason}; it runs on the CPU", DeviceWarning, stacklevel=4)


def _detected_gpu() -> str | None:
    """The kind of GPU that this machine seems to have, found without importing torch."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "mps"
    return "cuda" if any(Path(file).exists() for file in _DRIVER_FILES) else None


def _why_unavailable(device: str) -> str | None:
    """The reason why a GPU cannot be used, or None if it can."""
    if find_spec("torch") is None:
        return with_hints("PyTorch is not installed", [Hint("install", {"extra": "torch"})])
    with warnings.catch_warnings(record=True) as caught:  # torch only warns of what keeps it from using a GPU
        warnings.simplefilter("always")
        try:
            import torch
        except (ImportError, OSError) as error:
            return f"PyTorch cannot be loaded ({error})"
        if device == "mps":
            return None if torch.backends.mps.is_available() else "there is no Apple GPU that PyTorch can use"
        if torch.version.cuda is None and torch.version.hip is None:
            return "this build of PyTorch is for the CPU only; see pytorch.org for one with CUDA"
        number, count = int(device.partition(":")[2] or 0), torch.cuda.device_count() * torch.cuda.is_available()
    if number < count:
        return None
    if count:
        return f"there is no such GPU; the last one is cuda:{count - 1}"
    reasons = [str(warning.message).strip().splitlines()[0] for warning in caught]
    return reasons[-1][:_LONGEST_REASON] if reasons else "there is no NVIDIA GPU that PyTorch can use"
