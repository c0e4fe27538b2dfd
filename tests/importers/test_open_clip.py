"""Networks with words, fetched from a hub on loopback, against OpenCLIP itself.

Their weights are random, and so is what they make of pictures and words: nearly the same vector for each. What is
compared is what tells them apart, which is left when the mean over them is taken away.
"""

import hashlib
import io
import os
import pickle
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike import demo, encoders, importers
from lookalike.errors import MissingExtraError, ModelError, UsageError
from lookalike.images.decode import Preprocessing, prepare
from lookalike.importers import open_clip as from_open_clip
from lookalike.importers import tokenizer_export
from lookalike.importers.base import ImportedNetwork, ImportOptions, ImportProgress, ImportRequest
from lookalike.importers.third_party import silenced
from tests.support.file_server import COMMIT, HUB, FileServer, hub_repository, mirrored
from tests.support.golden_images import golden_images
from tests.support.optional_packages import needs
from tests.support.torch_stubs import declare

needs("torch", "torchvision", "timm", "open_clip", "safetensors", "tokenizers")
declare()
with silenced():
    import open_clip
    import safetensors.torch
    import tokenizers
    import torch

REPOSITORY = "owner/tiny"
SAFE, PICKLED = "open_clip_model.safetensors", "open_clip_pytorch_model.bin"
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
VIT = {"image_size": 64, "patch_size": 16, "width": 64, "head_width": 32, "layers": 2}
RESNET = {"image_size": 64, "width": 16, "layers": [1, 1, 1, 1]}
CONFIGS: dict[str, dict[str, Any]] = {
    "tiny-vit": {"embed_dim": 64, "vision_cfg": VIT, "text_cfg": TEXT},
    "tiny-resnet": {"embed_dim": 64, "vision_cfg": RESNET, "text_cfg": TEXT | {"layers": 1}},
    "tiny-timm": {
        "embed_dim": 64,
        "vision_cfg": {"timm_model_name": "resnet18", "timm_pool": "", "timm_proj": "linear", "image_size": 64},
        "text_cfg": TEXT | {"layers": 1, "context_length": 16},
        "custom_text": True,
    },
    "tiniest": {"embed_dim": 32, "vision_cfg": VIT | {"layers": 1}, "text_cfg": TEXT | {"layers": 1}},
}
FACTS: dict[str, Any] = {
    "hf_hub": f"{REPOSITORY}/",
    "mean": (0.48, 0.46, 0.41),
    "std": (0.27, 0.26, 0.28),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
OTHERWISE = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "interpolation": "bilinear", "resize_mode": "squash"}
SENTENCES = [
    "a photo of a cat",
    "Two RED bicycles!",
    "the sea at night",
    "“Ça va?” naïve café",
    "one two " * 60,
    "猫 😀",
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    """The hub that everything comes from, and no connection goes anywhere else."""
    connect = socket.socket.connect
    with mirrored(monkeypatch, tmp_path) as server:

        def only_to_it(self: socket.socket, address: Any) -> None:
            assert server.url.endswith(f"//{address[0]}:{address[1]}"), f"a connection to {address}"
            connect(self, address)

        monkeypatch.setattr(socket.socket, "connect", only_to_it)
        yield server


@pytest.fixture(autouse=True)
def _listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCLIP knows these networks, each with two kinds of weights, "plain" and "other"."""
    for name, config in CONFIGS.items():
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, config)
        tags = {"plain": FACTS, "other": FACTS | OTHERWISE | {"quick_gelu": True}}
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, name, tags)


@pytest.fixture(autouse=True)
def _converted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokenizer that these networks share, whose conversion takes longest, is converted once for each context."""
    convert, known = tokenizer_export.to_tokenizer_json, _CONVERTED

    def converted(tokenizer: Any, name: str) -> str:
        kind = type(tokenizer).__name__, tokenizer.context_length
        if kind not in known or kind[0] != "SimpleTokenizer":
            known[kind] = convert(tokenizer, name)
        return known[kind]

    monkeypatch.setattr(tokenizer_export, "to_tokenizer_json", converted)


_CONVERTED: dict[tuple[str, int], str] = {}


@pytest.fixture
def _unconverted(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what comes with a network and is not in its graphs, which take long."""
    graph = SimpleNamespace(reshape=lambda shape: None)
    monkeypatch.setattr(from_open_clip, "to_openvino", lambda module, example: graph)


def network(name: str, **others: Any) -> Any:
    """One of these networks as OpenCLIP builds it, with the same random weights each time."""
    torch.manual_seed(len(name))
    with silenced():
        model = open_clip.create_model(name, **others).eval()
        for parameter in model.parameters():
            if parameter.ndim == 4:  # without which convolutions set no pictures apart
                parameter.data *= 2
    return model


def published(server: FileServer, model: Any, name: str = SAFE) -> None:
    state = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    if name.endswith(".safetensors"):
        data = safetensors.torch.save(state)
    else:
        file = io.BytesIO()
        torch.save(state, file)
        data = file.getvalue()
    hub_repository(server, REPOSITORY, {name: data, "README.md": b"tiny"}, licence="mit")


def fetch(name: str, **options: Any) -> ImportedNetwork:
    return from_open_clip.fetch(ImportRequest(name, ImportOptions(**options)))


def vectors_of(graph: Any, inputs: NDArray[Any]) -> NDArray[np.float32]:
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled(one[None])[0] for one in inputs])


def pixels(size: int = 64) -> NDArray[np.float32]:
    """Pictures in a normal range, float32 (n, 3, size, size)."""
    squares = [np.asarray(Image.fromarray(picture).resize((size, size))) for picture in golden_images()]
    return (np.stack(squares).transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    units: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units


def assert_same(found: NDArray[np.float32], wanted: NDArray[np.float32], tolerance: float = 1e-3) -> None:
    """They are the same but for a small part of what tells them apart."""
    found, wanted = unit(found), unit(wanted)
    spread = np.abs(wanted - wanted.mean(axis=0)).max()
    assert spread > 0.02, "vectors that are all alike prove nothing"
    assert np.abs(found - wanted).max() <= tolerance * spread


def assert_other(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> None:
    with pytest.raises(AssertionError):
        assert_same(found, wanted)


def theirs(model: Any, inputs: NDArray[Any]) -> NDArray[np.float32]:
    with torch.no_grad():
        encode = model.encode_text if inputs.ndim == 2 else model.encode_image
        vectors: NDArray[np.float32] = encode(torch.from_numpy(inputs)).numpy()
    return vectors


# Vectors


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-resnet", "tiny-timm"])
def test_pictures_and_words_become_the_vectors_of_openclip(server: FileServer, name: str) -> None:
    model = network(name)
    published(server, model)
    made = fetch(f"{name}/plain")
    wanted = theirs(model, pixels())
    assert_same(vectors_of(made.graph, pixels()), wanted)
    assert_other(vectors_of(made.graph, pixels()[::-1]), wanted)
    assert made.text_tower
    ids = open_clip.get_tokenizer(name)(SENTENCES).numpy()
    assert made.text_tower.context == ids.shape[1] == (16 if name == "tiny-timm" else 77)
    assert_same(vectors_of(made.text_tower.graph, ids), theirs(model, ids))
    assert_other(vectors_of(made.text_tower.graph, ids[::-1]), theirs(model, ids))


def test_an_imported_one_does_the_same_from_files_and_from_words(server: FileServer) -> None:
    """From JPEG files with OpenCLIP's own transform, and from words with its own tokenizer."""
    model = network("tiny-vit", force_preprocess_cfg={name: FACTS[name] for name in OTHERWISE})
    published(server, model)
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
    wanted = theirs(model, transformed)
    assert (unit(found) * unit(wanted)).sum(axis=1).min() >= 0.99
    centred = [unit(vectors - vectors.mean(axis=0)) for vectors in (unit(found), unit(wanted))]
    likeness = centred[0] @ centred[1].T
    assert likeness.diagonal().min() >= 0.97
    assert (likeness.argmax(axis=1) == np.arange(len(files))).all()
    text_tower = encoders.load_text("clip").encode_text(SENTENCES)
    assert_same(text_tower, theirs(model, open_clip.get_tokenizer("tiny-vit")(SENTENCES).numpy()))


def test_the_activation_is_the_one_that_the_weights_were_trained_with(server: FileServer) -> None:
    plain = network("tiny-vit")
    quick = network("tiny-vit", force_quick_gelu=True)
    published(server, plain)
    made = fetch("tiny-vit/other")
    assert_same(vectors_of(made.graph, pixels()), theirs(quick, pixels()))
    assert_other(vectors_of(made.graph, pixels()), theirs(plain, pixels()))


def test_another_size_is_had_by_scaling_what_a_vision_transformer_knows_of_places(server: FileServer) -> None:
    model = network("tiny-vit")
    published(server, model)
    made = fetch("tiny-vit/plain", size=96)
    assert made.preprocessing.size == 96
    with silenced():
        file = Path(os.environ["LOOKALIKE_MODELS"]) / SAFE
        safetensors.torch.save_file(model.state_dict(), file)
        larger = open_clip.create_model("tiny-vit", pretrained=str(file), force_image_size=96).eval()
    assert_same(vectors_of(made.graph, pixels(96)), theirs(larger, pixels(96)))


# What comes with them


@pytest.mark.usefixtures("_unconverted")
def test_pictures_are_prepared_as_the_list_says_of_the_weights(server: FileServer) -> None:
    published(server, network("tiniest"))
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
def test_wishes_come_first(server: FileServer) -> None:
    published(server, network("tiniest"))
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


def test_it_says_where_it_comes_from_and_how_far_it_is(server: FileServer) -> None:
    published(server, network("tiniest"))
    stages: list[ImportProgress] = []
    made = from_open_clip.fetch(ImportRequest("tiniest/PLAIN", progress=stages.append))
    assert (made.source, made.licence, made.version) == ("open_clip:tiniest/plain", "mit", COMMIT)
    assert (made.layout, made.output) == ("NCHW", "encode_image")
    facts = server.files[f"{HUB}/{REPOSITORY}/resolve/{COMMIT}/{SAFE}"]
    assert made.sha256 == hashlib.sha256(facts).hexdigest()
    assert list(dict.fromkeys(stage.stage for stage in stages)) == [
        "preparing the tokenizer",
        f"downloading {SAFE}",
        "building the network",
        "converting the part that takes pictures",
        "converting the part that takes words",
    ]


def test_it_is_quiet_and_leaves_other_people_s_settings_as_they_were(
    server: FileServer, capfd: pytest.CaptureFixture[str]
) -> None:
    published(server, network("tiniest"))
    before = torch.backends.mha.get_fastpath_enabled(), torch.is_grad_enabled()
    fetch("tiniest/plain")
    assert capfd.readouterr() == ("", "")
    assert (torch.backends.mha.get_fastpath_enabled(), torch.is_grad_enabled()) == before


@pytest.mark.usefixtures("_unconverted")
def test_a_revision_can_be_asked_for(server: FileServer) -> None:
    data = safetensors.torch.save(network("tiniest").state_dict())
    hub_repository(server, REPOSITORY, {SAFE: data}, commit="f" * 40, revision="v2")
    assert fetch("tiniest/plain", revision="v2").version == "f" * 40


# Files


class Destructive:
    """What a pickle can do while it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_a_pickled_file_of_weights_is_taken_where_there_is_no_other(server: FileServer) -> None:
    model = network("tiniest")
    published(server, model, PICKLED)
    assert_same(vectors_of(fetch("tiniest/plain").graph, pixels()), theirs(model, pixels()))


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
    published(server, network("tiny-resnet"))
    with pytest.raises(ModelError, match=r"open_clip:tiniest/plain: OpenCLIP cannot load it: .*Missing key"):
        fetch("tiniest/plain")


@pytest.mark.usefixtures("_unconverted")
def test_the_file_without_a_pickle_is_preferred(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    data = safetensors.torch.save(network("tiniest").state_dict())
    hub_repository(server, REPOSITORY, {PICKLED: b"a pickle", SAFE: data, "named.safetensors": data, "named.bin": b""})
    fetch("tiniest/plain")
    monkeypatch.setitem(FACTS, "hf_hub", f"{REPOSITORY}/named.bin")
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
            r"ViT-B-32: say which weights .*as in open_clip:ViT-B-32/openai; there are openai(, \w+){7} and \d+ more$",
        ),
        ("ViT-B-32/laion2b_s34b_b79", r"as in open_clip:ViT-B-32/laion2b_s34b_b79k; there are laion2b_s34b_b79k, "),
        ("ViT-B-32-256", r"there are datacomp_s34b_b86k$"),
        ("vit-b32/openai", r"OpenCLIP lists no model 'vit-b32'; there are .*ViT-B-32"),
        ("hf-hub:owner/name", r"OpenCLIP lists no model 'hf-hub:owner'; there are .*ViT-B-32"),
    ],
)
def test_names_that_are_not_listed_are_answered_with_those_that_are(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fetch(name)


def test_a_layer_cannot_be_chosen() -> None:
    with pytest.raises(UsageError, match=r"open_clip:tiniest/plain: it cannot be had with --output"):
        fetch("tiniest/plain", output="visual")


def changed(monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], **text: Any) -> None:
    """Changes what OpenCLIP lists of the tiniest network."""
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiniest", {"plain": FACTS | facts})
    monkeypatch.setitem(
        open_clip.factory._MODEL_CONFIGS, "tiniest", CONFIGS["tiniest"] | {"text_cfg": TEXT | {"layers": 1} | text}
    )


@pytest.mark.parametrize(
    ("facts", "text", "message"),
    [
        ({"hf_hub": "", "url": "https://there/x.pt"}, {}, r"not on the Hugging Face hub, .* at https://there/x\.pt"),
        ({"resize_mode": "longest"}, {}, "whole pictures with borders"),
        ({}, {"hf_model_name": "roberta-base"}, "its words are taken by roberta-base"),
        ({}, {"hf_tokenizer_name": "bert", "tokenizer_kwargs": {"strip_sep_token": True}}, "takes tokens out"),
    ],
)
def test_what_cannot_be_imported_is_refused_before_anything_is_downloaded(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], text: dict[str, Any], message: str
) -> None:
    changed(monkeypatch, facts, **text)
    with pytest.raises(ModelError, match=f"^open_clip:tiniest/plain: .*{message}.*choose"):
        fetch("tiniest/plain")
    assert server.requests == []


def test_pictures_that_are_not_square_are_refused(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    oblong = CONFIGS["tiniest"] | {"vision_cfg": VIT | {"layers": 1, "image_size": [64, 32]}}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiniest", oblong)
    published(server, network("tiniest"))
    with pytest.raises(ModelError, match=r"pictures of 32 x 64 pixels, and Lookalike makes squares"):
        fetch("tiniest/plain")


def test_a_size_that_the_network_cannot_have_is_refused(server: FileServer) -> None:
    published(server, network("tiny-resnet"))
    with pytest.raises(ModelError, match="perhaps for the size of 96"):
        fetch("tiny-resnet/plain", size=96)


def test_without_openclip_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(MissingExtraError, match=r"lookalike\[clip\]"):
        fetch("tiniest/plain")


# Tokenizers that are on the hub


def test_a_tokenizer_of_transformers_comes_from_its_own_repository(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers is given the folder of its files, and may neither fetch nor run anything."""
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<pad>": 0, "<unk>": 1, "a": 2, "cat": 3}, "<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    hub_repository(
        server, "owner/words", {"tokenizer.json": made.to_str().encode(), "code.py": b"", "config.json": b"{}"}
    )
    published(server, network("tiniest"))
    changed(monkeypatch, {}, hf_tokenizer_name="owner/words", tokenizer_kwargs={"clean": "canonicalize"})
    asked: list[dict[str, Any]] = []

    def from_pretrained(folder: str, **others: Any) -> Any:
        asked.append(others | {"files": sorted(os.listdir(folder))})
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
    assert asked == [
        {
            "cache_dir": None,
            "files": ["config.json", "tokenizer.json"],
            "local_files_only": True,
            "trust_remote_code": False,
        }
    ]


def test_where_transformers_is_missing_it_is_asked_for(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub_repository(server, "owner/words", {"tokenizer.json": b"{}"})
    published(server, network("tiniest"))
    changed(monkeypatch, {}, hf_tokenizer_name="owner/words")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"its tokenizer takes the package transformers.*pip install transformers"):
        fetch("tiniest/plain")
