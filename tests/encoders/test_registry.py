"""The folder of imported models: whole or not at all, and refused where a file is not the one that was imported."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lookalike
from lookalike import encoders
from lookalike.encoders import registry
from lookalike.encoders.card import Normalization
from lookalike.errors import IncompatibleError, ModelError, StorageError, UsageError
from tests.support.pictures import draw
from tests.support.tiny_models import DIM, SIZE, save

PIXELS = np.random.default_rng(1).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of models."""
    folder = tmp_path / "models"
    monkeypatch.setenv("LOOKALIKE_MODELS", str(folder))
    return folder


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def expected() -> NDArray[np.float32]:
    quarters = PIXELS.astype(np.float64).reshape(5, 2, SIZE // 2, 2, SIZE // 2, 3).mean(axis=(2, 4))
    return np.asarray(quarters.reshape(5, DIM) - 127, np.float32)


def test_a_model_that_was_saved_is_listed_and_encodes(models: Path) -> None:
    assert registry.names() == []
    save("tiny")
    assert registry.names() == ["tiny"]
    assert encoders.names() == ["efficientnet-lite0", "tiny"]
    assert sorted(path.name for path in (models / "tiny").iterdir()) == ["card.json", "model.bin", "model.xml"]
    encoder = encoders.load("tiny", threads=2)
    assert (encoder.name, encoder.dim, encoder.preprocessing.size) == ("tiny", DIM, SIZE)
    np.testing.assert_allclose(encoder.encode(PIXELS), expected(), atol=1e-3)


def test_a_card_comes_back_as_it_was_written() -> None:
    model = save("tiny", words={"red": 0})
    assert registry.read("tiny") == model
    assert encoders.card("tiny") == model.card
    assert encoders.card("tiny", precision="bf16").precision == "bf16"
    assert encoders.card("tiny", precision="bf16").fingerprint != encoders.card("tiny").fingerprint


def test_a_model_is_not_written_over(models: Path) -> None:
    save("tiny")
    with pytest.raises(UsageError, match=r"a model 'tiny' already, from tiny\.xml; take another --name, or remove"):
        save("tiny")
    assert visible(models) == ["tiny"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", ".hidden", "a b", "é", "-c"])
def test_what_cannot_be_a_folder_is_no_name(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a model's name"):
        save(name)
    assert not registry.has(name)


def test_a_model_that_is_removed_is_gone(models: Path) -> None:
    save("tiny")
    registry.remove("tiny")
    assert registry.names() == []
    assert visible(models) == []
    with pytest.raises(UsageError, match="no imported model 'tiny'"):
        registry.remove("tiny")


def test_nothing_is_left_of_a_model_that_could_not_be_written(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(StorageError, match="No space left"):
        save("tiny")
    assert registry.names() == []
    assert list(models.iterdir()) == []


def test_what_a_removal_that_was_cut_off_has_left_is_no_model_and_in_nobodys_way(models: Path) -> None:
    save("tiny")
    (models / "tiny" / "card.json").unlink()
    assert registry.names() == []
    save("tiny")
    assert registry.names() == ["tiny"]


@pytest.mark.parametrize("file", ["model.xml", "model.bin"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_a_file_that_is_not_the_imported_one_is_refused_before_it_is_loaded(
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
    remedy = r"lookalike models remove tiny, and then: lookalike models import tiny\.xml --name tiny"
    with pytest.raises(ModelError, match=rf"{file}: this is not what was imported; import it again: {remedy}"):
        encoders.load("tiny")


@pytest.mark.parametrize("file", ["text.bin", "text.xml", "tokenizer.json"])
def test_the_part_that_takes_words_is_checked_when_it_is_needed(models: Path, file: str) -> None:
    save("tiny", words={"red": 0})
    (models / "tiny" / file).write_bytes(b"other")
    encoders.load("tiny")
    with pytest.raises(ModelError, match=f"{file}: this is not what was imported"):
        encoders.load_text("tiny")


def change(models: Path, **facts: object) -> None:
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


def test_a_card_that_is_no_json_is_a_model_error(models: Path) -> None:
    save("tiny")
    (models / "tiny" / "card.json").write_text("{")
    with pytest.raises(ModelError, match="the card is damaged"):
        encoders.card("tiny")


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
def test_another_model_or_precision_is_refused_with_both_names_and_the_remedy(
    tmp_path: Path, options: dict[str, Any], named: str
) -> None:
    save("tiny")
    save("other")
    lookalike.create(tmp_path, directory=tmp_path / "c", model="tiny")
    with pytest.raises(IncompatibleError, match=rf"tiny \(f32\).*{named}.*--reindex"):
        lookalike.open(tmp_path / "c", **options)


def test_another_version_of_the_model_is_refused_with_the_remedy(tmp_path: Path) -> None:
    save("tiny", source="timm:tiny")
    lookalike.create(tmp_path, directory=tmp_path / "c", model="tiny")
    registry.remove("tiny")
    save("tiny", source="timm:tiny", version="2")
    with pytest.raises(IncompatibleError, match=r"another version of it.*--reindex"):
        lookalike.open(tmp_path / "c")


def test_a_model_that_is_not_here_is_named_with_where_it_came_from_once_it_is_needed(tmp_path: Path) -> None:
    save("tiny", source="timm:tiny")
    lookalike.create(tmp_path, directory=tmp_path / "c", model="tiny")
    registry.remove("tiny")
    collection = lookalike.open(tmp_path / "c")
    assert collection.info().images == 0
    with pytest.raises(IncompatibleError, match="lookalike models import timm:tiny --name tiny"):
        collection.search(PIXELS[0])


def test_a_model_that_knows_no_words_says_which_do(tmp_path: Path) -> None:
    save("tiny")
    with pytest.raises(UsageError, match=r"tiny knows no words.*open_clip:ViT-B-32"):
        encoders.load_text("tiny")
    save("wordy", words={"red": 0})
    with pytest.raises(UsageError, match="tiny knows no words; wordy can be searched by words"):
        encoders.load_text("tiny")


@pytest.mark.parametrize("file", ["model.xml", "model.bin"])
def test_a_file_that_the_card_does_not_name_is_refused(models: Path, file: str) -> None:
    save("tiny")
    stored = json.loads((models / "tiny" / "card.json").read_text())
    del stored["files"][file]
    change(models, files=stored["files"])
    with pytest.raises(ModelError, match=f"{file}: this is not what was imported"):
        encoders.load("tiny")


def test_a_folder_that_can_be_no_model_and_a_damaged_card_are_in_nobodys_way(models: Path) -> None:
    save("tiny", words={"red": 0})
    (models / "My model").mkdir()
    (models / "My model" / "card.json").write_text("{}")
    (models / "torn").mkdir()
    (models / "torn" / "card.json").write_text("{")
    assert registry.names() == ["tiny", "torn"]
    with pytest.raises(UsageError, match="efficientnet-lite0 knows no words; tiny can be searched by words"):
        encoders.load_text("efficientnet-lite0")


def test_the_fingerprint_is_of_what_makes_the_vectors_and_not_of_names() -> None:
    card = save("tiny", words={"red": 0}).card
    named = replace(card, name="other", source="hf:a/b", licence="MIT", version="f" * 40, command="hf:a/b")
    assert named.fingerprint == card.fingerprint
    assert card.text is not None
    others: list[dict[str, Any]] = [
        {"sha256": "1" * 64},
        {"dim": 13},
        {"preprocessing": replace(card.preprocessing, crop=0.5)},
        {"preprocessing": replace(card.preprocessing, fit="squash")},
        {"precision": "bf16"},
        {"revision": "2"},
        {"output": "other"},
        {"normalization": Normalization((1, 1, 1), (2, 2, 2))},
        {"text": replace(card.text, tokenizer="other")},
    ]
    fingerprints = {replace(card, **other).fingerprint for other in others}
    assert len(fingerprints | {card.fingerprint}) == len(others) + 1
