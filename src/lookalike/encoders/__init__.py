"""Models that turn images, and some of them text, into vectors.

base.py has the `Encoder` protocol and loads a model by its name. card.py says what a model is; registry.py keeps the
imported ones. bundled/ is the model that comes with Lookalike, openvino/ runs models on the CPU, torch/ on a GPU.
"""

from lookalike.encoders.base import (
    BUNDLED,
    Encoder,
    TextEncoder,
    card,
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
    "load",
    "load_text",
    "names",
    "precisions",
    "text_models",
    "threads_for",
]
