"""Runs an image encoder on the CPU with OpenVINO."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.card import Card
from lookalike.encoders.card_encoder import CardEncoder
from lookalike.encoders.openvino import compiled_models
from lookalike.encoders.openvino.compiled_models import Options
from lookalike.encoders.openvino.compiling import compile_model
from lookalike.encoders.openvino.infer_requests import InferRequests
from lookalike.encoders.openvino.loading import FAILURES, core, ov
from lookalike.encoders.registry import import_again_hint
from lookalike.errors import ModelError

_INFERENCE_PRECISION = {"f32": "f32", "bf16": "bf16", "int8": "f32"}  # in int8, of the operators that stay float


class OpenVinoEncoder(CardEncoder):
    """An encoder whose graph is run by OpenVINO, one image at a time on each of its threads.

    `encode` may be called from any number of threads at once; beyond `threads`, they wait for each other.
    """

    def __init__(
        self, card: Card, make_graph: Callable[[], ov.Model], *, threads: int, identity: str | None = None
    ) -> None:
        """Compiles a graph, or takes it as it was compiled before.

        Args:
            card: the model's card.
            make_graph: returns the graph, from uint8 (1, size, size, 3) or (n, size, size, 3) to float32 (1, dim) or
                (n, dim); it is reshaped to a batch of 1.
            threads: the number of threads that infer at once.
            identity: what tells the graph from all others, if the compiled graph may be kept for other processes.

        Raises:
            ModelError: OpenVINO cannot run the graph, or `make_graph` has raised it.
        """
        super().__init__(card)
        self.threads = threads
        options = Options(
            {"INFERENCE_PRECISION_HINT": _INFERENCE_PRECISION[card.precision]},
            {"NUM_STREAMS": threads, "INFERENCE_NUM_THREADS": threads},
        )
        compile_graph = partial(_compiled, card, make_graph, options)
        self._requests = InferRequests(partial(compiled_models.kept, identity, options, compile_graph))

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns embeddings, float32 (n, dim), of pixels, uint8 (n, size, size, 3).

        Raises:
            UsageError: the pixels have another shape or dtype.
        """
        self.check_pixels(pixels)
        embeddings = np.empty((len(pixels), self.dim), np.float32)
        with self._requests.used_by_this_thread() as request:
            for image, embedding in zip(pixels, embeddings, strict=True):
                request.input[0] = image
                request.run()
                embedding[:] = request.output[0]
        return embeddings


def read(path: Path) -> ov.Model:
    """Reads the graph of an imported model.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return core().read_model(path)
    except FAILURES as error:
        raise ModelError(f"{path}: OpenVINO cannot read it: {error}") from error


def _compiled(card: Card, make_graph: Callable[[], ov.Model], options: Options) -> ov.CompiledModel:
    pixels, model = [1, card.preprocessing.size, card.preprocessing.size, 3], make_graph()
    try:
        takes = model.input().get_partial_shape()
        if takes.compatible(ov.PartialShape(pixels)):
            model.reshape(pixels)
            compiled = compile_model(model, options.all)
            if list(compiled.output().get_partial_shape()) == [1, card.dim]:
                return compiled
        makes = model.output().get_partial_shape()
    except FAILURES as error:
        raise ModelError(f"{card.name}: OpenVINO cannot run this network here: {error}") from error
    raise ModelError(
        f"{card.name}: its graph turns {takes} into {makes}, but its card says {pixels[1:]} and {card.dim} dimensions",
        import_again_hint(card),
    )


def computes_bfloat16() -> bool:
    """Whether the CPU has bfloat16 instructions, without which bf16 is computed as float32."""
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
