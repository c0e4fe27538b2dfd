"""Makes vectors in a pipeline of Ray Data: `ds.map_batches(Embed, compute=ray.data.ActorPoolStrategy(size=2))`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lookalike import encoders
from lookalike.encoders import BUNDLED
from lookalike.errors import ImageError
from lookalike.images.decode import prepare
from lookalike.ingest.embedding import embed_all


class Embed:
    """Adds the unit vectors of the images of a batch, each float32 (dim,); of one that cannot be used it is of zeros.

    A batch is a mapping of columns, as Ray Data gives it with `batch_format="numpy"`. What cannot be used says why in
    the column `embedding_error`, which is empty for the others.
    """

    def __init__(
        self,
        column: str = "bytes",
        *,
        model: str = BUNDLED,
        precision: str | None = None,
        threads: int = 1,
        device: str = "cpu",
        output: str = "embedding",
    ) -> None:
        """Loads the encoder.

        Args:
            column: of the images: the bytes of files, or arrays of pixels, (h, w, 3) `uint8`.
            model: the name of a model on each machine.
            precision: of the model.
            threads: that the encoder is loaded for.
            device: "cpu", "cuda" or another one.
            output: the name of the column of vectors.
        """
        self._encoder = encoders.load(model, precision=precision, threads=threads, device=device)
        self._column, self._output = column, output

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        images, errors = [], []
        for given in batch[self._column]:
            try:
                images.append(prepare(given, self._encoder.preprocessing))
                errors.append("")
            except ImageError as error:
                errors.append(error.reason)
        vectors = np.zeros((len(errors), self._encoder.dim), np.float32)
        if images:
            vectors[[not error for error in errors]] = embed_all(self._encoder, images)
        return {**batch, self._output: vectors, f"{self._output}_error": np.array(errors, object)}
