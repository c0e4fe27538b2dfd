"""Turns words into vectors on the CPU, with OpenVINO."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.card import Card
from lookalike.encoders.openvino.infer_requests import Requests
from lookalike.encoders.openvino.loading import FAILURES, ov
from lookalike.errors import MissingExtraError, ModelError, UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class OpenVinoTextEncoder:
    """The part of a network that takes words; `encode_text` may be called from any number of threads at once."""

    def __init__(self, card: Card, graph: Path, tokenizer: Path) -> None:
        """Reads the graph, from int64 (1, context) to float32 (1, dim), and its tokenizer.

        Raises:
            MissingExtraError: the package that reads tokenizers is not installed.
            ModelError: one of the files cannot be read, or they do not belong to each other and to the card.
        """
        assert card.text is not None
        self.card, self._text = card, card.text
        self._tokenizer = _tokenizer(tokenizer)
        config = {"INFERENCE_PRECISION_HINT": card.precision, "PERFORMANCE_HINT": "LATENCY"}
        try:
            self._compiled = ov.Core().compile_model(graph, "CPU", config)
        except FAILURES as error:
            raise ModelError(f"{graph}: OpenVINO cannot run it: {error}") from error
        self._check(graph)
        self._requests = Requests(self._compiled)

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings, float32 (n, dim), of any length; of a text that is too long its beginning counts.

        Raises:
            UsageError: there is nothing in one of the texts.
        """
        for text in texts:
            if not text.strip():
                raise UsageError(f"text: {text!r} has no words in it; say what the pictures should show")
        embeddings = np.empty((len(texts), self.card.dim), np.float32)
        request, taken, given = self._requests.own()
        tokens = token_ids(self._tokenizer, texts, unescapes=self._text.unescapes)
        for ids, embedding in zip(tokens, embeddings, strict=True):
            taken[0] = ids
            request.infer()
            embedding[:] = given[0]
        return embeddings

    def _check(self, graph: Path) -> None:
        context = self._text.context
        ids = token_ids(self._tokenizer, ["words"], unescapes=self._text.unescapes).shape[1]
        taken, given = (list(port.get_partial_shape()) for port in (self._compiled.input(), self._compiled.output()))
        if (taken, given) != ([1, context], [1, self.card.dim]) or ids != context:
            raise ModelError(
                f"{graph}: it makes {given} of {taken}, and its tokenizer makes {ids} tokens, but its card says"
                f" {self.card.dim} dimensions of {context} tokens; import {self.card.source} again"
            )


def token_ids(tokenizer: "Tokenizer", texts: Sequence[str], *, unescapes: bool) -> NDArray[np.int64]:
    """What the graph takes, int64 (n, context), for n texts.

    OpenCLIP unescapes HTML in all texts, twice, which a tokenizer's file cannot say.
    """
    read = [_without_surrogates(text) for text in texts]
    if unescapes:
        read = [html.unescape(html.unescape(text)) for text in read]
    return np.array([tokenizer.encode(text).ids for text in read], np.int64)


def _without_surrogates(text: str) -> str:
    """Halves of characters, such as stand for bytes of a command line that are not UTF-8, become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _tokenizer(path: Path) -> "Tokenizer":
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError("searching by words", "text") from error
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises this very type
        raise ModelError(f"{path}: it cannot be read as a tokenizer: {error}") from error
