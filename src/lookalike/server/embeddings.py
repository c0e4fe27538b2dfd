"""The route that makes vectors, in the form that OpenAI's and Jina's clients speak."""

import base64
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lookalike.collection.collection import Collection
from lookalike.server import bodies, descriptions, problems
from lookalike.server.answers import answer
from lookalike.server.live import check_current
from lookalike.server.requests import read_json
from lookalike.server.service import TheService
from lookalike.storage.vectors import Vectors

router = APIRouter(prefix="/v1", tags=["embeddings"])


@router.post(
    "/embeddings",
    summary="Make vectors of images and texts",
    responses=descriptions.answers(None, 404, 413, 415, 422, 503),
    openapi_extra=descriptions.json_body(bodies.Embeddings),
)
async def embeddings(request: Request, service: TheService) -> Response:
    """Makes a vector, of length 1, of each image and text, with the model of the collection.

    The form is that of OpenAI's and Jina's clients. Images are given by their bytes in base64; no address is ever
    fetched.
    """
    service.encoding.refuse_if_full()
    body = await read_json(request, bodies.Embeddings)
    inputs = body.inputs()
    if len(inputs) > service.settings.limits.batch:
        raise problems.invalid(f"input: more than {service.settings.limits.batch}, the most of one request")
    images = [None if each.image is None else bodies.image_bytes(each.image) for each in inputs]
    texts = [each.text for each in inputs]

    async def embed(collection: Collection) -> tuple[Collection, list[Vectors]]:
        _check_model(collection, body)
        made = [
            await service.encoding.run(partial(_embedded, collection, image, text))
            for image, text in zip(images, texts, strict=True)
        ]
        return collection, made

    with service.steps().timed("encode"):
        collection, made = await service.live.use(embed)
    as_text = "base64" in (body.encoding_format, body.embedding_type)
    return answer(
        {
            "object": "list",
            "model": collection.made_by.model,
            "data": [
                {"object": "embedding", "index": index, "embedding": _shown(vector, as_text=as_text)}
                for index, vector in enumerate(made)
            ],
            "usage": {"prompt_tokens": 0, "total_tokens": 0},
        }
    )


def _embedded(collection: Collection, image: bytes | None, text: str | None) -> Vectors:
    if image is not None:
        vector = collection.embed(image)
    else:
        assert text is not None
        vector = collection.embed_text(text)
    check_current(collection)
    return vector


def _check_model(collection: Collection, body: bodies.Embeddings) -> None:
    """Raises a ProblemError if vectors of another model or dimension are wanted."""
    made_by = collection.made_by
    if body.model not in (None, made_by.model):
        detail = f"model: the collection's is {made_by.model}; give that, or none"
        raise problems.ProblemError(404, "There is no such model", detail, kind="urn:lookalike:no-such-model")
    if body.dimensions not in (None, made_by.dim):
        raise problems.invalid(f"dimensions: the model makes vectors of {made_by.dim}; give that, or nothing")


def _shown(vector: Vectors, *, as_text: bool) -> Any:
    """A vector as numbers, or as little-endian float32 in base64."""
    [numbers] = vector
    return base64.b64encode(numbers.astype(np.dtype("<f4")).tobytes()).decode() if as_text else numbers.tolist()
