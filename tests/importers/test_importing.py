"""Importing a model: its name, its card, and the options that override what the source publishes."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from lookalike import encoders, importers
from lookalike.cli.models import models as commands
from lookalike.encoders.card import Normalization
from lookalike.errors import StorageError, UsageError
from lookalike.images.decode import Preprocessing
from lookalike.importers import ImportOptions
from tests.support import tiny_models


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("timm:resnet50.a1_in1k", "resnet50.a1_in1k"),
        ("torchvision:resnet50/IMAGENET1K_V2", "resnet50-imagenet1k_v2"),
        ("keras:InceptionV3", "inceptionv3"),
        ("open_clip:ViT-B-32/laion2b_s34b_b79k", "vit-b-32-laion2b_s34b_b79k"),
        ("hf:Xenova/clip-vit-base-patch32@main", "clip-vit-base-patch32"),
        ("folder/My Network.onnx", "my-network"),
        ("folder/saved_model/", "saved_model"),
    ],
)
def test_default_name_is_the_sources_name_in_lower_case(source: str, name: str) -> None:
    assert importers.default_name(source) == name


def saved(home: Path, *, floats: bool) -> Path:
    """Saves a network of uint8 pixels (the mean colours of a 2 x 2 grid) or of normalized ones (the mean colour)."""
    if not floats:
        ov.save_model(tiny_models.colours(), home / "net.xml", compress_to_fp16=False)
        return home / "net.xml"
    pixels = op.parameter([1, 8, 8, 3], np.float32, name="pixels")
    ov.save_model(
        ov.Model([op.reduce_mean(pixels, np.array([1, 2]))], [pixels]), home / "net.xml", compress_to_fp16=False
    )
    return home / "net.xml"


def test_the_card_keeps_a_command_that_imports_the_same_model_again(home: Path) -> None:
    saved(home, floats=True)
    options = ImportOptions(mean=(10.0, 20.0, 30.0), std=(2.0, 2.0, 2.0), channels="BGR", crop=1.0, licence="MIT")
    card = importers.import_model("net.xml", name="one", options=options).card
    assert card.command is not None
    arguments = [*shlex.split(card.command), "--name", "two"]
    commands.main(["import", *arguments], standalone_mode=False)
    assert encoders.card("two").fingerprint == card.fingerprint
    assert encoders.card("two").licence == "MIT"


def test_the_fingerprint_does_not_depend_on_name_and_licence(home: Path) -> None:
    saved(home, floats=False)
    one = importers.import_model("net.xml", name="one").card
    two = importers.import_model("net.xml", name="two", options=ImportOptions(licence="MIT")).card
    assert one.fingerprint == two.fingerprint


def test_mean_and_std_are_in_channel_order(home: Path) -> None:
    saved(home, floats=True)
    options = ImportOptions(mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 4.0), channels="BGR")
    importers.import_model("net.xml", name="one", options=options)
    pixels = np.full((1, 8, 8, 3), (50, 60, 70), np.uint8)
    expected = [(70 - 10) / 1, (60 - 20) / 2, (50 - 30) / 4]
    np.testing.assert_allclose(encoders.load("one").encode(pixels), [expected], rtol=1e-5)


def test_another_channel_order_reverses_the_published_mean_and_std() -> None:
    published = Normalization((1, 2, 3), (4, 5, 6))
    assert ImportOptions(channels="BGR").normalization(published) == Normalization((3, 2, 1), (6, 5, 4), "BGR")
    assert ImportOptions(channels="RGB").normalization(published) == published
    assert ImportOptions(channels="BGR", mean=(7, 8, 9)).normalization(published) == Normalization(
        (7, 8, 9), (6, 5, 4), "BGR"
    )
    assert ImportOptions().normalization(None) is None


def test_options_override_preprocessing_or_are_rejected() -> None:
    assert ImportOptions(size=96, fit="squash").preprocessing(Preprocessing(224, 0.9)) == Preprocessing(
        96, 0.9, fit="squash"
    )
    with pytest.raises(UsageError, match="timm:x: the option `output` does not apply here; leave it out"):
        ImportOptions(output="fc").reject("timm:x", "revision", "output")


def test_a_graph_that_cannot_be_written_is_a_storage_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(home, floats=False)
    save: Callable[..., Any] = ov.save_model

    def fails(graph: ov.Model, path: Path, **options: Any) -> None:
        if "models" in str(path):
            raise RuntimeError("basic_ios::clear: iostream error")
        save(graph, path, **options)

    monkeypatch.setattr(ov, "save_model", fails)
    with pytest.raises(StorageError, match="is the disk full"):
        importers.import_model("net.xml")
    assert encoders.names() == ["efficientnet-lite0"]
