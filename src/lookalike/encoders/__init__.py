"""Models that turn images, and some of them text, into vectors.

base.py has the `Encoder` protocol and loads a model by its name. card.py describes a model; registry.py keeps the
imported ones. bundled/ is the model that comes with Lookalike, openvino/ runs models on the CPU, torch/ on a GPU.
"""

from lookalike.encoders.base import (
    BUNDLED,
    Encoder,
    TextEncoder,
    card,
    checked_encoder,
    load,
    load_text,
    names,
    precisions,
    text_models,
    threads_for,
)

__all__ = [
    "BUNDLED",
    "Encoder",
    "TextEncoder",
    "card",
    "checked_encoder",
    "load",
    "load_text",
    "names",
    "precisions",
    "text_models",
    "threads_for",
]
