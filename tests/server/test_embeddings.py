"""Vectors over HTTP, in the form of OpenAI's and Jina's clients, are those of the collection's encoder."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lookalike
from lookalike import Collection
from lookalike.server.settings import Limits, Settings
from tests.support import tiny_models
from tests.support.http_service import Running, in_base64, problem, running


@pytest.fixture
def tiny(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collection]:
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))
    tiny_models.save("tiny", words={"red": 0, "blue": 2})
    with lookalike.create(folder, model="tiny") as collection:
        collection.add(folder)
        yield collection


def embed(service: Running, **body: Any) -> Any:
    response = service.client.post("/v1/embeddings", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_images_and_texts_are_embedded_in_their_order(tiny: Collection) -> None:
    image = tiny.folder / "00.png"
    with running(tiny) as service:
        data_uri = f"data:image/png;base64,{in_base64(image)}"
        made = embed(service, input=[{"text": "red"}, {"image": in_base64(image)}, {"image": data_uri}, "blue"])
        assert (made["object"], made["model"]) == ("list", "tiny")
        assert [each["index"] for each in made["data"]] == [0, 1, 2, 3]
        vectors = np.array([each["embedding"] for each in made["data"]])
        expected = [tiny.embed_text("red"), tiny.embed(image), tiny.embed(image), tiny.embed_text("blue")]
        np.testing.assert_allclose(vectors, np.concatenate(expected), atol=1e-6)
        single = embed(service, input="red", model="tiny", user="somebody")
        np.testing.assert_allclose(single["data"][0]["embedding"], vectors[0], atol=1e-6)


@pytest.mark.parametrize("option", ["encoding_format", "embedding_type"])
def test_base64_is_little_endian_float32(service: Running, photos: Collection, option: str) -> None:
    image = photos.folder / "00.png"
    made = embed(service, input={"image": in_base64(image)}, dimensions=25, **{option: "base64"})
    vector = np.frombuffer(base64.b64decode(made["data"][0]["embedding"]), "<f4")
    np.testing.assert_array_equal(vector, photos.embed(image)[0])


def test_what_cannot_be_embedded_is_refused(photos: Collection) -> None:
    image = in_base64(photos.folder / "00.png")
    with running(photos, Settings(limits=Limits(batch=2))) as service:
        post = service.client.post
        wrong: list[tuple[dict[str, Any], int]] = [
            ({"input": "red"}, 422),
            ({"input": []}, 422),
            ({"input": ""}, 422),
            ({"input": [{"image": image}] * 3}, 422),
            ({"input": {"image": "https://example.org/x.png"}}, 422),
            ({"input": {"image": "data:image/png,abc"}}, 422),
            ({"input": {"image": base64.b64encode(b"none").decode()}}, 422),
            ({"input": {"image": image, "text": "red"}}, 422),
            ({"input": [[1, 2, 3]]}, 422),
            ({"input": {"image": image}, "dimensions": 24}, 422),
            ({"input": {"image": image}, "encoding_format": "int8"}, 422),
            ({"input": {"image": image}, "model": "text-embedding-3-small"}, 404),
        ]
        for body, status in wrong:
            problem(post("/v1/embeddings", json=body), status)
