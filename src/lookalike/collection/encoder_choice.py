"""How a caller names the encoder of a collection."""

from typing import TypedDict

from lookalike.encoders import Encoder


class EncoderChoice(TypedDict, total=False):
    """The keyword arguments that name an encoder and the device for it.

    Attributes:
        model: the name of a model: the bundled one or an imported one.
        precision: its inference precision: "int8", "f32" or "bf16" for the bundled model, "f32" or "bf16" for imported
            ones; by default the first of these.
        encoder: an encoder object instead of a model: anything with the members of `lookalike.Encoder`.
        device: the device for indexing: "cpu", "cuda", "cuda:1", "mps", or "auto" for a GPU if there is one.
    """

    model: str | None
    precision: str | None
    encoder: Encoder | None
    device: str
