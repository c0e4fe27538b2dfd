"""Cards and encoders by the name of a model, and the check of encoders that a user passes."""

import copy
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike import encoders
from lookalike.encoders import TextEncoder, checked_encoder
from lookalike.errors import UsageError
from lookalike.images.decode import Preprocessing


def test_a_card_needs_no_runtime() -> None:
    code = "import sys; from lookalike import encoders; encoders.card(); assert 'openvino' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_encoder_has_the_facts_of_its_card() -> None:
    for precision in ("int8", "f32"):
        card, encoder = encoders.card(precision=precision), encoders.load(precision=precision)
        assert (encoder.name, encoder.dim, encoder.preprocessing) == (card.name, card.dim, card.preprocessing)
        assert encoder.fingerprint == card.fingerprint
    assert (card.name, card.dim, card.preprocessing.size, card.licence) == (
        "efficientnet-lite0",
        1280,
        224,
        "Apache-2.0",
    )


@pytest.mark.parametrize("function", [encoders.card, encoders.load])
def test_an_unknown_model_or_precision_is_refused_with_the_choices(function: object) -> None:
    assert callable(function)
    with pytest.raises(UsageError, match=r"no model 'resnet'.*'efficientnet-lite0'"):
        function("resnet")
    with pytest.raises(UsageError, match=r"precision 'int4': efficientnet-lite0 comes in int8, f32, bf16"):
        function(precision="int4")


# Encoders of the user's own


class RecipeEncoder:
    """An encoder that calls its preprocessing by the former name."""

    name, dim, fingerprint = "old", 2, "0" * 32
    recipe = Preprocessing(size=8)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.full((len(pixels), self.dim), 7, np.float32)


class RecipeTextEncoder(RecipeEncoder):
    """The same for images and text, on a GPU."""

    device = "cuda"

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.full((len(texts), self.dim), 8, np.float32)


def test_a_complete_encoder_passes_the_check_unchanged() -> None:
    class Both(RecipeEncoder):
        preprocessing = Preprocessing(size=9)

    for encoder in (encoders.load(), Both()):
        assert checked_encoder(encoder) is encoder


def test_missing_members_of_an_encoder_are_named() -> None:
    class Nameless:
        dim, fingerprint = 2, ""

    message = (
        "encoder: Nameless has no name, preprocessing, encode; an encoder has name, dim, preprocessing, fingerprint,"
        " encode"
    )
    with pytest.raises(UsageError) as raised:
        checked_encoder(Nameless())
    assert str(raised.value) == message


@pytest.mark.parametrize("member", ["name", "dim", "preprocessing", "fingerprint", "encode"])
def test_each_member_of_an_encoder_is_required(member: str) -> None:
    members = {"name": "x", "dim": 2, "preprocessing": Preprocessing(), "fingerprint": "", "encode": len}
    del members[member]
    with pytest.raises(UsageError, match=f"Partial has no {member};"):
        checked_encoder(type("Partial", (), members)())


def test_a_recipe_does_not_replace_other_missing_members() -> None:
    class OnlyRecipe:
        recipe = Preprocessing()

    with pytest.raises(UsageError, match="has no name, dim, fingerprint, encode;"):
        checked_encoder(OnlyRecipe())


def test_a_class_is_refused_as_an_encoder() -> None:
    with pytest.raises(UsageError, match="RecipeEncoder is a class; give an object of it"):
        checked_encoder(RecipeEncoder)


def test_an_encoder_with_a_recipe_is_adapted() -> None:
    encoder = checked_encoder(RecipeEncoder())
    assert (encoder.name, encoder.dim, encoder.fingerprint) == ("old", 2, "0" * 32)
    assert encoder.preprocessing is RecipeEncoder.recipe
    np.testing.assert_array_equal(encoder.encode(np.zeros((3, 8, 8, 3), np.uint8)), np.full((3, 2), 7))
    assert not isinstance(encoder, TextEncoder)
    assert not hasattr(encoder, "device")
    assert encoders.threads_for(encoder, 8) == 10
    assert checked_encoder(encoder) is encoder
    assert copy.copy(encoder).preprocessing is encoder.preprocessing


def test_an_adapted_encoder_keeps_its_text_and_its_device() -> None:
    encoder = checked_encoder(RecipeTextEncoder())
    assert isinstance(encoder, TextEncoder)
    np.testing.assert_array_equal(encoder.encode_text(["a", "b"]), np.full((2, 2), 8))
    assert encoders.threads_for(encoder, 8) == 12
