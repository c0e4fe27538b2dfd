"""Vectors of the images of a batch, as Ray Data gives it."""

import numpy as np

import lookalike
from lookalike.cluster.embed import Embed
from lookalike.images.decode import prepare
from lookalike.ingest.embedding import embed
from tests.support.pictures import picture
from tests.support.shards import png


def test_a_batch_gets_the_vectors_of_a_collection() -> None:
    made = Embed("data", output="vector")
    batch = {"data": np.array([png(1), b"no image", png(2)], object), "n": np.arange(3)}
    found = made(batch)
    assert list(found) == ["data", "n", "vector", "vector_error"]
    assert found["vector"].dtype == np.float32
    encoder = lookalike.encoders.load()
    for place, seed in ((0, 1), (2, 2)):
        expected = embed(encoder, prepare(png(seed), encoder.preprocessing))[0]
        assert np.allclose(found["vector"][place], expected, atol=1e-6)
    assert not found["vector"][1].any()
    assert list(found["vector_error"]) == ["", "not an image", ""]


def test_pixels_are_images_too() -> None:
    pixels = np.stack([picture(1), picture(2)])
    found = Embed("image")({"image": pixels})
    assert np.allclose(np.linalg.norm(found["embedding"], axis=1), 1, atol=1e-5)


def test_a_batch_without_usable_images_has_zeros() -> None:
    found = Embed("data")({"data": np.array([b"", b"x"], object)})
    assert found["embedding"].shape == (2, 1280)
    assert not found["embedding"].any()
