"""Reads PyTorch's files of weights, which are pickles, and refuses those that hold anything but weights."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lookalike.errors import ModelError
from lookalike.importers.download.checksum import Checksum
from lookalike.importers.error_summary import one_line

# https://docs.pytorch.org/docs/stable/hub.html#torch.hub.load_state_dict_from_url: file names end in "-" and the first
# eight or more digits of the SHA-256.
_DIGITS = re.compile(r"-([0-9a-f]{8,64})\.")


def checksum(url: str) -> Checksum | None:
    """Returns the checksum in a file's name, or None if there is none."""
    digits = _DIGITS.search(urlsplit(url).path.rpartition("/")[2])
    return Checksum("sha256", digits[1]) if digits else None


def read(path: Path, source: str, *, device: str = "cpu") -> Any:
    """Reads the tensors in a file.

    Args:
        path: of the file.
        source: the model, for messages.
        device: one of PyTorch's; on "meta" tensors take no memory, and the call only checks the file.

    Raises:
        ModelError: the file is damaged, or holds something else than weights, such as code.
    """
    import torch

    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # of any type: the file is not trusted
        raise ModelError(
            f"{source}: {path.name} is damaged, or holds more than weights, perhaps code, and is refused:"
            f" {one_line(error)}"
        ) from error
