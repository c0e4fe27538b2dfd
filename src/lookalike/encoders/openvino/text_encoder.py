"""Runs a text encoder on the CPU with OpenVINO."""

import html
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.card import Card
from lookalike.encoders.openvino import compiled_models
from lookalike.encoders.openvino.compiled_models import Options
from lookalike.encoders.openvino.compiling import compile_model
from lookalike.encoders.openvino.infer_requests import InferRequests
from lookalike.encoders.openvino.loading import FAILURES, ov
from lookalike.encoders.registry import import_again_hint
from lookalike.errors import MissingExtraError, ModelError, UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class OpenVinoTextEncoder:
    """A model's text encoder; `encode_text` may be called from any number of threads at once."""

    def __init__(
        self,
        card: Card,
        graph: Path,
        tokenizer: Path,
        *,
        check_graph: Callable[[], object] = lambda: None,
        identity: str | None = None,
    ) -> None:
        """Reads the files of a text encoder, or takes its graph as it was compiled before.

        Args:
            card: the model's card; its `text` is not None.
            graph: the path of the graph, from int64 (1, context) to float32 (1, dim).
            tokenizer: the path of the tokenizer, a tokenizer.json.
            check_graph: is called before the graph is read, and may raise ModelError.
            identity: what tells the graph from all others, if the compiled graph may be kept for other processes.

        Raises:
            MissingExtraError: the package that reads tokenizers is not installed.
            ModelError: a file cannot be read, or graph, tokenizer and card do not match.
        """
        assert card.text is not None
        self.card, self._text = card, card.text
        self._tokenizer = _tokenizer(tokenizer)
        options = Options({"INFERENCE_PRECISION_HINT": card.precision}, {"PERFORMANCE_HINT": "LATENCY"})
        compile_graph = partial(_compiled, graph, check_graph, options)
        self._requests = InferRequests(partial(compiled_models.kept, identity, options, compile_graph))
        self._check(graph, self._requests.compiled)

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns embeddings, float32 (n, dim), of any length. Texts of more than `context` tokens are truncated.

        Raises:
            UsageError: a text is empty or blank.
        """
        for text in texts:
            if not text.strip():
                raise UsageError(f"text: {text!r} is blank; describe what the images should show")
        embeddings = np.empty((len(texts), self.card.dim), np.float32)
        tokens = token_ids(self._tokenizer, texts, unescapes=self._text.unescapes)
        with self._requests.used_by_this_thread() as request:
            for ids, embedding in zip(tokens, embeddings, strict=True):
                request.input[0] = ids
                request.run()
                embedding[:] = request.output[0]
        return embeddings

    def _check(self, graph: Path, compiled: Any) -> None:
        """Raises ModelError unless the shapes of the compiled graph and the tokenizer are those on the card."""
        context, dim = self._text.context, self.card.dim
        tokens = token_ids(self._tokenizer, ["text"], unescapes=self._text.unescapes).shape[1]
        shapes = [port.get_partial_shape() for port in (compiled.input(), compiled.output())]
        if list(map(list, shapes)) != [[1, context], [1, dim]] or tokens != context:
            raise ModelError(
                f"{graph}: it turns {shapes[0]} into {shapes[1]}, and its tokenizer makes {tokens} tokens, but its card"
                f" says {context} tokens and {dim} dimensions",
                import_again_hint(self.card),
            )


def _compiled(graph: Path, check_graph: Callable[[], object], options: Options) -> ov.CompiledModel:
    check_graph()
    try:
        return compile_model(graph, options.all)
    except FAILURES as error:
        raise ModelError(f"{graph}: OpenVINO cannot run it: {error}") from error


def token_ids(tokenizer: "Tokenizer", texts: Sequence[str], *, unescapes: bool) -> NDArray[np.int64]:
    """Returns the token ids of n texts, int64 (n, context).

    `unescapes` decodes HTML entities twice before, as OpenCLIP does, which a tokenizer.json cannot express.
    """
    cleaned = [_without_surrogates(text) for text in texts]
    if unescapes:
        cleaned = [html.unescape(html.unescape(text)) for text in cleaned]
    return np.array([tokenizer.encode(text).ids for text in cleaned], np.int64)


def _without_surrogates(text: str) -> str:
    """Replaces unpaired surrogates, such as those for non-UTF-8 bytes of a command line, by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _tokenizer(path: Path) -> "Tokenizer":
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError("searching by text", "text") from error
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers package raises plain Exceptions
        raise ModelError(f"{path}: it cannot be read as a tokenizer: {error}") from error
