"""Whether a model may be used with a collection, and if not, how to get the one that made it or change to another."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lookalike
from lookalike import Collection, encoders
from lookalike.cli.hints import as_command
from lookalike.collection import compatibility
from lookalike.collection.reindex import reindex
from lookalike.encoders import registry
from lookalike.errors import IncompatibleError, LookalikeError, ModelError, UsageError
from lookalike.storage import manifest as manifests
from lookalike.storage.manifest import Identity, Manifest
from tests.support.pictures import ColourEncoder, draw, picture
from tests.support.tiny_models import DIM, save

BUNDLED = "efficientnet-lite0"


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models with one in it."""
    folder = tmp_path / "models"
    monkeypatch.setenv("LOOKALIKE_MODELS", str(folder))
    save("tiny", source="timm:tiny in a box")
    return folder


@pytest.fixture
def tiny(tmp_path: Path) -> Collection:
    """A collection of three images, made with that model."""
    folder = tmp_path.resolve() / "my photos"
    for seed in range(3):
        draw(folder / f"{seed}.png", seed)
    with lookalike.create(folder, model="tiny", device="cpu") as collection:
        collection.add(folder, threads=1)
    return collection


def commands(error: LookalikeError) -> list[str]:
    """What to do about an error, as the command line shows it."""
    return [command for hint in error.hints if (command := as_command(hint))]


# Identities


def test_a_collection_of_an_earlier_lookalike_has_neither_source_nor_data(tiny: Collection) -> None:
    path = tiny.directory / "collection.json"
    facts = json.loads(path.read_text())
    assert (facts.pop("source"), "data" in facts) == ("'timm:tiny in a box'", False)
    path.write_text(json.dumps(facts))
    assert manifests.read(tiny.directory).made_by.source is None
    with lookalike.open(tiny.folder) as again:
        assert again.search(picture(0), k=1)[0].key == "0.png"


def test_the_precision_is_the_models_own_unless_another_is_asked_for(tiny: Collection) -> None:
    of_model = compatibility.identity_of_model
    assert of_model("tiny", None) == of_model("tiny", "f32") == tiny.made_by
    assert of_model(BUNDLED, None).precision == "int8"
    manifest = manifests.read(tiny.directory)
    wanted = compatibility.wanted_identity
    assert wanted(tiny.directory, manifest) == tiny.made_by
    assert wanted(tiny.directory, manifest, {"precision": "bf16"}).precision == "bf16"
    assert wanted(tiny.directory, manifest, {"model": BUNDLED}).precision == "int8"
    with pytest.raises(UsageError, match="'int8': tiny comes in f32, bf16"):
        wanted(tiny.directory, manifest, {"precision": "int8"})


def test_an_encoder_that_is_given_goes_before_a_model(tiny: Collection) -> None:
    own = ColourEncoder()
    manifest, identity = manifests.read(tiny.directory), Identity("colours", "", own.fingerprint, 25)
    assert compatibility.identity_of_encoder(own) == identity
    assert compatibility.new_identity({"encoder": own, "model": "tiny"}) == identity
    assert compatibility.wanted_identity(tiny.directory, manifest, {"encoder": own, "model": "tiny"}) == identity
    assert compatibility.new_identity({"model": "tiny"}) == tiny.made_by
    assert compatibility.new_identity({}) == compatibility.identity_of_model(BUNDLED, None)


def test_an_identity_is_available_if_the_model_is(tiny: Collection, models: Path) -> None:
    """A model whose card is damaged is not; nor is an encoder that was given as an object."""
    assert compatibility.available_identity(tiny.made_by) == tiny.made_by
    assert compatibility.available_identity(compatibility.identity_of_encoder(ColourEncoder())) is None
    (models / "tiny" / "card.json").write_text("{")
    assert compatibility.available_identity(tiny.made_by) is None
    registry.remove("tiny")
    assert compatibility.available_identity(tiny.made_by) is None


# A model that is not available


def test_without_its_model_a_collection_does_what_needs_none(tiny: Collection) -> None:
    by_id, by_vector = tiny.search_id(1), tiny.search_vector(np.ones(DIM))
    tiny.close()
    registry.remove("tiny")
    with lookalike.open(tiny.folder) as again:
        assert (again.info().made_by, again.check()) == (tiny.made_by, [])
        assert (again.search_id(1), again.search_vector(np.ones(DIM))) == (by_id, by_vector)
        assert again.build(spec="Flat")
        assert again.remove(["0.png"]) == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda folder: lookalike.open(folder).search(picture(0)),
        lambda folder: lookalike.open(folder).embed(picture(0)),
        lambda folder: lookalike.open(folder).search_text("red"),
        lambda folder: lookalike.open(folder).add(folder),
        lambda folder: lookalike.open(folder, precision="bf16"),
        lambda folder: lookalike.open(folder, model="tiny"),
        lambda folder: reindex(folder),
    ],
    ids=["search", "embed", "text", "add", "precision", "model", "reindex"],
)
def test_what_needs_the_model_says_how_to_get_it_or_do_without(tiny: Collection, use: Callable[[Path], object]) -> None:
    registry.remove("tiny")
    with pytest.raises(IncompatibleError, match=r"made by tiny \(f32\), which is not available here") as raised:
        use(tiny.folder)
    assert commands(raised.value) == [
        "lookalike models import 'timm:tiny in a box' --name tiny",
        f"lookalike index '{tiny.folder}' --model efficientnet-lite0 --reindex",
    ]
    assert "lookalike.importers.import_model('timm:tiny in a box', name='tiny')" in str(raised.value)
    assert f"lookalike.reindex('{tiny.folder}', model='efficientnet-lite0')" in str(raised.value)
    save("tiny", source="timm:tiny in a box")
    lookalike.open(tiny.folder).search(picture(0))


def test_a_model_whose_card_is_damaged_is_refused_only_when_it_is_used(tiny: Collection, models: Path) -> None:
    (models / "tiny" / "card.json").write_text("{")
    with lookalike.open(tiny.folder) as again:
        assert len(again.search_id(1)) == 2
        with pytest.raises(ModelError, match=r"card\.json.*import it again"):
            again.search(picture(0))


# Another version


def test_another_version_of_a_model_is_refused_with_both_remedies(tiny: Collection) -> None:
    """The message names both versions: the model can be imported again, or the images indexed again."""
    registry.remove("tiny")
    save("tiny", source="hf:somebody/tiny@1a2b", version="2")
    present = encoders.card("tiny").fingerprint
    with pytest.raises(IncompatibleError) as raised:
        lookalike.open(tiny.folder)
    for part in (
        f"made by tiny (f32) {tiny.made_by.fingerprint[:8]} from 'timm:tiny in a box'",
        f"another version of it, tiny (f32) {present[:8]} from hf:somebody/tiny@1a2b",
    ):
        assert part in raised.value.message
    assert commands(raised.value) == [
        "lookalike models remove tiny && lookalike models import 'timm:tiny in a box' --name tiny",
        f"lookalike index '{tiny.folder}' --model tiny --precision f32 --reindex",
    ]
    before = [match.key for match in tiny.search_id(1)]
    reindex(tiny.folder, device="cpu")
    with lookalike.open(tiny.folder) as again:
        assert (again.made_by.fingerprint, again.made_by.source) == (present, "hf:somebody/tiny@1a2b")
        assert [match.key for match in again.search_id(1)] == before


def test_a_model_that_was_exchanged_since_the_opening_is_not_used(tiny: Collection) -> None:
    with lookalike.open(tiny.folder) as again:
        registry.remove("tiny")
        save("tiny", source="timm:tiny", version="2")
        with pytest.raises(IncompatibleError, match="another version of it"):
            again.search(picture(0))
        with pytest.raises(IncompatibleError, match="another version of it"):
            again.add(tiny.folder)
        assert len(again.search_id(1)) == 2


def test_another_version_of_the_bundled_model_can_only_be_indexed_again(tmp_path: Path) -> None:
    """It came with another Lookalike."""
    photos = lookalike.create(tmp_path, directory=tmp_path / "c", model=BUNDLED)
    path = photos.directory / "collection.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "0" * 32}))
    with pytest.raises(IncompatibleError, match="another version of it") as raised:
        lookalike.open(tmp_path / "c")
    command = f"lookalike index -c {tmp_path / 'c'} --model efficientnet-lite0 --precision int8 --reindex"
    assert commands(raised.value) == [command]


def test_another_model_or_precision_says_how_to_change_to_it(tiny: Collection) -> None:
    for choice, other, options in (
        ({"precision": "bf16"}, "tiny (bf16)", "--model tiny --precision bf16"),
        ({"model": BUNDLED}, "efficientnet-lite0 (int8)", "--model efficientnet-lite0"),
    ):
        with pytest.raises(IncompatibleError) as raised:
            lookalike.open(tiny.folder, **choice)  # type: ignore[arg-type]
        assert raised.value.message.endswith(f"made by tiny (f32) and cannot be compared with those of {other}")
        assert commands(raised.value) == [f"lookalike index '{tiny.folder}' {options} --reindex"]


@pytest.mark.parametrize("model", ["tiny", BUNDLED])
@pytest.mark.parametrize("stored", [("tiny", "f32"), ("tiny", "bf16"), (BUNDLED, "f32"), (BUNDLED, "int8")])
def test_the_options_of_a_hint_name_what_is_wanted(tiny: Collection, model: str, stored: tuple[str, str]) -> None:
    """Also if what is wanted is the default precision of the model."""
    manifest = Manifest(compatibility.identity_of_model(*stored), tiny.folder)
    for precision in encoders.precisions(model):
        wanted = compatibility.identity_of_model(model, precision)
        options: Any = compatibility.model_options(manifest, wanted)
        assert compatibility.wanted_identity(tiny.directory, manifest, options) == wanted
        usual = precision == encoders.precisions(model)[0]
        assert ("precision" in options) == (model == stored[0] or not usual)
        hint = compatibility.reindex_hint(tiny.directory, manifest, wanted)
        arguments = shlex.split(as_command(hint))
        assert arguments[:3] == ["lookalike", "index", str(tiny.folder)]
        assert dict(zip(arguments[3:-1:2], arguments[4:-1:2], strict=True)) == {
            f"--{name}": options[name] for name in options
        }


def test_an_encoder_of_ones_own_is_not_a_model_of_the_same_name(tmp_path: Path) -> None:
    own = ColourEncoder()
    own.name = "tiny"
    lookalike.create(tmp_path, directory=tmp_path / "c", encoder=own)
    with pytest.raises(IncompatibleError, match="made by tiny, which is not available here") as raised:
        lookalike.open(tmp_path / "c").embed(picture(0))
    assert [hint.action for hint in raised.value.hints] == ["open_with_encoder", "reindex"]
    assert f"open it with its own encoder: lookalike.open('{tmp_path / 'c'}', encoder=...)" in str(raised.value)
    with pytest.raises(IncompatibleError, match=r"made by tiny and cannot be compared with those of tiny \(f32\)"):
        lookalike.open(tmp_path / "c", model="tiny")
    assert lookalike.open(tmp_path / "c", encoder=own).embed(picture(0)).shape == (1, 25)


def test_another_version_of_ones_own_encoder_is_refused_with_both_remedies(tmp_path: Path) -> None:
    lookalike.create(tmp_path, directory=tmp_path / "c", encoder=ColourEncoder())
    with pytest.raises(IncompatibleError, match=r"made by colours c0105001 .* another version of it") as raised:
        lookalike.open(tmp_path / "c", encoder=ColourEncoder("another1"))
    assert [hint.action for hint in raised.value.hints] == ["open_with_encoder", "reindex"]
    assert f"lookalike.reindex('{tmp_path / 'c'}', encoder=...)" in str(raised.value)


# A collection that has been indexed again


def test_a_collection_that_was_indexed_again_since_is_noticed(tiny: Collection) -> None:
    manifest = manifests.read(tiny.directory)
    compatibility.check_unchanged(tiny.directory, manifest)
    reindex(tiny.folder, precision="bf16", device="cpu")
    with pytest.raises(IncompatibleError, match=r"it has been indexed again with tiny \(bf16\); open it again"):
        compatibility.check_unchanged(tiny.directory, manifest)
    compatibility.check_unchanged(tiny.directory, manifests.read(tiny.directory))
