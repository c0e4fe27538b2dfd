"""Files of weights as PyTorch writes them, which are pickles: only what holds nothing but weights is read."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lookalike.errors import ModelError
from lookalike.importers.download.checksum import Checksum
from lookalike.importers.error_summary import reason

# https://docs.pytorch.org/docs/stable/hub.html#torch.hub.load_state_dict_from_url: names end in "-" and the first
# eight or more digits of the SHA-256.
_DIGITS = re.compile(r"-([0-9a-f]{8,64})\.")


def checksum(url: str) -> Checksum | None:
    """What a file must have by its own name, or None where that does not tell."""
    digits = _DIGITS.search(urlsplit(url).path.rpartition("/")[2])
    return Checksum("sha256", digits[1]) if digits else None


def read(path: Path, source: str, *, device: str = "cpu") -> Any:
    """What is in a file, on a device; on "meta" it takes no memory, and tells only that the file may be read.

    Args:
        path: of the file.
        source: the network, for the message.
        device: one of PyTorch's.

    Raises:
        ModelError: it is damaged, or holds something else than weights, such as code.
    """
    import torch

    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # of whatever type: the file is a stranger's
        raise ModelError(
            f"{source}: {path.name} is damaged, or holds more than weights, perhaps code, and is refused:"
            f" {reason(error)}"
        ) from error
