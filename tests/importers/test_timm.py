"""Models of timm, downloaded from a server on loopback, against timm itself."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.file_server import COMMIT, HUB, FileServer, hub_repository
from tests.support.optional_packages import needs

needs("torch", "torchvision", "timm", "safetensors")

from tests.support import torch_stubs

torch_stubs.declare()

import safetensors.torch
import timm
import torch
from timm.data import create_transform, resolve_data_config

from lookalike.encoders.card import Normalization
from lookalike.errors import MissingExtraError, ModelError, UsageError
from lookalike.images.decode import Preprocessing
from lookalike.importers import encoder_graph
from lookalike.importers import timm as from_timm
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
BRANCH_COMMIT = "f" * 40
# Small models in timm's list: one with weights on the hub, one with weights elsewhere only.
SMALL, ELSEWHERE = "resnet10t.c3_in1k", "legacy_seresnet18.in1k"


def built(name: str, seed: int = 0) -> torch.nn.Module:
    """A network with random weights, including its classifier."""
    torch.manual_seed(seed)
    with silenced():
        return randomized(timm.create_model(name))


def file_of(module: torch.nn.Module) -> bytes:
    file: bytes = safetensors.torch.save(module.state_dict())
    return file


def elsewhere(server: FileServer, patch: pytest.MonkeyPatch, file: bytes) -> str:
    """Serves the weights of `ELSEWHERE`, makes timm expect them there, and returns their path."""
    path = f"/github.com/weights/network-{hashlib.sha256(file).hexdigest()[:8]}.pth"
    server.files[path] = file
    patch.setattr(sys.modules["timm.models._registry"]._model_pretrained_cfgs[ELSEWHERE], "url", f"https:/{path}")
    assert timm.get_pretrained_cfg(ELSEWHERE).url == f"https:/{path}"
    return path


def fetched(name: str, **options: Any) -> ImportedNetwork:
    return from_timm.fetch(ImportRequest(name, ImportOptions(**options)))


def assert_agrees(network: ImportedNetwork, module: torch.nn.Module, paths: list[Path]) -> None:
    """Compares from the same pixels on, and from the same files on; test_torchvision.py tests the comparison itself."""
    pixels = prepared(network, paths)
    vectors = run(network, pixels)
    assert network.normalization
    assert least_centred_cosine(vectors, vectors_of(module, normalized(pixels, network.normalization))) >= 0.9999
    size = (3, network.preprocessing.size, network.preprocessing.size)
    transform = create_transform(**resolve_data_config({"input_size": size}, model=module))
    wanted = vectors_of(module, torch.stack([transform(image) for image in opened(paths)]))
    assert least_centred_cosine(vectors, wanted) >= 0.99


# Agreement with timm


def test_a_network_computes_what_timm_computes(server: FileServer, paths: list[Path]) -> None:
    """Without a tag it has timm's default weights, from the hub's present commit, and nothing else is requested."""
    module = built("resnet50")
    file = file_of(module)
    hub_repository(server, "timm/resnet50.a1_in1k", {"config.json": b"{}", "model.safetensors": file})
    network = fetched("resnet50")
    assert network.preprocessing == Preprocessing(224, 224 / 235, "bicubic", "crop")  # 224 / 0.95 is 235.8
    assert (network.source, network.normalization, network.output) == ("timm:resnet50.a1_in1k", IMAGENET, "before fc")
    assert network.sha256 == hashlib.sha256(file).hexdigest()
    assert (network.version, network.licence, network.layout) == (COMMIT, "apache-2.0", "NCHW")
    assert server.paths() == [
        f"{HUB}/api/models/timm/resnet50.a1_in1k/revision/main?blobs=true",
        f"{HUB}/timm/resnet50.a1_in1k/resolve/{COMMIT}/model.safetensors",
    ]
    module.reset_classifier(0)
    assert_agrees(network, module, paths)


def test_a_vision_transformer_can_have_another_size(server: FileServer, paths: list[Path]) -> None:
    """A DINOv2: its position embeddings are resized, its vector is the class token, and it has no classifier."""
    name = "vit_small_patch14_dinov2.lvd142m"
    module = built(name)
    hub_repository(server, f"timm/{name}", {"model.safetensors": file_of(module)})
    network = fetched(name, size=70)
    module.set_input_size(img_size=70)
    assert (network.preprocessing.size, network.preprocessing.crop, network.output) == (70, 1.0, "features")
    assert encoder_graph.build(network).dim == 384
    assert_agrees(network, module, paths)


def test_weights_that_are_not_on_the_hub_come_from_timms_address(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, paths: list[Path]
) -> None:
    module = built(ELSEWHERE)
    path = elsewhere(server, monkeypatch, torch_file({"state_dict": module.state_dict(), "epoch": 3}))
    network = fetched("legacy_seresnet18")
    assert (network.source, network.version, server.paths()) == (f"timm:{ELSEWHERE}", "", [path])
    module.reset_classifier(0)
    assert_agrees(network, module, paths)


@pytest.mark.parametrize(
    ("name", "fit"),
    [
        ("resnet50.a1_in1k", "crop"),
        ("tf_efficientnet_b3.ns_jft_in1k", "crop"),
        ("inception_v3.tf_in1k", "crop"),
        ("vit_base_patch16_clip_224.openai", "crop"),
        ("convnext_tiny.in12k_ft_in1k_384", "squash"),
        ("dm_nfnet_f0.dm_in1k", "squash"),
        ("volo_d4_448.sail_in1k", "crop"),
    ],
)
def test_images_are_prepared_as_timm_prepares_them(name: str, fit: str, paths: list[Path]) -> None:
    """Within 2 of 255 on average, as timm crops at whole pixels. Another crop differs more."""
    entry = from_timm._entry(name)
    preprocessing, normalization = from_timm._preparation(entry, ImportOptions())
    assert preprocessing.fit == fit
    assert normalization is not None
    config = resolve_data_config({}, pretrained_cfg=entry.config.to_dict())
    transform = create_transform(
        **config | {"crop_pct": min(config["crop_pct"], 1.0)}
    )  # above 1 it adds a black border
    wanted = np.stack([transform(image) for image in opened(paths)])
    assert distance(wanted, paths, preprocessing, normalization) < 2
    other = replace(preprocessing, crop=0.8 if preprocessing.crop > 0.95 else 1.0)
    assert distance(wanted, paths, other, normalization) > 2.5


def distance(wanted: Any, paths: list[Path], preprocessing: Preprocessing, normalization: Normalization) -> float:
    """The largest mean absolute difference, of 255, of an image and channel."""
    pixels = prepared(ImportedNetwork(None, "NCHW", preprocessing, normalization, "", "", "", ""), paths)
    off = np.abs(wanted - normalized(pixels, normalization).numpy()).mean(axis=(2, 3)) * np.array(normalization.std)
    return float(off.max())


# Downloads


def test_a_revision_can_be_chosen(server: FileServer) -> None:
    for seed, commit, revision in ((1, COMMIT, "main"), (2, BRANCH_COMMIT, "v2")):
        file = {"model.safetensors": file_of(built(SMALL, seed))}
        hub_repository(server, f"timm/{SMALL}", file, commit=commit, revision=revision)
    first, second = fetched(SMALL), fetched(SMALL, revision="v2")
    assert (first.version, second.version) == (COMMIT, BRANCH_COMMIT)
    assert first.sha256 != second.sha256


def test_progress_is_reported(server: FileServer) -> None:
    file = file_of(built(SMALL))
    hub_repository(server, f"timm/{SMALL}", {"model.safetensors": file, "pytorch_model.bin": b"not requested"})
    reported: list[ImportProgress] = []
    from_timm.fetch(ImportRequest(SMALL, progress=reported.append))
    stages = list(dict.fromkeys(progress.stage for progress in reported))
    assert stages == ["loading timm", "downloading model.safetensors", "converting"]
    assert ImportProgress(stages[1], len(file), len(file)) in reported


def test_options_override_what_timm_says(server: FileServer) -> None:
    hub_repository(server, f"timm/{SMALL}", {"model.safetensors": file_of(built(SMALL))})
    mean, std = (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)
    options = {"size": 96, "crop": 0.5, "resample": "nearest", "fit": "squash", "licence": "MIT", "channels": "BGR"}
    network = fetched(SMALL, mean=mean, std=std, **options)
    assert network.preprocessing == Preprocessing(96, 0.5, "nearest", "squash")
    assert (network.normalization, network.licence) == (Normalization(mean, std, "BGR"), "MIT")
    assert encoder_graph.build(network).dim == 512


# Refusals


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet51", "no model 'resnet51'; similar names are .*resnet50"),
        ("resnet51.a1_in1k", r"similar names are resnet50\.a1_in1k"),
        ("Inception_v3", "similar names are inception_v3"),
        ("hf-hub:timm/resnet50", "no model"),
        ("resnet10t.a1_in1k", r"no such weights; there are resnet10t\.c3_in1k"),
        ("coatnet_0_224", "no such weights; choose another model"),
    ],
)
def test_unknown_names_are_refused_with_similar_ones(name: str, message: str, server: FileServer) -> None:
    with pytest.raises(UsageError, match=message):
        fetched(name)
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (SMALL, {"output": "fc"}, "the option `output` does not apply here; leave it out"),
        (ELSEWHERE, {"revision": "main"}, "one version of its weights; leave out `revision`"),
        ("deepseek_vit_412m.deepseek_v4_1_flash", {"size": 224}, "borders.*give `fit`, crop or squash"),
        ("vit_base_patch16_sapiens2.fb", {}, "not square; give `size`"),
    ],
)
def test_impossible_options_are_refused_before_any_download(
    name: str, options: dict[str, Any], message: str, server: FileServer
) -> None:
    with pytest.raises(UsageError, match=rf"^timm:{name}: .*{message}"):
        fetched(name, **options)
    assert server.requests == []


def test_a_size_that_the_network_cannot_have_is_refused(server: FileServer) -> None:
    name = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    hub_repository(server, f"timm/{name}", {"model.safetensors": file_of(built(name))})
    with pytest.raises(UsageError, match=rf"^timm:{name}: it cannot be built for the size 5"):
        fetched(name, size=5)


def test_a_repository_without_weights_is_refused(server: FileServer) -> None:
    hub_repository(server, f"timm/{SMALL}", {"flax_model.msgpack": b"weights of another framework"})
    with pytest.raises(ModelError, match=r"has no model\.safetensors and no pytorch_model\.bin"):
        fetched(SMALL)


def test_code_instead_of_weights_is_refused_and_not_executed(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trap = torch_file(Trap(tmp_path / "trapped").state())
    elsewhere(server, monkeypatch, trap)
    hub_repository(server, f"timm/{SMALL}", {"pytorch_model.bin": trap})
    for name in (ELSEWHERE, SMALL):
        with pytest.raises(ModelError, match=rf"^timm:{name}: .* is damaged, or holds more than weights") as raised:
            fetched(name)
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("missing", ["layer4.0.conv2.weight", "fc.bias"])
def test_weights_that_lack_a_layer_are_refused(missing: str, server: FileServer) -> None:
    """Even if it is the classifier: the weights are another network's then."""
    state = built(SMALL).state_dict()
    del state[missing]
    hub_repository(server, f"timm/{SMALL}", {"model.safetensors": safetensors.torch.save(state)})
    with pytest.raises(ModelError, match=rf"^timm:{SMALL}: timm cannot load .*{missing}") as raised:
        fetched(SMALL)
    assert "\n" not in str(raised.value)


def test_without_timm_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r'pip install "lookalike\[torch\]"'):
        fetched(SMALL)
