"""Image and text encoders of OpenCLIP, downloaded from a hub on loopback, against OpenCLIP itself."""

import hashlib
import io
import os
import pickle
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike import demo, encoders, importers
from lookalike.errors import MissingExtraError, ModelError, UsageError
from lookalike.images.decode import Preprocessing, prepare
from lookalike.importers import open_clip as from_open_clip
from lookalike.importers import tokenizer_export
from lookalike.importers.base import ImportedNetwork, ImportOptions, ImportProgress, ImportRequest
from lookalike.importers.third_party import silenced
from tests.support.file_server import COMMIT, HUB, FileServer, hub_repository
from tests.support.optional_packages import needs
from tests.support.torch_stubs import declare

needs("torch", "torchvision", "timm", "open_clip", "safetensors", "tokenizers")
declare()
with silenced():
    import open_clip
    import safetensors.torch
    import tokenizers
    import torch

from tests.support.open_clip_networks import (
    CONFIGS,
    OTHER,
    PICKLED,
    REPOSITORY,
    SAFE,
    TEXT,
    VIT,
    WEIGHTS,
    assert_different,
    assert_same,
    network,
    openclip_vectors,
    pixels,
    publish,
    unit,
    vectors_of,
)

SENTENCES = [
    "a photo of a cat",
    "Two RED bicycles!",
    "the sea at night",
    "“Ça va?” naïve café",
    "one two " * 60,
    "猫 😀",
]


@pytest.fixture(autouse=True)
def _listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds the networks to OpenCLIP's list, each with the tags "plain" and "other"."""
    for name, config in CONFIGS.items():
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, config)
        tags = {"plain": WEIGHTS, "other": WEIGHTS | OTHER | {"quick_gelu": True}}
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, name, tags)


@pytest.fixture(autouse=True)
def _converted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Converts the tokenizer that these networks share once per context, as its conversion is the slowest part."""
    convert, known = tokenizer_export.to_tokenizer_json, _CONVERTED

    def convert_once(tokenizer: Any, name: str) -> str:
        kind = type(tokenizer).__name__, tokenizer.context_length
        if kind not in known or kind[0] != "SimpleTokenizer":
            known[kind] = convert(tokenizer, name)
        return known[kind]

    monkeypatch.setattr(tokenizer_export, "to_tokenizer_json", convert_once)


_CONVERTED: dict[tuple[str, int], str] = {}


@pytest.fixture
def _unconverted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips the conversion of graphs, which is slow, for tests of everything else."""
    graph = SimpleNamespace(reshape=lambda shape: None)
    monkeypatch.setattr(from_open_clip, "to_openvino", lambda module, example: graph)


def fetch(name: str, **options: Any) -> ImportedNetwork:
    return from_open_clip.fetch(ImportRequest(name, ImportOptions(**options)))


# Agreement with OpenCLIP


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-resnet", "tiny-timm"])
def test_images_and_text_get_the_vectors_of_openclip(server: FileServer, name: str) -> None:
    model = network(name)
    publish(server, model)
    made = fetch(f"{name}/plain")
    expected = openclip_vectors(model, pixels())
    assert_same(vectors_of(made.graph, pixels()), expected)
    assert_different(vectors_of(made.graph, pixels()[::-1]), expected)
    assert made.text_tower
    ids = open_clip.get_tokenizer(name)(SENTENCES).numpy()
    assert made.text_tower.context == ids.shape[1] == (16 if name == "tiny-timm" else 77)
    assert_same(vectors_of(made.text_tower.graph, ids), openclip_vectors(model, ids))
    assert_different(vectors_of(made.text_tower.graph, ids[::-1]), openclip_vectors(model, ids))


def test_an_imported_model_agrees_from_files_and_texts_on(server: FileServer) -> None:
    """Compares with OpenCLIP's own transform of JPEG files, and with its own tokenizer."""
    model = network("tiny-vit", force_preprocess_cfg={name: WEIGHTS[name] for name in OTHER})
    publish(server, model)
    imported = importers.import_model("open_clip:tiny-vit/plain", name="clip")
    assert imported.card.source == "open_clip:tiny-vit/plain"
    files = []
    for seed, kind in enumerate(demo.KINDS):
        file = io.BytesIO()
        demo.draw(kind, np.random.default_rng(seed)).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    encoder = encoders.load("clip")
    found = encoder.encode(np.stack([prepare(file, encoder.preprocessing).pixels for file in files]))
    settings = open_clip.transform.PreprocessCfg(**model.visual.preprocess_cfg)
    transform = open_clip.transform.image_transform_v2(settings, is_train=False)
    transformed = np.stack([transform(Image.open(io.BytesIO(file))).numpy() for file in files])
    expected = openclip_vectors(model, transformed)
    assert (unit(found) * unit(expected)).sum(axis=1).min() >= 0.99
    centred = [unit(vectors - vectors.mean(axis=0)) for vectors in (unit(found), unit(expected))]
    cosines = centred[0] @ centred[1].T
    assert cosines.diagonal().min() >= 0.97
    assert (cosines.argmax(axis=1) == np.arange(len(files))).all()
    text_vectors = encoders.load_text("clip").encode_text(SENTENCES)
    assert_same(text_vectors, openclip_vectors(model, open_clip.get_tokenizer("tiny-vit")(SENTENCES).numpy()))


def test_the_activation_is_the_one_of_the_weights_training(server: FileServer) -> None:
    plain = network("tiny-vit")
    quick = network("tiny-vit", force_quick_gelu=True)
    publish(server, plain)
    made = fetch("tiny-vit/other")
    assert_same(vectors_of(made.graph, pixels()), openclip_vectors(quick, pixels()))
    assert_different(vectors_of(made.graph, pixels()), openclip_vectors(plain, pixels()))


def test_another_size_resizes_position_embeddings_as_openclip_does(server: FileServer) -> None:
    model = network("tiny-vit")
    publish(server, model)
    made = fetch("tiny-vit/plain", size=96)
    assert made.preprocessing.size == 96
    with silenced():
        file = Path(os.environ["LOOKALIKE_MODELS"]) / SAFE
        safetensors.torch.save_file(model.state_dict(), file)
        larger = open_clip.create_model("tiny-vit", pretrained=str(file), force_image_size=96).eval()
    assert_same(vectors_of(made.graph, pixels(96)), openclip_vectors(larger, pixels(96)))


# Preprocessing, source and progress


@pytest.mark.usefixtures("_unconverted")
def test_preprocessing_is_that_of_the_weights_in_the_list(server: FileServer) -> None:
    publish(server, network("tiniest"))
    plain, other = fetch("tiniest/plain"), fetch("tiniest/other")
    assert plain.preprocessing == Preprocessing(size=64, crop=1.0, resample="bicubic", fit="crop")
    assert other.preprocessing == Preprocessing(size=64, crop=1.0, resample="bilinear", fit="squash")
    assert plain.normalization
    assert other.normalization
    assert plain.normalization.mean == pytest.approx((122.4, 117.3, 104.55))
    assert plain.normalization.std == pytest.approx((68.85, 66.3, 71.4))
    assert (other.normalization.mean, other.normalization.std) == ((127.5,) * 3, (127.5,) * 3)
    assert plain.normalization.channels == "RGB"


@pytest.mark.usefixtures("_unconverted")
def test_options_override_what_openclip_says(server: FileServer) -> None:
    publish(server, network("tiniest"))
    made = fetch(
        "tiniest/plain",
        crop=0.9,
        resample="lanczos",
        fit="squash",
        mean=(1, 2, 3),
        std=(4, 5, 6),
        channels="BGR",
        licence="other",
    )
    assert made.preprocessing == Preprocessing(size=64, crop=0.9, resample="lanczos", fit="squash")
    assert made.normalization
    assert (made.normalization.mean, made.normalization.std, made.normalization.channels) == (
        (1, 2, 3),
        (4, 5, 6),
        "BGR",
    )
    assert made.licence == "other"


def test_source_and_progress_are_reported(server: FileServer) -> None:
    publish(server, network("tiniest"))
    stages: list[ImportProgress] = []
    made = from_open_clip.fetch(ImportRequest("tiniest/PLAIN", progress=stages.append))
    assert (made.source, made.licence, made.version) == ("open_clip:tiniest/plain", "mit", COMMIT)
    assert (made.layout, made.output) == ("NCHW", "encode_image")
    data = server.files[f"{HUB}/{REPOSITORY}/resolve/{COMMIT}/{SAFE}"]
    assert made.sha256 == hashlib.sha256(data).hexdigest()
    assert list(dict.fromkeys(stage.stage for stage in stages)) == [
        "preparing the tokenizer",
        f"downloading {SAFE}",
        "building the network",
        "converting the image tower",
        "converting the text tower",
    ]


def test_an_import_prints_nothing_and_restores_torch_settings(
    server: FileServer, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(server, network("tiniest"))
    before = torch.backends.mha.get_fastpath_enabled(), torch.is_grad_enabled()
    fetch("tiniest/plain")
    assert capfd.readouterr() == ("", "")
    assert (torch.backends.mha.get_fastpath_enabled(), torch.is_grad_enabled()) == before


@pytest.mark.usefixtures("_unconverted")
def test_a_revision_can_be_chosen(server: FileServer) -> None:
    data = safetensors.torch.save(network("tiniest").state_dict())
    hub_repository(server, REPOSITORY, {SAFE: data}, commit="f" * 40, revision="v2")
    assert fetch("tiniest/plain", revision="v2").version == "f" * 40


# Files of weights


class Destructive:
    """An object whose pickle creates a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_pickled_weights_are_accepted_if_there_are_no_others(server: FileServer) -> None:
    model = network("tiniest")
    publish(server, model, PICKLED)
    assert_same(vectors_of(fetch("tiniest/plain").graph, pixels()), openclip_vectors(model, pixels()))


@pytest.mark.parametrize("archive", [True, False])
def test_a_pickle_that_would_run_code_is_refused(server: FileServer, tmp_path: Path, archive: bool) -> None:
    file = io.BytesIO()
    torch.save({"weight": Destructive(tmp_path / "mark")}, file)
    data = file.getvalue() if archive else pickle.dumps(Destructive(tmp_path / "mark"))
    hub_repository(server, REPOSITORY, {PICKLED: data})
    with pytest.raises(ModelError, match="open_clip:tiniest/plain: OpenCLIP cannot load it"):
        fetch("tiniest/plain")
    assert not (tmp_path / "mark").exists()


def test_weights_of_another_network_are_refused(server: FileServer) -> None:
    publish(server, network("tiny-resnet"))
    with pytest.raises(ModelError, match=r"open_clip:tiniest/plain: OpenCLIP cannot load it: .*Missing key"):
        fetch("tiniest/plain")


@pytest.mark.usefixtures("_unconverted")
def test_safetensors_are_preferred_to_pickles(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    data = safetensors.torch.save(network("tiniest").state_dict())
    hub_repository(server, REPOSITORY, {PICKLED: b"a pickle", SAFE: data, "named.safetensors": data, "named.bin": b""})
    fetch("tiniest/plain")
    monkeypatch.setitem(WEIGHTS, "hf_hub", f"{REPOSITORY}/named.bin")
    fetch("tiniest/plain")
    folder = f"{HUB}/{REPOSITORY}/resolve/{COMMIT}/"
    assert [path for path in server.paths() if "resolve" in path] == [folder + SAFE, folder + "named.safetensors"]


def test_a_repository_without_the_weights_is_refused(server: FileServer) -> None:
    hub_repository(server, REPOSITORY, {"README.md": b""})
    with pytest.raises(ModelError, match=f"there is no {PICKLED} in {REPOSITORY} .*; choose"):
        fetch("tiniest/plain")


# Refusals


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "ViT-B-32",
            r"name the weights too, as in open_clip:ViT-B-32/openai; there are openai(, \w+){7} and \d+ more$",
        ),
        ("ViT-B-32/laion2b_s34b_b79", r"as in open_clip:ViT-B-32/laion2b_s34b_b79k; there are laion2b_s34b_b79k, "),
        ("ViT-B-32-256", r"there are datacomp_s34b_b86k$"),
        ("vit-b32/openai", r"OpenCLIP lists no model 'vit-b32'; there are .*ViT-B-32"),
        ("hf-hub:owner/name", r"OpenCLIP lists no model 'hf-hub:owner'; there are .*ViT-B-32"),
    ],
)
def test_unknown_names_are_refused_with_known_ones(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fetch(name)


def test_a_layer_cannot_be_chosen() -> None:
    with pytest.raises(UsageError, match=r"open_clip:tiniest/plain: the option `output` does not apply"):
        fetch("tiniest/plain", output="visual")


def change_entry(monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], **text: Any) -> None:
    """Changes the tiniest network's entry in OpenCLIP's list."""
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiniest", {"plain": WEIGHTS | facts})
    monkeypatch.setitem(
        open_clip.factory._MODEL_CONFIGS, "tiniest", CONFIGS["tiniest"] | {"text_cfg": TEXT | {"layers": 1} | text}
    )


@pytest.mark.parametrize(
    ("facts", "text", "message"),
    [
        ({"hf_hub": "", "url": "https://there/x.pt"}, {}, r"not on the Hugging Face hub, .* at https://there/x\.pt"),
        ({"resize_mode": "longest"}, {}, "whole images with borders"),
        ({}, {"hf_model_name": "roberta-base"}, "its text encoder is roberta-base"),
        ({}, {"hf_tokenizer_name": "bert", "tokenizer_kwargs": {"strip_sep_token": True}}, "removes tokens"),
    ],
)
def test_unsupported_models_are_refused_before_any_download(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], text: dict[str, Any], message: str
) -> None:
    change_entry(monkeypatch, facts, **text)
    with pytest.raises(ModelError, match=f"^open_clip:tiniest/plain: .*{message}.*choose"):
        fetch("tiniest/plain")
    assert server.requests == []


def test_images_that_are_not_square_are_refused(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    oblong = CONFIGS["tiniest"] | {"vision_cfg": VIT | {"layers": 1, "image_size": [64, 32]}}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiniest", oblong)
    publish(server, network("tiniest"))
    with pytest.raises(ModelError, match=r"images of 32 x 64 pixels, and Lookalike's are square"):
        fetch("tiniest/plain")


def test_a_size_that_the_network_cannot_have_is_refused(server: FileServer) -> None:
    publish(server, network("tiny-resnet"))
    with pytest.raises(ModelError, match="perhaps because of the size 96"):
        fetch("tiny-resnet/plain", size=96)


def test_without_openclip_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(MissingExtraError, match=r"lookalike\[clip\]"):
        fetch("tiniest/plain")


# Tokenizers on the hub


def test_a_tokenizer_of_transformers_comes_from_its_own_repository(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers gets the directory of its files, and may neither download nor execute anything."""
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<pad>": 0, "<unk>": 1, "a": 2, "cat": 3}, "<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    hub_repository(
        server, "owner/tokenizer", {"tokenizer.json": made.to_str().encode(), "code.py": b"", "config.json": b"{}"}
    )
    publish(server, network("tiniest"))
    change_entry(monkeypatch, {}, hf_tokenizer_name="owner/tokenizer", tokenizer_kwargs={"clean": "canonicalize"})
    loaded: list[dict[str, Any]] = []

    def from_pretrained(folder: str, **others: Any) -> Any:
        loaded.append(others | {"files": sorted(os.listdir(folder))})
        backend = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")

        def call(texts: list[str], *, max_length: int, **_: Any) -> Any:
            backend.enable_truncation(max_length)
            backend.enable_padding(length=max_length, pad_token="<pad>")
            return SimpleNamespace(input_ids=torch.tensor([encoding.ids for encoding in backend.encode_batch(texts)]))

        facts = {"backend_tokenizer": backend, "padding_side": "right", "truncation_side": "right"}
        kind = type("Fast", (SimpleNamespace,), {"__call__": staticmethod(call)})
        return kind(**facts, pad_token="<pad>", pad_token_id=0)

    transformers = ModuleType("transformers")
    vars(transformers)["AutoTokenizer"] = SimpleNamespace(from_pretrained=from_pretrained)
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    text_tower = fetch("tiniest/plain").text_tower
    assert text_tower
    ids = tokenizers.Tokenizer.from_str(text_tower.tokenizer).encode("A cat, a_dog!").ids
    assert ids == [2, 3, 2, 1] + [0] * 73
    assert loaded == [
        {
            "cache_dir": None,
            "files": ["config.json", "tokenizer.json"],
            "local_files_only": True,
            "trust_remote_code": False,
        }
    ]


def test_a_missing_transformers_package_is_named(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub_repository(server, "owner/tokenizer", {"tokenizer.json": b"{}"})
    publish(server, network("tiniest"))
    change_entry(monkeypatch, {}, hf_tokenizer_name="owner/tokenizer")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"its tokenizer needs the package transformers.*pip install transformers"):
        fetch("tiniest/plain")
