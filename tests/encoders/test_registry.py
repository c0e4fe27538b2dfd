"""The registry of imported models: saved completely or not at all, verified when loaded, used by collections."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lookalike
from lookalike import encoders
from lookalike.encoders import registry
from lookalike.errors import Hint, IncompatibleError, ModelError, StorageError, UsageError
from lookalike.importers import ImportOptions
from tests.support.pictures import draw
from tests.support.tiny_models import DIM, SIZE, save

PIXELS = np.random.default_rng(1).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of imported models."""
    folder = tmp_path / "models"
    monkeypatch.setenv("LOOKALIKE_MODELS", str(folder))
    return folder


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def expected() -> NDArray[np.float32]:
    quarters = PIXELS.astype(np.float64).reshape(5, 2, SIZE // 2, 2, SIZE // 2, 3).mean(axis=(2, 4))
    return np.asarray(quarters.reshape(5, DIM) - 127, np.float32)


def test_a_saved_model_is_listed_and_encodes(models: Path) -> None:
    assert registry.names() == []
    save("tiny")
    assert registry.names() == ["tiny"]
    assert encoders.names() == ["efficientnet-lite0", "tiny"]
    assert sorted(path.name for path in (models / "tiny").iterdir()) == ["card.json", "model.bin", "model.xml"]
    encoder = encoders.load("tiny", threads=2)
    assert (encoder.name, encoder.dim, encoder.preprocessing.size) == ("tiny", DIM, SIZE)
    np.testing.assert_allclose(encoder.encode(PIXELS), expected(), atol=1e-3)


def test_a_card_is_read_as_it_was_saved() -> None:
    model = save("tiny", words={"red": 0})
    assert registry.read("tiny") == model
    assert encoders.card("tiny") == model.card
    assert encoders.card("tiny", precision="bf16").precision == "bf16"
    assert encoders.card("tiny", precision="bf16").fingerprint != encoders.card("tiny").fingerprint


def test_a_model_is_never_overwritten(models: Path) -> None:
    save("tiny")
    with pytest.raises(
        UsageError, match=r"a model 'tiny' already, from tiny\.xml; give the new one another name"
    ) as error:
        save("tiny")
    assert error.value.hints == (Hint("remove_model", {"name": "tiny"}),)
    assert visible(models) == ["tiny"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", ".hidden", "a b", "é", "-c"])
def test_a_name_that_cannot_be_a_directory_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a model's name"):
        save(name)
    assert not registry.has(name)


def test_a_removed_model_is_gone(models: Path) -> None:
    save("tiny")
    registry.remove("tiny")
    assert registry.names() == []
    assert visible(models) == []
    with pytest.raises(UsageError, match="no imported model 'tiny'"):
        registry.remove("tiny")


def test_a_failed_save_leaves_nothing_behind(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(StorageError, match="No space left"):
        save("tiny")
    assert registry.names() == []
    assert list(models.iterdir()) == []


def test_the_remains_of_an_interrupted_removal_are_ignored(models: Path) -> None:
    """A directory without a card is no model, and a new model of that name replaces it."""
    save("tiny")
    (models / "tiny" / "card.json").unlink()
    assert registry.names() == []
    save("tiny")
    assert registry.names() == ["tiny"]


@pytest.mark.parametrize("file", ["model.xml", "model.bin"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_a_damaged_file_is_refused_before_it_is_loaded(
    models: Path, file: str, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("tiny")
    path = models / "tiny" / file
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data if damage == "flipped" else data[:-1])
    monkeypatch.setattr("openvino.Core.read_model", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(ModelError, match=rf"{file}: this is not what was imported; to import it again: ") as error:
        encoders.load("tiny")
    assert error.value.hints == (Hint("import_model_again", {"source": "tiny.xml", "name": "tiny"}),)


@pytest.mark.parametrize("file", ["text.bin", "text.xml", "tokenizer.json"])
def test_a_text_encoder_is_verified_when_it_is_loaded(models: Path, file: str) -> None:
    save("tiny", words={"red": 0})
    (models / "tiny" / file).write_bytes(b"other")
    encoders.load("tiny")
    with pytest.raises(ModelError, match=f"{file}: this is not what was imported"):
        encoders.load_text("tiny")


def change(models: Path, **facts: object) -> None:
    """Replaces parts of the card of "tiny"."""
    card = models / "tiny" / "card.json"
    stored = json.loads(card.read_text())
    card.write_text(json.dumps(stored | facts))


@pytest.mark.parametrize(
    "facts", [{"card": {}}, {"card": None}, {"files": []}, {"format": "x"}, {"card": {"name": "tiny", "dim": "many"}}]
)
def test_a_damaged_card_is_a_model_error(models: Path, facts: dict[str, object]) -> None:
    save("tiny")
    change(models, **facts)
    with pytest.raises(ModelError, match=r"card\.json"):
        encoders.card("tiny")
    registry.remove("tiny")


def test_a_card_that_is_not_json_is_a_model_error(models: Path) -> None:
    save("tiny")
    (models / "tiny" / "card.json").write_text("{")
    with pytest.raises(ModelError, match="the card is damaged"):
        encoders.card("tiny")


def test_an_image_model_asked_for_text_names_those_that_take_it() -> None:
    """If there is none, the hint names one to import."""
    save("tiny")
    with pytest.raises(UsageError, match=r"tiny does not take text; to import a model: .*open_clip:ViT-B-32"):
        encoders.load_text("tiny")
    save("clip", words={"red": 0})
    with pytest.raises(UsageError, match=r"tiny does not take text; imported models that do: clip$"):
        encoders.load_text("tiny")


@pytest.mark.parametrize("file", ["model.xml", "model.bin"])
def test_a_file_without_a_checksum_is_refused(models: Path, file: str) -> None:
    save("tiny")
    stored = json.loads((models / "tiny" / "card.json").read_text())
    del stored["files"][file]
    change(models, files=stored["files"])
    with pytest.raises(ModelError, match=f"{file}: this is not what was imported"):
        encoders.load("tiny")


def test_foreign_folders_and_damaged_cards_do_no_harm(models: Path) -> None:
    save("tiny", words={"red": 0})
    (models / "My model").mkdir()
    (models / "My model" / "card.json").write_text("{}")
    (models / "torn").mkdir()
    (models / "torn" / "card.json").write_text("{")
    assert registry.names() == ["tiny", "torn"]
    message = r"efficientnet-lite0 does not take text; imported models that do: tiny$"
    with pytest.raises(UsageError, match=message):
        encoders.load_text("efficientnet-lite0")


# Collections


def test_a_collection_is_made_and_opened_with_an_imported_model(tmp_path: Path) -> None:
    save("tiny")
    for seed in range(6):
        draw(tmp_path / "photos" / f"{seed}.png", seed)
    with lookalike.create(tmp_path / "photos", model="tiny") as photos:
        photos.add(tmp_path / "photos")
    with lookalike.open(tmp_path / "photos") as photos:
        assert photos.search(tmp_path / "photos" / "3.png", k=1)[0].key == "3.png"
        assert photos.info().made_by.model == "tiny"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"model": "efficientnet-lite0"}, "efficientnet-lite0"),
        ({"precision": "bf16"}, r"tiny \(bf16\)"),
        ({"model": "other"}, r"other \(f32\)"),
    ],
)
def test_another_model_or_precision_is_refused_with_both_names(
    tmp_path: Path, options: dict[str, Any], named: str
) -> None:
    save("tiny")
    save("other")
    lookalike.create(tmp_path, directory=tmp_path / "c", model="tiny")
    with pytest.raises(IncompatibleError, match=rf"tiny \(f32\).*{named}.*lookalike\.reindex\("):
        lookalike.open(tmp_path / "c", **options)


def test_another_version_of_the_model_is_refused(tmp_path: Path) -> None:
    save("tiny", source="timm:tiny")
    lookalike.create(tmp_path, directory=tmp_path / "c", model="tiny")
    registry.remove("tiny")
    save("tiny", source="timm:tiny", version="2")
    with pytest.raises(IncompatibleError, match=r"another version of it.*lookalike\.reindex\("):
        lookalike.open(tmp_path / "c")


def test_a_missing_model_is_reported_with_its_source_when_it_is_needed(tmp_path: Path) -> None:
    save("tiny", source="timm:tiny")
    lookalike.create(tmp_path, directory=tmp_path / "c", model="tiny")
    registry.remove("tiny")
    collection = lookalike.open(tmp_path / "c")
    assert collection.info().images == 0
    with pytest.raises(IncompatibleError, match=r"tiny \(f32\)") as error:
        collection.search(PIXELS[0])
    assert Hint("import_model", {"source": "timm:tiny", "name": "tiny"}) in error.value.hints


def test_the_options_of_a_hint_are_those_of_an_import() -> None:
    """Each is parsed as it was written; the names are checked against those that an import has."""
    options = ImportOptions("v1", "pool", 8, 0.5, "bilinear", "crop", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "BGR", "MIT")
    command = shlex.join(["timm:vit", *options.as_arguments()])
    assert registry.import_hint(command, "vit").arguments["options"] == vars(options)


@pytest.mark.parametrize(
    "command",
    [
        "timm:vit --name other",
        "timm:vit --exec reboot",
        "timm:vit --size",
        "timm:vit --size " + "(" * 1000,
        "timm:vit --mean " + "-" * 1900 + "1",
        "timm:vit --size {[]:1}",
        "timm:vit 'open quote",
        "timm:vit " * 10_000,
    ],
)
def test_what_no_import_has_written_is_taken_as_a_source(command: str) -> None:
    """It comes back as one text, which is quoted where it is shown."""
    assert registry.import_hint(command, "vit").arguments == {"source": command, "name": "vit"}
