"""What a collection says of the model that made it: kept, compared, and where it is missing, how to have it."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike import Collection, encoders
from lookalike.collection.reindex import reindex
from lookalike.encoders import registry
from lookalike.errors import CorruptError, IncompatibleError, ModelError, UsageError
from lookalike.storage import manifest
from lookalike.storage.manifest import Identity, Origin
from tests.support.pictures import ColourEncoder, draw, picture
from tests.support.tiny_models import DIM, save


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models with one in it."""
    folder = tmp_path / "models"
    monkeypatch.setenv("LOOKALIKE_MODELS", str(folder))
    save("tiny", source="timm:tiny in a box")
    return folder


@pytest.fixture
def tiny(tmp_path: Path) -> Collection:
    """A collection of three pictures, made with that model."""
    folder = tmp_path.resolve() / "my photos"
    for seed in range(3):
        draw(folder / f"{seed}.png", seed)
    with lookalike.create(folder, model="tiny", device="cpu") as collection:
        collection.add(folder, threads=1)
    return collection


MADE_BY = Identity("tiny", "f32", "0123456789", 4, "timm:tiny")


@pytest.mark.parametrize("data", [None, "data.000007"])
@pytest.mark.parametrize("folder", ["..", "/some/where/\udcff"])
@pytest.mark.parametrize("made_by", [MADE_BY, dataclasses.replace(MADE_BY, source=None)])
def test_what_is_written_is_read_again(tmp_path: Path, made_by: Identity, folder: str, data: str | None) -> None:
    origin = Origin(made_by, tmp_path.parent if folder == ".." else Path(folder), data)
    manifest.write(tmp_path, origin)
    assert manifest.read(tmp_path) == origin
    assert manifest.read(tmp_path).made_by.source == made_by.source
    assert list(tmp_path.glob("*.new")) == []


def test_what_is_to_come_is_written_beside_and_then_takes_over_at_once(tmp_path: Path) -> None:
    present, then = Origin(MADE_BY, tmp_path.parent), Origin(MADE_BY, tmp_path.parent, "data.000001")
    manifest.write(tmp_path, present)
    assert manifest.read_next(tmp_path) is None
    manifest.write(tmp_path, then, manifest.NEXT)
    assert (manifest.read(tmp_path), manifest.read_next(tmp_path)) == (present, then)
    manifest.switch(tmp_path)
    assert (manifest.read(tmp_path), manifest.read_next(tmp_path)) == (then, None)


def test_data_are_numbered_and_only_those_before_are_earlier() -> None:
    origin = Origin(MADE_BY, Path("/photos"))
    assert (origin.place(Path("/c")), origin.next_data) == (Path("/c"), "data.000001")
    origin = dataclasses.replace(origin, data="data.000009")
    assert (origin.place(Path("/c")), origin.next_data) == (Path("/c/data.000009"), "data.000010")
    names = ["data.000001", "data.000008", "data.000009", "data.000010", "data.8", "index", "collection.json"]
    assert [name for name in names if origin.is_earlier(name)] == ["data.000001", "data.000008"]


def test_a_collection_of_an_earlier_lookalike_knows_neither_source_nor_data(tiny: Collection) -> None:
    path = tiny.directory / "collection.json"
    facts = json.loads(path.read_text())
    assert (facts.pop("source"), "data" in facts) == ("'timm:tiny in a box'", False)
    path.write_text(json.dumps(facts))
    assert manifest.read(tiny.directory).made_by.source is None
    with lookalike.open(tiny.folder) as again:
        assert again.search(picture(0), k=1)[0].key == "0.png"


def test_the_precision_is_the_models_own_unless_another_is_asked_for(tiny: Collection) -> None:
    assert manifest.of_model("tiny", None) == manifest.of_model("tiny", "f32") == tiny.made_by
    assert manifest.of_model("efficientnet-lite0", None).precision == "int8"
    origin = manifest.read(tiny.directory)
    assert manifest.now(tiny.directory, origin, precision="bf16").precision == "bf16"
    assert manifest.now(tiny.directory, origin, model="efficientnet-lite0").precision == "int8"
    with pytest.raises(UsageError, match="'int8': tiny comes in f32, bf16"):
        manifest.now(tiny.directory, origin, precision="int8")


# A model that is not here


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
        lambda place: lookalike.open(place).search(picture(0)),
        lambda place: lookalike.open(place).embed(picture(0)),
        lambda place: lookalike.open(place).search_text("red"),
        lambda place: lookalike.open(place).add(place),
        lambda place: lookalike.open(place, precision="bf16"),
        lambda place: lookalike.open(place, model="tiny"),
        lambda place: reindex(place),
    ],
    ids=["search", "embed", "text", "add", "precision", "model", "reindex"],
)
def test_what_needs_it_says_how_to_have_it_or_do_without(tiny: Collection, use: Callable[[Path], object]) -> None:
    registry.remove("tiny")
    with pytest.raises(IncompatibleError) as raised:
        use(tiny.folder)
    for said in (
        "made by tiny (f32), which is not to be had here",
        "lookalike models import 'timm:tiny in a box' --name tiny",
        f"lookalike index '{tiny.folder}' --model efficientnet-lite0 --reindex",
    ):
        assert said in str(raised.value)
    save("tiny", source="timm:tiny in a box")
    lookalike.open(tiny.folder).search(picture(0))


def test_a_model_whose_card_is_damaged_is_needed_only_where_it_is_used(tiny: Collection, models: Path) -> None:
    (models / "tiny" / "card.json").write_text("{")
    with lookalike.open(tiny.folder) as again:
        assert len(again.search_id(1)) == 2
        with pytest.raises(ModelError, match=r"card\.json.*import it again"):
            again.search(picture(0))


# Another version


def test_another_version_of_a_model_is_refused_at_once_naming_both_and_both_remedies(tiny: Collection) -> None:
    registry.remove("tiny")
    save("tiny", source="hf:somebody/tiny@1a2b", version="2")
    present = encoders.card("tiny").fingerprint
    with pytest.raises(IncompatibleError) as raised:
        lookalike.open(tiny.folder)
    for said in (
        f"made by tiny (f32) {tiny.made_by.fingerprint[:8]} from 'timm:tiny in a box'",
        f"another version of it, tiny (f32) {present[:8]} from hf:somebody/tiny@1a2b",
        "lookalike models remove tiny, and import it: lookalike models import 'timm:tiny in a box' --name tiny",
        f"lookalike index '{tiny.folder}' --model tiny --precision f32 --reindex",
    ):
        assert said in str(raised.value)
    before = [match.key for match in tiny.search_id(1)]
    reindex(tiny.folder, device="cpu")
    with lookalike.open(tiny.folder) as again:
        assert (again.made_by.fingerprint, again.made_by.source) == (present, "hf:somebody/tiny@1a2b")
        assert [match.key for match in again.search_id(1)] == before


def test_a_model_that_was_exchanged_after_the_collection_was_opened_is_not_used(tiny: Collection) -> None:
    with lookalike.open(tiny.folder) as again:
        registry.remove("tiny")
        save("tiny", source="timm:tiny", version="2")
        with pytest.raises(IncompatibleError, match="another version of it"):
            again.search(picture(0))
        with pytest.raises(IncompatibleError, match="another version of it"):
            again.add(tiny.folder)
        assert len(again.search_id(1)) == 2


def test_another_version_of_the_bundled_network_came_with_another_lookalike(tmp_path: Path) -> None:
    photos = lookalike.create(tmp_path, directory=tmp_path / "c", model="efficientnet-lite0")
    path = photos.directory / "collection.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "0" * 32}))
    with pytest.raises(IncompatibleError) as raised:
        lookalike.open(tmp_path / "c")
    assert "install the version of Lookalike that it came with" in str(raised.value)
    command = f"lookalike index -c {tmp_path / 'c'} --model efficientnet-lite0 --precision int8 --reindex"
    assert str(raised.value).endswith(f"run: {command}")


def test_another_model_or_precision_says_how_to_change_to_it(tiny: Collection) -> None:
    place = f"'{tiny.folder}'"
    for options, told, command in (
        ({"precision": "bf16"}, "tiny (bf16)", f"{place} --model tiny --precision bf16 --reindex"),
        ({"model": "efficientnet-lite0"}, "efficientnet-lite0 (int8)", f"{place} --model efficientnet-lite0 --reindex"),
    ):
        with pytest.raises(IncompatibleError) as raised:
            lookalike.open(tiny.folder, **options)  # type: ignore[arg-type]
        assert f"made by tiny (f32) and cannot be compared with those of {told}." in str(raised.value)
        assert str(raised.value).endswith(f"run: lookalike index {command}")


@pytest.mark.parametrize("model", ["tiny", "efficientnet-lite0"])
@pytest.mark.parametrize(
    "stored", [("tiny", "f32"), ("tiny", "bf16"), ("efficientnet-lite0", "f32"), ("efficientnet-lite0", "int8")]
)
def test_the_options_that_are_told_name_what_is_wanted(tiny: Collection, model: str, stored: tuple[str, str]) -> None:
    """Also where what is wanted is what the model has unless another precision is asked for."""
    origin = Origin(manifest.of_model(*stored), tiny.folder)
    for precision in encoders.precisions(model):
        wanted = manifest.of_model(model, precision)
        given = dict(zip(("model", "precision"), manifest.options(origin, wanted).split()[1::2], strict=False))
        assert manifest.now(tiny.directory, origin, **given) == wanted
        usual = precision == encoders.precisions(model)[0]
        assert ("precision" in given) == (model == stored[0] or not usual)


def test_an_encoder_of_ones_own_is_not_a_model_of_the_same_name(tmp_path: Path) -> None:
    own = ColourEncoder()
    own.name = "tiny"
    lookalike.create(tmp_path, directory=tmp_path / "c", encoder=own)
    with pytest.raises(IncompatibleError, match="made by tiny, which is not to be had here; open it with that encoder"):
        lookalike.open(tmp_path / "c").embed(picture(0))
    with pytest.raises(IncompatibleError, match=r"made by tiny and cannot be compared with those of tiny \(f32\)"):
        lookalike.open(tmp_path / "c", model="tiny")
    assert lookalike.open(tmp_path / "c", encoder=own).embed(picture(0)).shape == (1, 25)


@pytest.mark.parametrize("facts", [{"data": "elsewhere"}, {"data": ["data.000001"]}, {"dim": -1}, {"dtype": "int8"}])
def test_a_description_of_something_else_is_damaged(tmp_path: Path, facts: dict[str, object]) -> None:
    manifest.write(tmp_path, Origin(MADE_BY, tmp_path.parent))
    path = tmp_path / "collection.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))
    with pytest.raises(CorruptError, match=r"collection\.json"):
        manifest.read(tmp_path)
