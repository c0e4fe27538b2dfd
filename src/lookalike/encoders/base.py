"""Networks that turn pixels into vectors.

An encoder is anything with the members of `Encoder`. A network is known by its name: the one that comes with
Lookalike (bundled.py), or one that was imported (library.py). `card` tells what it is, which is all that is needed to
tell whether it made a collection, without its runtime; `load` makes it ready to encode, and `load_text` that part of it
that takes words.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders import bundled, registry
from lookalike.encoders.card import Card
from lookalike.errors import Hint, ModelError, UsageError
from lookalike.images.decode import Preprocessing

BUNDLED = bundled.NAME
_A_TEXT_MODEL = Hint("import_model", {"source": "open_clip:ViT-B-32/laion2b_s34b_b79k", "name": "clip"})
_IMPORTED_PRECISIONS = ("f32", "bf16")  # the first unless another is asked for


class Encoder(Protocol):
    """Turns pixels into embeddings.

    One that also has `encode_text`, as in `TextEncoder`, can be searched by words.

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
    def preprocessing(self) -> Preprocessing: ...
    @property
    def fingerprint(self) -> str: ...

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings, float32 (n, dim), of any length, of RGB pixels, uint8 (n, size, size, 3).

        It is called from several threads at once.
        """
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """Turns words into embeddings that can be compared with those of pictures."""

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings, float32 (n, dim), of any length. It is called from several threads at once."""
        ...


def card(name: str = BUNDLED, *, precision: str | None = None) -> Card:
    """The card of a network, in the precision that it has unless another is asked for.

    Raises:
        UsageError: there is no network of that name, or it does not come in that precision.
        ModelError: the card of an imported one is damaged.
    """
    if name == BUNDLED:
        return bundled.card(_checked(precision, name))
    return replace(_imported(name).card, precision=_checked(precision, name))


def load(name: str = BUNDLED, *, precision: str | None = None, threads: int = 1, device: str = "cpu") -> Encoder:
    """A network, ready to encode with as many threads at once.

    Args:
        name: the one that comes with Lookalike, or an imported one.
        precision: what it computes with.
        threads: how many will ask it at once; on a graphics processor any number may.
        device: "cpu", "cuda" or "mps", or "auto" for the fastest that there is. Where what is asked for is not to be
            had, there is a DeviceWarning, and it is the CPU.

    Raises:
        UsageError: there is no network of that name, or it does not come in that precision, or there is no such device.
        ModelError: its files are not the ones on its card, or it cannot be run here.
    """
    from lookalike.encoders import devices
    from lookalike.encoders.openvino.image_encoder import OpenVinoEncoder  # heavy, and not needed to look at a card

    network, graph = card(name, precision=precision), _graph(name, precision)
    if (found := devices.choose(device)) != "cpu":
        from lookalike.encoders.torch.image_encoder import TorchEncoder

        with devices.else_the_cpu(found):
            return TorchEncoder(network, graph, device=found)
    return OpenVinoEncoder(network, graph, threads=threads)


def load_text(name: str, *, precision: str | None = None) -> TextEncoder:
    """The part of a network that takes words, ready to encode, on the CPU.

    Raises:
        UsageError: there is no network of that name, it has no such part, or does not come in that precision.
        ModelError: its files are not the ones on its card, or what it takes to run them is missing.
    """
    network = card(name, precision=precision)
    if network.text is None:
        raise UsageError(f"{name} does not take text", _A_TEXT_MODEL)
    from lookalike.encoders.openvino import text_encoder

    model = registry.read(name)
    model.check(registry.TEXT_GRAPH, registry.TOKENIZER)
    return text_encoder.OpenVinoTextEncoder(
        network, model.folder / registry.TEXT_GRAPH, model.folder / registry.TOKENIZER
    )


def threads_for(encoder: Encoder, cores: int) -> int:
    """How many threads should decode images for it: one for each core, and more where they wait for a device."""
    from lookalike.encoders import devices

    return devices.threads_for(getattr(encoder, "device", "cpu"), cores)


def precisions(name: str) -> tuple[str, ...]:
    """What a network can compute with; the first is what it does unless another is asked for."""
    return bundled.PRECISIONS if name == BUNDLED else _IMPORTED_PRECISIONS


def names() -> list[str]:
    """The names of all networks that there are here."""
    return [BUNDLED, *registry.names()]


def text_models() -> list[str]:
    """The names of the imported models that take text."""
    found = []
    for name in registry.names():
        with suppress(ModelError):  # a damaged one
            found += [name] if registry.read(name).card.text else []
    return found


def _graph(name: str, precision: str | None) -> Any:
    """An openvino.Model from pixels, uint8 (n, size, size, 3), to embeddings, float32 (n, dim)."""
    if name == BUNDLED:
        return bundled.graph(card(name, precision=precision).precision)
    from lookalike.encoders.openvino import image_encoder

    model = _imported(name)
    model.check(registry.GRAPH)
    return image_encoder.read(model.folder / registry.GRAPH)


def _imported(name: str) -> registry.ImportedModel:
    if registry.has(name):
        return registry.read(name)
    others = "".join(f", {other!r}" for other in registry.names())
    raise UsageError(
        f"there is no model {name!r}; there are {BUNDLED!r}, which comes with Lookalike{others}",
        Hint("import_model", {"source": ...}),
    )


def _checked(precision: str | None, name: str) -> str:
    known = precisions(name)
    if precision is None:
        return known[0]
    if precision not in known:
        raise UsageError(f"precision {precision!r}: {name} comes in {', '.join(known)}")
    return precision
