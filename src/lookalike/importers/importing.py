"""Brings pretrained networks in: from timm, torchvision, Keras, OpenCLIP, the Hugging Face hub, and files.

    from lookalike import models

    model = models.import_model("timm:resnet50.a1_in1k", name="resnet")
    photos = lookalike.create("photos", model="resnet")

A source is a module with one function, `fetch`, that gives a `Network`. What comes of it is written into the folder of
models (encoders/library.py) as OpenVINO's own files and a card, and runs without the framework that it came from.
"""

import hashlib
import os
import re
import shlex
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.encoders import bundled, registry
from lookalike.encoders.card import Card, TextSpec
from lookalike.encoders.registry import ImportedModel
from lookalike.errors import StorageError, UsageError
from lookalike.importers.base import (
    ImportedNetwork,
    ImportOptions,
    ImportProgress,
    ImportRequest,
    OnProgress,
    TextTower,
)
from lookalike.importers.download import cache

if TYPE_CHECKING:
    from lookalike.importers.output_layer import Layer


# By what stands before the colon, the module that fetches from there. Anything else is a file.
SOURCES = {
    "timm": "timm",
    "torchvision": "torchvision",
    "keras": "keras",
    "open_clip": "open_clip",
    "hf": "huggingface",
}
_FILES = "file"
# Is raised when the same source would give another graph, and thus other vectors, than it did before.
_REVISION = 1


def import_model(
    source: str, *, name: str | None = None, options: ImportOptions | None = None, progress: OnProgress = lambda _: None
) -> ImportedModel:
    """Brings a network in, so that it can be used under its name from now on, without what it came from.

    Args:
        source: "timm:resnet50.a1_in1k", "torchvision:vgg16", "keras:InceptionV3",
            "open_clip:ViT-B-32/laion2b_s34b_b79k", "hf:owner/name", or the path of an ONNX, TFLite or OpenVINO file or
            of a TensorFlow SavedModel.
        name: what to call it; by default its own name in small letters.
        wishes: what its source does not say, or is to be otherwise.
        tell: called with how far it is; what it raises ends the import, and the next one goes on with its downloads.

    Raises:
        UsageError: there is no such network, or one of that name already, or more has to be said.
        ModelError: it is refused, cannot be converted, or cannot be fetched from here.
        MissingExtraError: the package that knows it is not installed.
        StorageError: the disk is full or failing.
    """
    module, rest = _module(source)
    called = short_name(source) if name is None else name
    registry.check_name(called)
    if called == bundled.NAME:
        raise UsageError(f"{called} comes with Lookalike; take another --name")
    registry.check_is_free(called)
    fetch = import_module(f"lookalike.importers.{module}").fetch
    with cache.session():
        network: ImportedNetwork = fetch(ImportRequest(rest, options or ImportOptions(), progress))
        progress(ImportProgress("writing"))
        return keep(network, called, command=_command(source, network, options or ImportOptions()))


def inspect(path: str | os.PathLike[str]) -> "list[Layer]":
    """The layers of a network in a file that vectors could be taken from, the last first.

    Raises:
        UsageError: there is no such file.
        ModelError: it is refused, or damaged.
    """
    from lookalike.importers import file as from_file
    from lookalike.importers import output_layer

    return output_layer.layers(from_file.read(Path(path)))


def short_name(source: str) -> str:
    """What an imported network is called unless it is given a name: "timm:resnet50.a1_in1k" is "resnet50.a1_in1k"."""
    module, rest = _module(source)
    if module == _FILES:
        rest = Path(rest).resolve().stem if Path(rest).suffix else Path(rest).resolve().name
    elif module == "huggingface":
        rest = rest.partition("/")[2].partition("@")[0]
    return re.sub(r"[^a-z0-9._-]+", "-", rest.lower()).strip("-._")


def _module(source: str) -> tuple[str, str]:
    """The module that fetches a source, and what it is asked for."""
    scheme, colon, rest = source.partition(":")
    if colon and scheme in SOURCES:
        if not rest:
            raise UsageError(f"{source}: name a network after the colon")
        return SOURCES[scheme], rest
    if colon and re.fullmatch(r"[a-z_]+", scheme) and not Path(source).exists():
        raise UsageError(f"{source}: there is no source {scheme!r}; there are {', '.join(SOURCES)}, and files")
    return _FILES, source


def _command(source: str, network: ImportedNetwork, options: ImportOptions) -> str:
    """What to tell `lookalike models import` to have the same network again."""
    pinned = replace(options, revision=network.version) if network.version else options
    scheme, _, _ = source.partition(":")
    return shlex.join([network.source if scheme in SOURCES else source, *pinned.words()])


def keep(network: ImportedNetwork, name: str, *, command: str | None = None) -> ImportedModel:
    """Puts a network into the folder of models; `command` is what it was imported by.

    Raises:
        UsageError: there is one of that name, or no vector can be made of what it gives.
        ModelError: it cannot be run.
        StorageError: the disk is full or failing.
    """
    from lookalike.importers import encoder_graph

    finished, text_tower = encoder_graph.finished(network), network.text_tower
    card = Card(
        name=name,
        source=network.source,
        licence=network.licence,
        sha256=network.sha256,
        dim=finished.dim,
        preprocessing=network.preprocessing,
        precision="f32",
        revision=str(_REVISION),
        normalization=network.normalization,
        output=finished.output,
        text=_text(text_tower) if text_tower else None,
        version=network.version or None,
        command=command,
    )

    def write(folder: Path) -> None:
        _write_graph(finished.graph, folder / registry.GRAPH)
        if text_tower:
            _write_graph(text_tower.graph, folder / registry.TEXT_GRAPH)
            (folder / registry.TOKENIZER).write_text(text_tower.tokenizer, encoding="utf-8")

    return registry.save(card, write)


def _text(text_tower: TextTower) -> TextSpec:
    return TextSpec(text_tower.context, hashlib.sha256(text_tower.tokenizer.encode()).hexdigest(), text_tower.unescapes)


def _write_graph(graph: Any, path: Path) -> None:
    from lookalike.encoders.openvino.loading import FAILURES, ov

    try:
        ov.save_model(graph, path, compress_to_fp16=False)
    except FAILURES as error:  # it does not say which
        raise StorageError(f"{path}: OpenVINO cannot write it; is the disk full? ({error})") from error
