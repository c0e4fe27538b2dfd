"""Encoders turn pixels, and some of them text, into vectors.

An encoder is any object with the members of `Encoder`. Lookalike loads its own by the name of a model: the bundled one
(bundled/), or an imported one (registry.py). `card` describes a model without its runtime, which is enough to know
whether it made a collection; `load` and `load_text` return its encoders.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lookalike import arguments
from lookalike.encoders import bundled, registry
from lookalike.encoders.card import Card
from lookalike.errors import Hint, ModelError, UsageError
from lookalike.images.preprocessing import Preprocessing

BUNDLED = bundled.NAME
_TEXT_MODEL_HINT = Hint("import_model", {"source": "open_clip:ViT-B-32/laion2b_s34b_b79k", "name": "clip"})
_IMPORTED_PRECISIONS = ("f32", "bf16")  # the first is the default
_MEMBERS = ("name", "dim", "preprocessing", "fingerprint", "encode")


class Encoder(Protocol):
    """Turns pixels into embeddings.

    An encoder that also has `encode_text`, as in `TextEncoder`, can be searched by text.

    Attributes:
        name: the encoder's name in messages.
        dim: the number of dimensions of an embedding.
        preprocessing: how an image becomes the pixels that `encode` takes.
        fingerprint: vectors can be compared if, and only if, this is the same.
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
        """Returns embeddings, float32 (n, dim), of any length, for RGB pixels, uint8 (n, size, size, 3).

        It is called from several threads at once.
        """
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """Turns text into embeddings that can be compared with those of images."""

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns embeddings, float32 (n, dim), of any length. It is called from several threads at once."""
        ...


def card(name: str = BUNDLED, *, precision: str | None = None) -> Card:
    """Returns the card of a model, in the given precision or its default one.

    Raises:
        UsageError: there is no model of that name, or it does not come in that precision.
        ModelError: the card of an imported model is damaged.
    """
    if name == BUNDLED:
        return bundled.card(_checked_precision(precision, name))
    return replace(_imported(name).card, precision=_checked_precision(precision, name))


def load(name: str = BUNDLED, *, precision: str | None = None, threads: int = 1, device: str = "cpu") -> Encoder:
    """Loads a model's image encoder.

    Args:
        name: the bundled model, or an imported one.
        precision: the inference precision (default: the model's own).
        threads: the number of threads that call it at once on the CPU; more have to wait. A GPU takes any number.
        device: "cpu", "cuda", "cuda:1" and so on, "mps", or "auto" for the fastest one. If the device is not
            available, a DeviceWarning is issued and the CPU is used.

    Raises:
        UsageError: there is no model of that name, it does not come in that precision, or the device is none of these.
        ModelError: its files fail their checksums, or cannot be run here.
    """
    from lookalike.encoders import devices
    from lookalike.encoders.openvino.image_encoder import OpenVinoEncoder  # heavy; a card does not need it

    threads = arguments.whole(threads, "threads", least=1)

    model, make_graph = card(name, precision=precision), partial(_graph, name, precision)
    if (chosen := devices.choose(device)) != "cpu":
        from lookalike.encoders.torch.image_encoder import TorchEncoder

        with devices.fall_back_to_cpu(chosen):
            return TorchEncoder(model, make_graph(), device=chosen)
    return OpenVinoEncoder(model, make_graph, threads=threads, identity=_identity(model))


def load_text(name: str, *, precision: str | None = None) -> TextEncoder:
    """Loads a model's text encoder, which runs on the CPU.

    Raises:
        UsageError: there is no model of that name, it has no text encoder, or does not come in that precision.
        ModelError: its files fail their checksums, or a package that it needs is not installed.
    """
    wanted = card(name, precision=precision)
    if wanted.text is None:
        raise _takes_no_text(name)
    from lookalike.encoders.openvino.text_encoder import OpenVinoTextEncoder

    model = registry.read(name)
    model.check(registry.TOKENIZER)
    return OpenVinoTextEncoder(
        wanted,
        model.folder / registry.TEXT_GRAPH,
        model.folder / registry.TOKENIZER,
        check_graph=partial(model.check, registry.TEXT_GRAPH),
        identity=model.identity(registry.TEXT_GRAPH),
    )


def checked_encoder(encoder: object) -> Encoder:
    """Checks that an object has the members of `Encoder`.

    An object that has `recipe`, the former name of `preprocessing`, is adapted.

    Raises:
        UsageError: it is a class, or members are missing; the message names them.
    """
    if isinstance(encoder, type):
        raise UsageError(f"encoder: {encoder.__name__} is a class; give an object of it")
    if not hasattr(encoder, "preprocessing") and hasattr(encoder, "recipe"):
        adapter = _TextRecipeEncoder if isinstance(encoder, TextEncoder) else _RecipeEncoder
        encoder = adapter(encoder)
    if missing := [member for member in _MEMBERS if not hasattr(encoder, member)]:
        kind = type(encoder).__name__
        raise UsageError(f"encoder: {kind} has no {', '.join(missing)}; an encoder has {', '.join(_MEMBERS)}")
    return cast("Encoder", encoder)


class _RecipeEncoder:
    """Adapts an encoder whose `preprocessing` has the former name, `recipe`."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copy and pickle ask for such before there is an encoder to ask
            raise AttributeError(name)
        return getattr(self._encoder, name)

    @property
    def preprocessing(self) -> Preprocessing:
        preprocessing: Preprocessing = self._encoder.recipe
        return preprocessing


class _TextRecipeEncoder(_RecipeEncoder):
    """Adapts such an encoder that is also a TextEncoder; `isinstance` ignores `__getattr__` since Python 3.12."""

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        embeddings: NDArray[np.float32] = self._encoder.encode_text(texts)
        return embeddings


def threads_for(encoder: Encoder, cores: int) -> int:
    """The number of threads that should decode images for an encoder: some more than cores."""
    from lookalike.encoders import devices

    device = getattr(checked_encoder(encoder), "device", "cpu")
    return devices.threads_for(device, arguments.whole(cores, "cores", least=1))


def precisions(name: str) -> tuple[str, ...]:
    """The precisions that a model comes in; the first is the default."""
    return bundled.PRECISIONS if arguments.text(name, "name") == BUNDLED else _IMPORTED_PRECISIONS


def names() -> list[str]:
    """The names of all models on this machine: the bundled one, and the imported ones, sorted."""
    return [BUNDLED, *registry.names()]


def text_models() -> list[str]:
    """The names of the imported models that take text; damaged ones are left out."""
    found = []
    for name in registry.names():
        with suppress(ModelError):
            found += [name] if registry.read(name).card.text else []
    return found


def _takes_no_text(name: str) -> UsageError:
    if others := text_models():
        return UsageError(f"{name} does not take text; imported models that do: {', '.join(others)}")
    return UsageError(f"{name} does not take text", _TEXT_MODEL_HINT)


def _graph(name: str, precision: str | None) -> Any:
    """An openvino.Model from pixels, uint8 (n, size, size, 3), to embeddings, float32 (n, dim)."""
    if name == BUNDLED:
        return bundled.graph(card(name, precision=precision).precision)
    from lookalike.encoders.openvino import image_encoder

    model = _imported(name)
    model.check(registry.GRAPH)
    return image_encoder.read(model.folder / registry.GRAPH)


def _identity(model: Card) -> str:
    """What tells the graph of a model's image encoder from all others."""
    return model.fingerprint if model.name == BUNDLED else _imported(model.name).identity(registry.GRAPH)


def _imported(name: str) -> registry.ImportedModel:
    if registry.has(name):
        return registry.read(name)
    others = "".join(f", {other!r}" for other in registry.names())
    reason = f" ({why})" if (why := registry.why_unreadable()) else ""
    raise UsageError(
        f"there is no model {name!r}; there are {BUNDLED!r}, which comes with Lookalike{others}{reason}",
        Hint("import_model", {"source": ...}),
    )


def _checked_precision(precision: str | None, name: str) -> str:
    known = precisions(name)
    if precision is None:
        return known[0]
    if precision not in known:
        raise UsageError(f"precision {precision!r}: {name} comes in {', '.join(known)}")
    return precision
