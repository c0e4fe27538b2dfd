"""Which processor a network runs on: the CPU, an NVIDIA graphics processor ("cuda") or Apple's ("mps")."""

import platform
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from lookalike.errors import DeviceWarning, ModelError, UsageError

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
# Where one of these is, there is a driver: NVIDIA's own, or under Windows' subsystem for Linux.
_DRIVER_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg")
_INSTALL = 'to use it: pip install "lookalike[torch]"'
_LONGEST_REASON = 200  # characters of a message that torch gives


def choose(device: str) -> str:
    """The processor to use: "cpu", "cuda", "cuda:1" and so on, or "mps".

    "auto" is the fastest that there is. Where it is the CPU, that is told without importing torch, as that takes
    seconds, unless there seems to be a graphics processor. Where one is asked for by name and is not to be had, there
    is a DeviceWarning, and it is the CPU.

    Raises:
        UsageError: there is no device of that name.
    """
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"device {device!r}: give auto, cpu, cuda, cuda:1 and so on, or mps")
    if device == "cpu":
        return device
    if device == "auto":
        kind = _kind_here()
        return kind if kind and _why_not(kind) is None else "cpu"
    if reason := _why_not(device):
        _warn(device, reason)
        return "cpu"
    return device


def describe(device: str) -> str:
    """What a processor that was chosen is, for people; of the CPU, what a graphics processor that is there lacks."""
    if device == "cpu":
        kind = _kind_here()
        reason = kind and _why_not(kind)
        return f"CPU (a graphics processor is not used: {reason})" if reason else "CPU"
    import torch

    return f"{torch.cuda.get_device_name(device)} ({device})" if device != "mps" else "Apple graphics processor (mps)"


@contextmanager
def else_the_cpu(device: str) -> Iterator[None]:
    """What a graphics processor cannot do inside becomes a DeviceWarning, so that the caller goes on with the CPU."""
    try:
        yield
    except (RuntimeError, ModelError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = lines[0]
    else:
        return
    _warn(device, reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}...")


def threads_for(device: str, cores: int) -> int:
    """How many threads should decode pictures for a processor; on a graphics processor, some wait for it by turns."""
    return cores if device == "cpu" else cores + max(2, cores // 2)


def _warn(device: str, reason: str) -> None:
    warnings.warn(f"{device}: {reason}; it runs on the CPU", DeviceWarning, stacklevel=4)


def _kind_here() -> str | None:
    """The kind of graphics processor that there seems to be, by what can be told without torch."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "mps"
    return "cuda" if any(Path(file).exists() for file in _DRIVER_FILES) else None


def _why_not(device: str) -> str | None:
    """Why a graphics processor is not to be had, None where it is."""
    if find_spec("torch") is None:
        return f"PyTorch is not installed; {_INSTALL}"
    with warnings.catch_warnings(record=True) as said:  # what keeps torch from a processor, it only warns of
        warnings.simplefilter("always")
        try:
            import torch
        except (ImportError, OSError) as error:
            return f"PyTorch cannot be loaded ({error})"
        if device == "mps":
            return None if torch.backends.mps.is_available() else "there is no Apple graphics processor for PyTorch"
        if torch.version.cuda is None and torch.version.hip is None:
            return "this build of PyTorch is for the CPU only; see pytorch.org for one with CUDA"
        number, count = int(device.partition(":")[2] or 0), torch.cuda.device_count() * torch.cuda.is_available()
    if number < count:
        return None
    if count:
        return f"there is no such processor; the last one is cuda:{count - 1}"
    reasons = [str(warning.message).strip().splitlines()[0] for warning in said]
    return reasons[-1][:_LONGEST_REASON] if reasons else "there is no NVIDIA processor that PyTorch can use"
