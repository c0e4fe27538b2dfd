"""Tiny imported models: an image encoder of mean colours, and a text encoder that knows names of colours."""

import shlex
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as op

from lookalike.encoders import registry
from lookalike.encoders.card import Card, TextSpec
from lookalike.encoders.registry import ImportedModel
from lookalike.images.decode import Preprocessing

SIZE, DIM = 16, 12


def save(
    name: str, *, source: str = "tiny.xml", version: str = "1", words: Mapping[str, int] | None = None
) -> ImportedModel:
    """Saves a model whose vectors are the mean colours of a 2 x 2 grid, 12 dimensions.

    Args:
        name: the model's name.
        source: the source on its card.
        version: the revision on its card; models of different versions have different fingerprints.
        words: gives the model a text encoder: the words that it knows, each with the channel (0, 1, 2) that it names.
    """
    card = Card(
        name=name,
        source=source,
        licence="CC0-1.0",
        sha256="0" * 64,
        dim=DIM,
        preprocessing=Preprocessing(size=SIZE, crop=1.0),
        precision="f32",
        revision=version,
        output="mean",
        text=TextSpec(4, "") if words else None,
        command=shlex.quote(source),
    )

    def write(folder: Path) -> None:
        ov.save_model(colours(), folder / registry.GRAPH, compress_to_fp16=False)
        if words:
            ov.save_model(named_colours(), folder / registry.TEXT_GRAPH, compress_to_fp16=False)
            (folder / registry.TOKENIZER).write_text(tokenizer(words), encoding="utf-8")

    return registry.save(card, write)


def colours() -> ov.Model:
    """The graph from pixels, uint8 (n, 16, 16, 3), to the mean of each quarter minus 127, float32 (n, 12)."""
    pixels = op.parameter([-1, SIZE, SIZE, 3], np.uint8, name="pixels")
    quarters = op.reshape(op.convert(pixels, "f32"), np.array([0, 2, SIZE // 2, 2, SIZE // 2, 3]), special_zero=True)
    means = op.subtract(op.reduce_mean(quarters, np.array([2, 4])), np.float32(127))
    return ov.Model([op.reshape(means, np.array([0, DIM]), special_zero=True)], [pixels], "colours")


def named_colours() -> ov.Model:
    """The graph from token ids, int64 (1, 4), to the sum of their colours, float32 (1, 12).

    Token 0 is the padding, all zeros. Token i + 1 is the colour of channel i, in each quarter 100 there and -50 in the
    other channels.
    """
    table = np.zeros((4, DIM), np.float32)
    for colour in range(3):
        table[colour + 1] = np.tile(np.where(np.arange(3) == colour, 100, -50), 4)
    ids = op.parameter([1, 4], np.int64, name="ids")
    summed = op.reduce_sum(op.gather(op.constant(table), ids, np.int64(0)), np.array([1]))
    return ov.Model([summed], [ids], "named_colours")


def tokenizer(words: Mapping[str, int]) -> str:
    """A tokenizer.json that maps each word to the token of its colour."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {"[PAD]": 0} | {word: colour + 1 for word, colour in words.items()}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[PAD]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.enable_truncation(4)
    made.enable_padding(length=4, pad_id=0, pad_token="[PAD]")
    text: str = made.to_str()
    return text
