"""Encoder objects that are given to `create`, `open`, `reindex` and `plan`: adapted, or refused with what they lack."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lookalike
from lookalike import Collection, Preprocessing
from lookalike.collection.plan import plan
from lookalike.errors import UsageError
from tests.support.pictures import ColourEncoder, everything, picture, stored_vectors, unit_of


class RecipeEncoder:
    """The same as ColourEncoder, but with the former name of `preprocessing`."""

    name, dim, fingerprint = "colours", 25, "c0105001"
    recipe = Preprocessing(size=8, crop=1.0)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return ColourEncoder().encode(pixels)


class RecipeTextEncoder(RecipeEncoder):
    """It knows each picture by its number, too."""

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([unit_of(int(text)).astype(np.float32) for text in texts])


class Nameless:
    """An object that is far from an encoder."""

    dim, fingerprint = 25, "c0105001"


def open_existing(folder: Path, encoder: Any) -> object:
    lookalike.create(folder, encoder=ColourEncoder()).close()
    return lookalike.open(folder, encoder=encoder)


def reindex_existing(folder: Path, encoder: Any) -> object:
    lookalike.create(folder, encoder=ColourEncoder()).close()
    return lookalike.reindex(folder, encoder=encoder)


USES: dict[str, Callable[[Path, Any], object]] = {
    "create": lambda folder, encoder: lookalike.create(folder, encoder=encoder),
    "open": open_existing,
    "reindex": reindex_existing,
    "plan": lambda folder, encoder: plan(folder, encoder=encoder),
}


def test_an_encoder_with_a_recipe_makes_the_same_collection(photos: Collection, tmp_path: Path) -> None:
    encoder: Any = RecipeEncoder()
    with lookalike.create(photos.folder, directory=tmp_path / "other", encoder=encoder) as again:
        again.add(photos.folder)
        assert again.made_by == photos.made_by
        vectors, expected = stored_vectors(again.directory), stored_vectors(photos.directory)
        assert vectors.keys() == expected.keys()
        assert all(np.array_equal(vectors[key], expected[key]) for key in vectors)


def test_a_collection_can_be_opened_with_an_encoder_that_has_a_recipe(photos: Collection) -> None:
    encoder: Any = RecipeEncoder()
    with lookalike.open(photos.folder, encoder=encoder) as again:
        assert everything(again) == everything(photos)
        assert again.search(picture(4), k=3) == photos.search(picture(4), k=3)
        assert again.add(photos.folder).unchanged == 12
        with pytest.raises(UsageError, match="colours does not take text: it has no encode_text"):
            again.search_text("4")
        assert not again.takes_text


def test_an_encoder_of_text_with_a_recipe_searches_by_text(photos: Collection) -> None:
    encoder: Any = RecipeTextEncoder()
    with lookalike.open(photos.folder, encoder=encoder) as again:
        [match] = again.search_text("4", k=1)
        assert match.key == "cats/04.png"
        assert match.score == pytest.approx(1, abs=1e-3)
        assert again.takes_text


def test_plan_and_reindex_take_an_encoder_that_has_a_recipe(photos: Collection) -> None:
    encoder: Any = RecipeEncoder()
    encoder.fingerprint = "c0105002"
    assert plan(photos.folder, encoder=encoder).made_by.fingerprint == "c0105002"
    assert lookalike.reindex(photos.folder, encoder=encoder).unchanged == 12
    with lookalike.open(photos.folder, encoder=encoder) as again:
        assert again.made_by.fingerprint == "c0105002"
        assert again.search(picture(4), k=1)[0].key == "cats/04.png"


@pytest.mark.parametrize("use", USES)
def test_an_object_with_missing_members_is_refused_with_their_names(folder: Path, use: str) -> None:
    with pytest.raises(UsageError) as raised:
        USES[use](folder, Nameless())
    assert raised.value.message == (
        "encoder: Nameless has no name, preprocessing, encode; an encoder has name, dim, preprocessing, fingerprint,"
        " encode"
    )


@pytest.mark.parametrize("use", USES)
def test_a_class_is_refused_as_an_encoder(folder: Path, use: str) -> None:
    with pytest.raises(UsageError, match="encoder: ColourEncoder is a class; give an object of it"):
        USES[use](folder, ColourEncoder)


@pytest.mark.parametrize("encoder", [Nameless(), ColourEncoder], ids=["incomplete", "class"])
def test_a_refused_encoder_leaves_no_collection_behind(folder: Path, encoder: Any) -> None:
    with pytest.raises(UsageError, match="encoder: "):
        lookalike.create(folder, encoder=encoder)
    assert not (folder / ".lookalike").exists()
