"""Cards and files of imported models that were damaged, or made to do harm: a ModelError, and the others are listed."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from lookalike import encoders
from lookalike.encoders import registry
from lookalike.errors import LookalikeError, ModelError
from tests.support.tiny_models import SIZE, save

HOSTILE = {
    "nothing": b"",
    "no JSON": b"\x89PNG\r\n",
    "no UTF-8": b'{"format": "\xff"}',
    "nested lists": b"[" * 100_000,
    "nested objects": b'{"card":' * 50_000,
    "a nested value": b'{"format": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "a list": b"[]",
    "a number": b"1",
    "a long number": b'{"format": ' + b"9" * 5_000 + b"}",
    "too long": b" " * (2**20 + 1) + b"{}",
}
# Values that no place of a card admits; some places admit text.
STRANGE: list[Any] = [None, [], {}, [[]], -1, 0, True, 1e999, float("nan"), 10**400, "x" * 20_000]
OUT_OF_RANGE: list[tuple[str, Any]] = [
    ("card.dim", 2**40),
    ("card.dim", 2.5),
    ("card.dim", "12"),
    ("card.recipe.size", 10**9),
    ("card.recipe.size", "16"),
    ("card.recipe.crop", 0),
    ("card.recipe.crop", 2),
    ("card.recipe.resample", "magic"),
    ("card.recipe.more", 1),
    ("card.scaling.mean", [1, 2]),
    ("card.scaling.mean", [1e999, 0, 0]),
    ("card.scaling.deviation", [1, 0, 1]),
    ("card.scaling.channels", "RGBA"),
    ("card.text.context", 10**9),
    ("card.text.unescapes", "yes"),
    ("files.model.xml", "abc"),
    ("files", {"../../secret": "0" * 64}),
    ("files", {"/etc/passwd": "0" * 64}),
    ("card.name", "other"),
    ("card.name", "tiny\x1b[31m"),
]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two imported models, "fine" and "tiny"; the card of "tiny" has every field."""
    folder = tmp_path / "models"
    monkeypatch.setenv("LOOKALIKE_MODELS", str(folder))
    save("fine")
    save("tiny", words={"red": 0})
    scaling = {"mean": [0.0, 0.0, 0.0], "deviation": [1.0, 1.0, 1.0], "channels": "RGB"}
    write(folder, "card.scaling", scaling)
    assert registry.read("tiny").card.normalization is not None
    return folder


def write(models: Path, place: str, value: object) -> None:
    """Replaces the value at a place of the card of "tiny", such as "card.recipe.size"."""
    path = models / "tiny" / "card.json"
    facts = json.loads(path.read_text())
    first, *rest = place.split(".", 1 if place.startswith("files") else -1)
    keys, there = [first, *rest], facts
    for key in keys[:-1]:
        there = there[key]
    there[keys[-1]] = value
    path.write_text(json.dumps(facts))


def places(facts: Any, prefix: str = "") -> list[str]:
    """Every place of a card, from the outermost."""
    if not isinstance(facts, dict):
        return []
    return [found for key, value in facts.items() for found in (prefix + key, *places(value, f"{prefix}{key}."))]


def assert_damaged(name: str = "tiny") -> None:
    with pytest.raises(ModelError, match=rf"{name}.*card\.json: ") as error:
        encoders.card(name)
    assert error.value.message.isprintable()
    assert error.value.hints[0].action == "import_model_again"
    assert encoders.names() == ["efficientnet-lite0", "fine", "tiny"]
    assert encoders.card("fine").name == "fine"


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_card_that_is_none_is_a_model_error(models: Path, content: bytes) -> None:
    (models / "tiny" / "card.json").write_bytes(content)
    assert_damaged()


@pytest.mark.parametrize(("place", "value"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_a_model_error(models: Path, place: str, value: object) -> None:
    write(models, place, value)
    assert_damaged()


def test_any_value_anywhere_on_a_card_is_a_card_or_a_model_error(models: Path) -> None:
    card = models / "tiny" / "card.json"
    whole = card.read_text()
    tried, refused = 0, []
    for place in places(json.loads(whole)):
        for value in STRANGE:
            write(models, place, value)
            tried += 1
            try:
                encoders.card("tiny").fingerprint  # noqa: B018 - it is computed of all fields
            except ModelError as error:
                refused.append(len(str(error)))
            card.write_text(whole)
    assert tried > 250
    assert len(refused) > tried * 0.8
    assert max(refused) < 1000


def test_every_value_of_a_card_of_another_type_is_a_model_error(models: Path) -> None:
    """JSON has seven types; null stands for a field that is left out, and a whole number for any number."""
    card = models / "tiny" / "card.json"
    whole = card.read_text()
    facts, optional = json.loads(whole), {"command", "output", "text", "scaling", "version"}
    checked = set()
    for place in places(facts):
        name = place.rpartition(".")[2]
        for value in (None, True, 7, 2.5, "text", ["text"], {"text": 1}):
            if is_of_type(value, value_at(facts, place)) or (value is None and name in optional):
                continue
            write(models, place, value)
            assert_damaged()
            checked.add(name)
            card.write_text(whole)
    assert checked >= {
        "format",
        "card",
        "files",
        "name",
        "dim",
        "recipe",
        "size",
        "crop",
        "mean",
        "channels",
        "context",
    }


def value_at(facts: Any, place: str) -> Any:
    """What is at a place of a card."""
    for key in place.split(".", 1 if place.startswith("files") else -1):
        facts = facts[key]
    return facts


def is_of_type(value: Any, other: Any) -> bool:
    """Whether two values are of one type of JSON's."""
    if isinstance(other, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(other)


def test_any_part_of_a_card_may_be_missing(models: Path) -> None:
    card = models / "tiny" / "card.json"
    whole = json.loads(card.read_text())
    may_be_missing = {"command", "output", "text", "scaling", "crop", "resample", "fit", "size"}
    for place in places(whole):
        keys = place.split(".", 1 if place.startswith("files") else -1)
        facts = there = json.loads(json.dumps(whole))
        for key in keys[:-1]:
            there = there[key]
        del there[keys[-1]]
        card.write_text(json.dumps(facts))
        if keys[-1] not in may_be_missing and keys[0] != "files":
            assert_damaged()
    assert may_be_missing < {place.rpartition(".")[2] for place in places(whole)} | {"fit"}


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def as_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def as_its_own_target(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


REPLACEMENTS = [as_pipe, as_folder, as_device, as_dangling_link, as_its_own_target]


@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_a_card_that_is_no_file_is_refused_without_waiting(models: Path, replace: Callable[[Path], None]) -> None:
    replace(models / "tiny" / "card.json")
    assert_damaged()
    registry.remove("tiny")
    assert registry.names() == ["fine"]


@pytest.mark.parametrize("replace", REPLACEMENTS)
@pytest.mark.parametrize("name", ["model.xml", "model.bin"])
def test_a_model_file_that_is_no_file_is_refused_without_waiting(
    models: Path, name: str, replace: Callable[[Path], None]
) -> None:
    replace(models / "tiny" / name)
    with pytest.raises(ModelError, match=rf"{name}: this is not what was imported"):
        encoders.load("tiny")


def test_removing_a_link_to_a_model_leaves_the_model(models: Path, tmp_path: Path) -> None:
    (models / "tiny").rename(tmp_path / "elsewhere")
    (models / "tiny").symlink_to(tmp_path / "elsewhere")
    assert encoders.card("tiny").name == "tiny"
    registry.remove("tiny")
    assert registry.names() == ["fine"]
    assert (tmp_path / "elsewhere" / "card.json").is_file()


def replace_graph(models: Path, graph: ov.Model) -> None:
    """Gives "tiny" another graph, with its SHA-256 on the card."""
    path = models / "tiny" / "model.xml"
    ov.save_model(graph, path, compress_to_fp16=False)
    for each in (path, path.with_suffix(".bin")):
        write(models, f"files.{each.name}", hashlib.sha256(each.read_bytes()).hexdigest())


def graph_of(shape: list[int]) -> ov.Model:
    """The graph from pixels, uint8 (1, 16, 16, 3), to as many of them as the shape has, float32."""
    pixels = op.parameter([-1, SIZE, SIZE, 3], np.uint8)
    some = op.slice(op.reshape(pixels, np.array([-1]), False), [0], [int(np.prod(shape))], [1])
    return ov.Model([op.reshape(op.convert(some, "f32"), np.array(shape), False)], [pixels], "strange")


@pytest.mark.parametrize("shape", [[1, 11], [1, 13], [12], [2, 12], [1, 12, 1]])
def test_a_graph_whose_vectors_the_card_does_not_describe_is_refused(models: Path, shape: list[int]) -> None:
    replace_graph(models, graph_of(shape))
    with pytest.raises(ModelError, match=r"graph turns .* but its card says \[16, 16, 3\] and 12 dimensions") as error:
        encoders.load("tiny")
    assert error.value.hints[0].action == "import_model_again"


def test_a_graph_for_other_images_than_the_card_says_is_refused(models: Path) -> None:
    write(models, "card.recipe.size", 32)
    with pytest.raises(ModelError, match=r"tiny: its graph turns \[\?,16,16,3\] into .* \[32, 32, 3\]"):
        encoders.load("tiny")


def test_a_graph_that_openvino_cannot_read_is_refused(models: Path) -> None:
    path = models / "tiny" / "model.xml"
    path.write_text("<net" * 1000)
    write(models, "files.model.xml", hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(LookalikeError, match=r"model\.xml: OpenVINO cannot read it"):
        encoders.load("tiny")
