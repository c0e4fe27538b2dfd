"""Networks of torchvision, fetched from a server on loopback, against torchvision itself."""

import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.file_server import FileServer
from tests.support.optional_packages import needs

needs("torch", "torchvision")

from tests.support import torch_stubs

torch_stubs.declare()

import torch
from torchvision import models

from lookalike.encoders.card import Normalization
from lookalike.errors import MissingExtraError, ModelError, UsageError
from lookalike.images.decode import Preprocessing
from lookalike.importers import encoder_graph
from lookalike.importers import torchvision as from_torchvision
from lookalike.importers.base import ImportedNetwork, ImportOptions, ImportProgress, ImportRequest
from lookalike.importers.third_party import silenced
from tests.support.torch_networks import (
    Trap,
    least_centred_cosine,
    normalized,
    only_file_server,
    opened,
    photos,
    prepared,
    randomized,
    run,
    torch_file,
    vectors_of,
)

IMAGENET = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
ADDRESS = "/download.pytorch.org/models"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    with only_file_server(monkeypatch, tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(autouse=True)
def _nothing_is_said(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    assert capfd.readouterr() == ("", "")


class Published:
    """A network of random weights, put where torchvision looks for the trained ones, under a name that fits them.

    Attributes:
        weights: what torchvision says of them.
        sha256: of the file.
        path: where it is on the server.
    """

    def __init__(
        self,
        server: FileServer,
        patch: pytest.MonkeyPatch,
        name: str,
        state: dict[str, Any] | None = None,
        **built: Any,
    ) -> None:
        self.weights = models.get_model_weights(name).DEFAULT
        torch.manual_seed(0)
        with silenced():
            self.module = randomized(models.get_model(name, weights=None, **built))
        self.put(server, patch, torch_file(state or self.module.state_dict()))

    def put(self, server: FileServer, patch: pytest.MonkeyPatch, file: bytes) -> None:
        self.sha256 = hashlib.sha256(file).hexdigest()
        self.path = f"{ADDRESS}/network-{self.sha256[:8]}.pth"
        server.files[self.path] = file
        patch.setattr(self.weights.value, "url", f"https:/{self.path}")

    def cut(self, layer: str) -> torch.nn.Module:
        """The module without that layer, which is its last."""
        parent, _, name = layer.rpartition(".")
        setattr(self.module.get_submodule(parent), name, torch.nn.Identity())
        return self.module


def fetched(name: str, **options: Any) -> ImportedNetwork:
    return from_torchvision.fetch(ImportRequest(name, ImportOptions(**options)))


# Agreement

SCALED_BY_ITSELF = {"transform_input": True, "init_weights": False}


@pytest.mark.parametrize(
    ("name", "layer", "built", "size", "scaled"),
    [
        ("squeezenet1_1", "classifier.1", {}, 224, 256),
        ("inception_v3", "fc", SCALED_BY_ITSELF, 299, 342),
        ("vgg16", "classifier.6", {}, 224, 256),
    ],
)
def test_a_network_computes_what_it_computes_in_torchvision(
    name: str,
    layer: str,
    built: dict[str, Any],
    size: int,
    scaled: int,
    server: FileServer,
    monkeypatch: pytest.MonkeyPatch,
    paths: list[Path],
) -> None:
    """From the same pixels, and from the same files on; and nothing else is asked of anybody."""
    published = Published(server, monkeypatch, name, **built)
    network = fetched(name)
    assert (network.preprocessing, network.normalization) == (
        Preprocessing(size, size / scaled, "bilinear", "crop"),
        IMAGENET,
    )
    assert (network.source, network.output) == (f"torchvision:{name}/IMAGENET1K_V1", f"before {layer}")
    assert (network.sha256, network.licence, network.version) == (published.sha256, "BSD-3-Clause", "")
    assert server.paths() == [published.path]
    assert "get_state_dict" not in vars(type(published.weights))  # torchvision is as it was

    module, transform = published.cut(layer), published.weights.transforms()
    pixels = prepared(network, paths)
    assert least_centred_cosine(run(network, pixels), vectors_of(module, normalized(pixels, IMAGENET))) >= 0.9999
    wanted = vectors_of(module, torch.stack([transform(picture) for picture in opened(paths)]))
    assert least_centred_cosine(run(network, pixels), wanted) >= 0.99


def test_these_comparisons_see_each_mistake(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, paths: list[Path]
) -> None:
    """Another order of channels, no mean, another deviation, another part of the picture, another form of it."""
    published = Published(server, monkeypatch, "squeezenet1_1")
    transform = published.weights.transforms()
    network = fetched("squeezenet1_1")
    pictures = torch.stack([transform(picture) for picture in opened(paths)])
    wanted = vectors_of(published.cut("classifier.1"), pictures)
    normalization = network.normalization
    assert normalization
    mistakes = [
        replace(network, normalization=replace(normalization, channels="BGR")),
        replace(network, normalization=replace(normalization, mean=(0.0, 0.0, 0.0))),
        replace(network, normalization=replace(normalization, std=(255.0, 255.0, 255.0))),
        replace(network, preprocessing=replace(network.preprocessing, crop=1.0)),
        replace(network, preprocessing=replace(network.preprocessing, fit="squash")),
    ]
    likenesses = [least_centred_cosine(run(mistaken, prepared(mistaken, paths)), wanted) for mistaken in mistakes]
    assert least_centred_cosine(run(network, prepared(network, paths)), wanted) >= 0.99
    assert max(likenesses) < 0.98, likenesses


def test_layers_that_older_files_name_otherwise_are_found(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in those of DenseNets, which are older than torchvision's present names."""
    published = Published(server, monkeypatch, "densenet121")
    older = {
        re.sub(r"(denselayer\d+\.(?:norm|relu|conv))(?=[12])", r"\1.", name): value
        for name, value in published.module.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in older
    file = tmp_path / "densenet.pth"
    file.write_bytes(torch_file(older))
    with silenced():
        module = from_torchvision._load("densenet121", published.weights, file, "torchvision:densenet121")
    for name, value in published.module.named_parameters():
        assert torch.equal(value, module.get_parameter(name))


# What is fetched


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("resnet50", "resnet50-11ad3fa6.pth"),
        ("resnet50/DEFAULT", "resnet50-11ad3fa6.pth"),
        ("resnet50/IMAGENET1K_V1", "resnet50-0676ba61.pth"),
        ("vgg16", "vgg16-397923af.pth"),
    ],
)
def test_the_weights_that_are_named_are_fetched_and_otherwise_the_default_ones(
    name: str, file: str, server: FileServer
) -> None:
    with pytest.raises(ModelError, match=file):  # which the server does not have
        fetched(name)
    assert server.paths() == [f"{ADDRESS}/{file}"]


def test_how_far_it_is_is_told(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    published = Published(server, monkeypatch, "squeezenet1_1")
    told: list[ImportProgress] = []
    from_torchvision.fetch(ImportRequest("squeezenet1_1", progress=told.append))
    size = len(server.files[published.path])
    stages = list(dict.fromkeys(progress.stage for progress in told))
    assert stages == ["loading torchvision", f"downloading {Path(published.path).name}", "converting"]
    assert ImportProgress(stages[1], size, size) in told


def test_wishes_come_first(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    Published(server, monkeypatch, "squeezenet1_1")
    numbers = (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)
    options = {"size": 96, "crop": 0.5, "resample": "bicubic", "fit": "squash", "licence": "MIT", "channels": "BGR"}
    network = fetched("squeezenet1_1", mean=numbers[0], std=numbers[1], **options)
    assert network.preprocessing == Preprocessing(96, 0.5, "bicubic", "squash")
    assert (network.normalization, network.licence) == (Normalization(*numbers, channels="BGR"), "MIT")
    assert encoder_graph.build(network).dim == 512


# What is refused


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet51", "no such classifier; there are resnet50"),
        ("ResNet50", "there are .*resnet50"),
        ("fasterrcnn_resnet50_fpn", "no such classifier"),
        ("resnet50/IMAGENET", "no such weights; there are IMAGENET1K_V1, IMAGENET1K_V2"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(name: str, message: str, server: FileServer) -> None:
    with pytest.raises(UsageError, match=message):
        fetched(name)
    assert server.requests == []


@pytest.mark.parametrize("wish", [{"output": "fc"}, {"revision": "main"}])
def test_wishes_that_cannot_be_met_are_refused(wish: dict[str, str], server: FileServer) -> None:
    with pytest.raises(UsageError, match=f"torchvision:resnet18/IMAGENET1K_V1: .*{next(iter(wish))}"):
        fetched("resnet18", **wish)
    assert server.requests == []


def test_a_file_that_is_not_what_its_name_says_is_refused(server: FileServer) -> None:
    server.files[f"{ADDRESS}/resnet18-f37072fd.pth"] = torch_file({"fc.weight": torch.zeros(2, 2)})
    with pytest.raises(ModelError, match=r"expected.*f37072fd"):
        fetched("resnet18")


def test_code_in_place_of_weights_is_refused_and_not_run(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    published = Published(server, monkeypatch, "squeezenet1_1", state=Trap(tmp_path / "trapped").state())
    with pytest.raises(
        ModelError, match=rf"{Path(published.path).name} is damaged, or holds more than weights"
    ) as raised:
        fetched("squeezenet1_1")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "trapped").exists()


def test_weights_of_another_network_are_refused(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    Published(server, monkeypatch, "squeezenet1_1", state={"classifier.1.weight": torch.zeros(1000, 512, 1, 1)})
    with pytest.raises(ModelError, match="torchvision:squeezenet1_1/IMAGENET1K_V1: torchvision cannot load") as raised:
        fetched("squeezenet1_1")
    assert "\n" not in str(raised.value)


def test_without_torchvision_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(MissingExtraError, match=r'pip install "lookalike\[torch\]"'):
        fetched("resnet18")
