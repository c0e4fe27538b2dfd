"""Classifiers of torchvision, downloaded from a server on loopback, against torchvision itself."""

import hashlib
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

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
    opened,
    prepared,
    randomized,
    run,
    torch_file,
    vectors_of,
)

pytestmark = pytest.mark.usefixtures("no_output")
IMAGENET = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
ADDRESS = "/download.pytorch.org/models"


class Published:
    """A network of random weights, served where torchvision looks for the trained ones, under a name with its digest.

    Attributes:
        weights: torchvision's entry for them.
        sha256: of the file.
        path: of the file on the server.
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
        """The module without its last layer."""
        parent, _, name = layer.rpartition(".")
        setattr(self.module.get_submodule(parent), name, torch.nn.Identity())
        return self.module


def fetched(name: str, **options: Any) -> ImportedNetwork:
    return from_torchvision.fetch(ImportRequest(name, ImportOptions(**options)))


# Agreement with torchvision


class Classifier(NamedTuple):
    """A classifier, its last layer, the preprocessing that torchvision documents, and arguments of its constructor."""

    name: str
    layer: str
    size: int
    scaled: int
    arguments: Mapping[str, Any] = MappingProxyType({})


@pytest.mark.parametrize(
    "classifier",
    [
        Classifier("squeezenet1_1", "classifier.1", 224, 256),
        Classifier("inception_v3", "fc", 299, 342, {"transform_input": True, "init_weights": False}),
        Classifier("alexnet", "classifier.6", 224, 256),
    ],
    ids=lambda classifier: classifier.name,
)
def test_a_network_computes_what_torchvision_computes(
    classifier: Classifier, server: FileServer, monkeypatch: pytest.MonkeyPatch, paths: list[Path]
) -> None:
    """From the same pixels on, and from the same files on; and nothing else is requested."""
    name, layer, size, scaled, arguments = classifier
    published = Published(server, monkeypatch, name, **arguments)
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
    wanted = vectors_of(module, torch.stack([transform(image) for image in opened(paths)]))
    assert least_centred_cosine(run(network, pixels), wanted) >= 0.99


def test_the_comparison_detects_every_mistake(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, paths: list[Path]
) -> None:
    """Another channel order, no mean, another std, another crop, another fit."""
    published = Published(server, monkeypatch, "squeezenet1_1")
    transform = published.weights.transforms()
    network = fetched("squeezenet1_1")
    images = torch.stack([transform(image) for image in opened(paths)])
    wanted = vectors_of(published.cut("classifier.1"), images)
    normalization = network.normalization
    assert normalization
    mistakes = [
        replace(network, normalization=replace(normalization, channels="BGR")),
        replace(network, normalization=replace(normalization, mean=(0.0, 0.0, 0.0))),
        replace(network, normalization=replace(normalization, std=(255.0, 255.0, 255.0))),
        replace(network, preprocessing=replace(network.preprocessing, crop=1.0)),
        replace(network, preprocessing=replace(network.preprocessing, fit="squash")),
    ]
    cosines = [least_centred_cosine(run(mistaken, prepared(mistaken, paths)), wanted) for mistaken in mistakes]
    assert least_centred_cosine(run(network, prepared(network, paths)), wanted) >= 0.99
    assert max(cosines) < 0.98, cosines


def test_older_names_of_layers_are_translated(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in the files of DenseNets, which are older than torchvision's present names."""
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


# Downloads


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("resnet50", "resnet50-11ad3fa6.pth"),
        ("resnet50/DEFAULT", "resnet50-11ad3fa6.pth"),
        ("resnet50/IMAGENET1K_V1", "resnet50-0676ba61.pth"),
        ("vgg16", "vgg16-397923af.pth"),
    ],
)
def test_the_named_weights_are_downloaded_or_else_the_default_ones(name: str, file: str, server: FileServer) -> None:
    with pytest.raises(ModelError, match=file):  # the server does not have it
        fetched(name)
    assert server.paths() == [f"{ADDRESS}/{file}"]


def test_progress_is_reported(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    published = Published(server, monkeypatch, "squeezenet1_1")
    reported: list[ImportProgress] = []
    from_torchvision.fetch(ImportRequest("squeezenet1_1", progress=reported.append))
    size = len(server.files[published.path])
    stages = list(dict.fromkeys(progress.stage for progress in reported))
    assert stages == ["loading torchvision", f"downloading {Path(published.path).name}", "converting"]
    assert ImportProgress(stages[1], size, size) in reported


def test_options_override_what_torchvision_says(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    Published(server, monkeypatch, "squeezenet1_1")
    mean, std = (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)
    options = {"size": 96, "crop": 0.5, "resample": "bicubic", "fit": "squash", "licence": "MIT", "channels": "BGR"}
    network = fetched("squeezenet1_1", mean=mean, std=std, **options)
    assert network.preprocessing == Preprocessing(96, 0.5, "bicubic", "squash")
    assert (network.normalization, network.licence) == (Normalization(mean, std, "BGR"), "MIT")
    assert encoder_graph.build(network).dim == 512


# Refusals


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet51", "no such classifier; there are resnet50"),
        ("ResNet50", "there are .*resnet50"),
        ("fasterrcnn_resnet50_fpn", "no such classifier"),
        ("resnet50/IMAGENET", "no such weights; there are IMAGENET1K_V1, IMAGENET1K_V2"),
    ],
)
def test_unknown_names_are_refused_with_known_ones(name: str, message: str, server: FileServer) -> None:
    with pytest.raises(UsageError, match=message):
        fetched(name)
    assert server.requests == []


@pytest.mark.parametrize("option", [{"output": "fc"}, {"revision": "main"}])
def test_options_that_do_not_apply_are_refused(option: dict[str, str], server: FileServer) -> None:
    with pytest.raises(UsageError, match=f"torchvision:resnet18/IMAGENET1K_V1: .*{next(iter(option))}"):
        fetched("resnet18", **option)
    assert server.requests == []


def test_a_file_without_the_digest_in_its_name_is_refused(server: FileServer) -> None:
    server.files[f"{ADDRESS}/resnet18-f37072fd.pth"] = torch_file({"fc.weight": torch.zeros(2, 2)})
    with pytest.raises(ModelError, match=r"expected.*f37072fd"):
        fetched("resnet18")


def test_code_instead_of_weights_is_refused_and_not_executed(
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


def test_without_torchvision_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(MissingExtraError, match=r'pip install "lookalike\[torch\]"'):
        fetched("resnet18")
