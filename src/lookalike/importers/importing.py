"""Imports a model: fetches its network, builds the encoder's graph, and adds it to the registry."""

import os
import re
import shlex
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike import arguments
from lookalike.encoders import bundled, registry
from lookalike.encoders.card import Card
from lookalike.encoders.registry import ImportedModel
from lookalike.errors import StorageError, UsageError
from lookalike.importers.base import ImportedNetwork, ImportOptions, ImportProgress, ImportRequest, OnProgress
from lookalike.importers.download import cache
from lookalike.importers.error_summary import one_line

if TYPE_CHECKING:
    from lookalike.importers.output_layer import Layer


# The module that fetches from a source, by the source's scheme. Anything without a scheme is a file.
SOURCES = {
    "timm": "timm",
    "torchvision": "torchvision",
    "keras": "keras",
    "open_clip": "open_clip",
    "hf": "huggingface",
}
_FILES = "file"
# Raised when the same source would give another graph, and thus other vectors, than before.
_REVISION = 1


def import_model(
    source: str | os.PathLike[str],
    *,
    name: str | None = None,
    options: ImportOptions | None = None,
    progress: OnProgress = lambda _: None,
) -> ImportedModel:
    """Imports a model, so that it can be used under a name from now on, without the framework it came from.

    Args:
        source: "timm:resnet50.a1_in1k", "torchvision:vgg16", "keras:InceptionV3",
            "open_clip:ViT-B-32/laion2b_s34b_b79k", "hf:owner/name", or the path of an ONNX, TFLite or OpenVINO file or
            of a TensorFlow SavedModel.
        name: the model's name; by default its name at the source, in lower case.
        options: what the source does not specify, or what is to differ from it.
        progress: called with the progress; an exception that it raises ends the import, and the next import of the
            same model resumes the downloads.

    Raises:
        UsageError: there is no such source or model, the name is taken, or an option is missing or does not apply.
        ModelError: the model is refused, cannot be converted, or cannot be downloaded.
        MissingExtraError: the package that it comes from is not installed.
        StorageError: the disk is full or failing.
    """
    source = _checked_source(source)
    if options is not None and not isinstance(options, ImportOptions):
        raise UsageError(f"options={arguments.shown(options)}: give lookalike.importers.ImportOptions(...)")
    progress = arguments.callback(progress, "progress") or (lambda _: None)
    if name is not None:
        arguments.text(name, "name")
    module, rest = _module(source)
    name, options = default_name(source) if name is None else name, options or ImportOptions()
    registry.check_name(name)
    if name == bundled.NAME:
        raise UsageError(f"{name} comes with Lookalike; give another `name`")
    registry.check_is_free(name)
    registry.make_folder()  # what cannot be saved need not be downloaded
    fetch = import_module(f"lookalike.importers.{module}").fetch
    with cache.session():
        network: ImportedNetwork = fetch(ImportRequest(rest, options, progress))
        progress(ImportProgress("writing"))
        return register(network, name, command=_command(source, network, options))


def inspect(path: str | os.PathLike[str]) -> "list[Layer]":
    """Returns the layers of the network in a file whose output can become a vector, the last first.

    Raises:
        ModelError: the file is missing, refused or damaged.
    """
    from lookalike.importers import file as from_file
    from lookalike.importers import output_layer

    return output_layer.layers(from_file.read(arguments.path(path, "path")))


def default_name(source: str | os.PathLike[str]) -> str:
    """Returns the name of an imported model if none is given: "resnet50.a1_in1k" for "timm:resnet50.a1_in1k"."""
    module, rest = _module(_checked_source(source))
    if module == _FILES:
        rest = Path(rest).resolve().stem if Path(rest).suffix else Path(rest).resolve().name
    elif module == "huggingface":
        rest = rest.partition("/")[2].partition("@")[0]
    return re.sub(r"[^a-z0-9._-]+", "-", rest.lower()).strip("-._")


def register(network: ImportedNetwork, name: str, *, command: str | None = None) -> ImportedModel:
    """Builds the encoder of a network and adds it to the registry.

    Args:
        network: what a source returned.
        name: the model's name.
        command: the source and the options that import the same model again, as a shell reads them.

    Raises:
        UsageError: there is a model of that name.
        ModelError: the network cannot be run, or its output is not one vector per image.
        StorageError: the disk is full or failing.
    """
    from lookalike.importers import encoder_graph

    arguments.instance(network, ImportedNetwork, "network", "what a source's `fetch` returns")
    registry.check_name(arguments.text(name, "name"))
    if command is not None:
        arguments.text(command, "command")
    encoder, text_tower = encoder_graph.build(network), network.text_tower
    card = Card(
        name=name,
        source=network.source,
        licence=network.licence,
        sha256=network.sha256,
        dim=encoder.dim,
        preprocessing=network.preprocessing,
        precision="f32",
        revision=str(_REVISION),
        normalization=network.normalization,
        output=encoder.output,
        text=text_tower.spec if text_tower else None,
        version=network.version or None,
        command=command,
    )

    def write(directory: Path) -> None:
        _write_graph(encoder.graph, directory / registry.GRAPH)
        if text_tower:
            _write_graph(text_tower.graph, directory / registry.TEXT_GRAPH)
            (directory / registry.TOKENIZER).write_text(text_tower.tokenizer, encoding="utf-8")

    return registry.save(card, write)


def _checked_source(source: str | os.PathLike[str]) -> str:
    return os.fsdecode(source) if isinstance(source, os.PathLike) else arguments.text(source, "source")


def _module(source: str) -> tuple[str, str]:
    """The module that fetches from a source, and the name to ask it for."""
    scheme, colon, rest = source.partition(":")
    if colon and scheme in SOURCES:
        if not rest:
            raise UsageError(f"{source}: name a model after the colon")
        return SOURCES[scheme], rest
    if colon and re.fullmatch(r"[a-z_]+", scheme) and not Path(source).exists():
        raise UsageError(f"{source}: there is no source {scheme!r}; there are {', '.join(SOURCES)}, and files")
    return _FILES, source


def _command(source: str, network: ImportedNetwork, options: ImportOptions) -> str:
    """The source and the options that import the same model again, as a shell reads them."""
    pinned = replace(options, revision=network.version) if network.version else options
    scheme, _, _ = source.partition(":")
    return shlex.join([network.source if scheme in SOURCES else source, *pinned.as_arguments()])


def _write_graph(graph: Any, path: Path) -> None:
    from lookalike.encoders.openvino.loading import FAILURES, ov

    try:
        ov.save_model(graph, path, compress_to_fp16=False)
    except FAILURES as error:  # OpenVINO does not report the cause
        raise StorageError(f"{path}: OpenVINO cannot write it; is the disk full? ({one_line(error)})") from error
