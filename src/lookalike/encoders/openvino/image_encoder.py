"""Runs a network on the CPU with OpenVINO."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.card import Card
from lookalike.encoders.openvino.infer_requests import Requests
from lookalike.encoders.openvino.loading import FAILURES, ov
from lookalike.errors import ModelError, UsageError
from lookalike.images.decode import Preprocessing

_INFERENCE_PRECISION = {"f32": "f32", "bf16": "bf16", "int8": "f32"}  # what is not integer in int8


class OpenVinoEncoder:
    """An encoder whose network OpenVINO runs, one picture at a time on each of its threads.

    `encode` may be called from as many threads as it was made for at once, and from more, which then wait.
    """

    def __init__(self, card: Card, model: ov.Model, *, threads: int) -> None:
        """`model` takes uint8 (1, size, size, 3), or any number of pictures, and gives float32 (1, dim)."""
        self.card = card
        self.threads = threads
        config = {
            "INFERENCE_PRECISION_HINT": _INFERENCE_PRECISION[card.precision],
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
        }
        try:
            model.reshape(
                [1, card.preprocessing.size, card.preprocessing.size, 3]
            )  # a network may take any number at once
            compiled = ov.Core().compile_model(model, "CPU", config)
        except FAILURES as error:
            raise ModelError(f"{card.name}: OpenVINO cannot run this network here: {error}") from error
        self._requests = Requests(compiled)

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def dim(self) -> int:
        return self.card.dim

    @property
    def preprocessing(self) -> Preprocessing:
        return self.card.preprocessing

    @property
    def fingerprint(self) -> str:
        return self.card.fingerprint

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings, float32 (n, dim), of pixels, uint8 (n, size, size, 3).

        Raises:
            UsageError: the pixels are of another shape or type.
        """
        side = self.preprocessing.size
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (side, side, 3):
            raise UsageError(f"pixels: {pixels.dtype} of {pixels.shape}; give uint8 of (n, {side}, {side}, 3)")
        embeddings = np.empty((len(pixels), self.dim), np.float32)
        request, taken, given = self._requests.own()
        for picture, embedding in zip(pixels, embeddings, strict=True):
            taken[0] = picture
            request.infer()
            embedding[:] = given[0]
        return embeddings


def read(path: Path) -> ov.Model:
    """The graph of an imported model.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return ov.Core().read_model(path)
    except FAILURES as error:
        raise ModelError(f"{path}: OpenVINO cannot read it: {error}") from error


def computes_bfloat16() -> bool:
    """Whether the processor has instructions for it, without which it is computed as float32."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
