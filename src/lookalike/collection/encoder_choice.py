"""How a caller names the encoder of a collection, and the images that it takes."""

from typing import TypedDict

from lookalike import arguments
from lookalike.encoders import Encoder
from lookalike.encoders.devices import checked_device
from lookalike.errors import UsageError
from lookalike.images.preprocessing import MAX_PIXELS
from lookalike.index.policies import Policies


class EncoderChoice(TypedDict, total=False):
    """The keyword arguments that name an encoder, the device for it, and the images that it takes.

    Attributes:
        model: the name of a model: the bundled one or an imported one.
        precision: its inference precision: "int8", "f32" or "bf16" for the bundled model, "f32" or "bf16" for imported
            ones; by default the first of these.
        encoder: an encoder object instead of a model: anything with the members of `lookalike.Encoder`.
        device: the device for indexing: "cpu", "cuda", "cuda:1", "mps", or "auto" for a GPU if there is one.
        max_pixels: the most pixels of an image that is decoded, by default 178 million. Decoding may take 6 bytes of
            memory for each of them, 1.07 GB by default.
    """

    model: str | None
    precision: str | None
    encoder: Encoder | None
    device: str
    max_pixels: int | None


def check_options(policies: Policies, choice: EncoderChoice) -> None:
    """Raises UsageError unless the policies are some, and the choice is of names."""
    if not isinstance(policies, Policies):
        raise UsageError(f"policies={arguments.shown(policies)}: give lookalike.Policies(...)")
    for name, value in (("model", choice.get("model")), ("precision", choice.get("precision"))):
        if value is not None:
            arguments.text(value, name)
    checked_device(choice.get("device", "auto"))
    max_pixels(choice)


def max_pixels(choice: EncoderChoice) -> int:
    """The most pixels of an image; raises UsageError unless it is at least 1."""
    given = choice.get("max_pixels")
    return MAX_PIXELS if given is None else arguments.whole(given, "max_pixels", least=1)
