"""Errors say what is wrong in their message, and what to do in their hints."""

import pickle
from typing import get_args

import pytest

from lookalike import errors
from lookalike.errors import (
    Action,
    Hint,
    ImageError,
    LookalikeError,
    MissingExtraError,
    NoCollectionError,
    UsageError,
)
from lookalike.system.worker import EndedError

HINTS: list[tuple[Hint, str]] = [
    (Hint("create", {"path": "photos"}), "lookalike.create('photos')"),
    (Hint("maintain", {"path": "photos"}), "lookalike.open('photos').maintain()"),
    (Hint("open_shard", {"path": "big/a"}), "lookalike.open('big/a')"),
    (
        Hint("keep_regions", {"path": "photos"}),
        "c = lookalike.open('photos'); c.keep_regions(9); c.update()",
    ),
    (
        Hint("reindex", {"path": "photos", "model": "resnet", "precision": "bf16"}),
        "lookalike.reindex('photos', model='resnet', precision='bf16')",
    ),
    (Hint("reindex", {"path": "photos", "encoder": ...}), "lookalike.reindex('photos', encoder=...)"),
    (Hint("open_with_encoder", {"path": "photos", "encoder": ...}), "lookalike.open('photos', encoder=...)"),
    (Hint("trust", {"path": "photos"}), "lookalike.open('photos').trust()"),
    (
        Hint("forget_sources", {"file": "photos/.lookalike/sources.json"}),
        "pathlib.Path('photos/.lookalike/sources.json').unlink()",
    ),
    (
        Hint("relocate", {"path": "kept", "old": "photos", "new": ...}),
        "lookalike.relocate('kept', old='photos', new=...)",
    ),
    (Hint("remove_images", {"path": "photos", "image": "a b.jpg"}), "lookalike.open('photos').remove(['a b.jpg'])"),
    (Hint("import_model", {"source": ...}), "lookalike.importers.import_model(...)"),
    (
        Hint("import_model", {"source": "timm:vit", "name": "vit", "options": {"mean": (1.0, 2.0, 3.0)}}),
        "lookalike.importers.import_model('timm:vit', name='vit',"
        " options=lookalike.importers.ImportOptions(mean=(1.0, 2.0, 3.0)))",
    ),
    (
        Hint("import_model_again", {"source": "timm:vit", "name": "vit"}),
        "lookalike.encoders.registry.remove('vit'); lookalike.importers.import_model('timm:vit', name='vit')",
    ),
    (Hint("remove_model", {"name": "vit"}), "lookalike.encoders.registry.remove('vit')"),
    (Hint("inspect_model", {"file": "model.onnx"}), "lookalike.importers.inspect('model.onnx')"),
    (Hint("find_models"), "lookalike.encoders.registry.folder()"),
    (Hint("overwrite"), "overwrite=True"),
    (Hint("install", {"extra": "torch"}), 'pip install "lookalike[torch]"'),
    (Hint("upgrade", {"extra": "torch"}), 'pip install --upgrade "lookalike[torch]"'),
]


@pytest.mark.parametrize(("hint", "call"), HINTS)
def test_a_hint_is_a_call_that_can_be_typed(hint: Hint, call: str) -> None:
    assert str(hint) == call
    assert hint.purpose


def test_every_action_is_tried_here() -> None:
    assert {hint.action for hint, _ in HINTS} == set(get_args(Action))


def test_an_error_says_what_is_wrong_and_then_what_to_do() -> None:
    error = NoCollectionError("photos: there is no collection", Hint("create", {"path": "photos"}))
    assert error.message == "photos: there is no collection"
    assert str(error) == "photos: there is no collection; to make one: lookalike.create('photos')"
    assert str(UsageError("k=0: give at least 1")) == "k=0: give at least 1"


def test_several_hints_follow_each_other() -> None:
    error = LookalikeError("it is gone", Hint("create", {"path": "a"}), Hint("find_models"))
    assert str(error) == (
        "it is gone; to make one: lookalike.create('a');"
        " to find the folder of imported models: lookalike.encoders.registry.folder()"
    )


def test_a_missing_extra_names_the_extra_that_brings_it() -> None:
    error = MissingExtraError("importing from timm", "torch")
    assert error.hints == (Hint("install", {"extra": "torch"}),)
    assert str(error).endswith('to install what is missing: pip install "lookalike[torch]"')


def test_an_error_survives_pickling_with_its_hints() -> None:
    error = UsageError("there is none", Hint("create", {"path": "photos"}))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.hints) == (str(error), error.hints)


def test_a_warning_of_a_damaged_index_has_hints_too() -> None:
    warning = errors.DamagedIndexWarning("index: damaged", Hint("maintain", {"path": "photos"}))
    assert str(warning) == "index: damaged; to build it again: lookalike.open('photos').maintain()"


ERRORS = [
    UsageError("k=0: give at least 1"),
    ImageError("truncated", "cat.jpg", lasting=False),
    MissingExtraError("searching by text", "text"),
    EndedError("clip", -9),
    LookalikeError("it is missing", Hint("create", {"path": "photos"}), Hint("find_models")),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_out_of_another_process_as_it_was(error: LookalikeError) -> None:
    """Pickle makes an exception anew from its `args`, which are not those of every class."""
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
