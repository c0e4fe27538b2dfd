"""Imports networks from repositories of the Hugging Face hub with ONNX files, as transformers.js uses them.

The image network is `vision_model.onnx` or `model.onnx`, in the folder `onnx` or at the top; the text network is
`text_model.onnx`, or part of `model.onnx`. `preprocessor_config.json` describes how images are prepared.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.encoders.openvino.loading import FAILURES, ov
from lookalike.errors import Hint, ModelError
from lookalike.importers import huggingface_text, onnx_safety, output_layer
from lookalike.importers.base import ImportedNetwork, ImportProgress, ImportRequest
from lookalike.importers.download import huggingface_hub
from lookalike.importers.download.huggingface_hub import Repository
from lookalike.importers.encoder_graph import input_name
from lookalike.importers.error_summary import one_line
from lookalike.importers.preprocessor_config import preparation

_FOLDERS = ("onnx/", "")
_EXTERNAL_DATA = ("_data", ".data")  # suffixes, after an ONNX file's name, of the file with its weights
# Outputs that describe a whole image, the best first; without any of these, output_layer.cut chooses.
_OUTPUTS = ("image_embeds", "image_embeddings", "pooler_output", "embeddings", "embedding", "last_hidden_state")


def fetch(request: ImportRequest) -> ImportedNetwork:
    """Returns the network in a repository: "owner/name", or "owner/name@revision".

    It has a text tower if the repository has one for the same space, and a `tokenizer.json`.

    Raises:
        UsageError: the repository's name is malformed, there is no such layer, or a required option is missing.
        ModelError: there is no such repository, it has no ONNX file or one that is refused, or its images are prepared
            in a way that Lookalike does not support.
        StorageError: the disk is full or failing.
    """
    name, _, revision = request.name.partition("@")
    repository = huggingface_hub.repository(name, request.options.revision or revision or None, request.progress)
    files, config = _onnx_files(repository), _json_object(repository, "config.json")
    prepared = preparation(_preprocessor(repository), request.options, _source(repository))
    fetched = [repository.fetch(files.image)]
    request.progress(ImportProgress("reading"))
    model = onnx_safety.read(fetched[0].path)
    image = _image_network(model, request.options.output, prepared.preprocessing.size, _source(repository))
    text_tower, text_output = None, huggingface_text.matching_output(image.output, repository, config)
    if text_output and files.text:
        fetched.append(repository.fetch(files.text))
        request.progress(ImportProgress("reading"))
        model = onnx_safety.read(fetched[1].path)
    if text_output and huggingface_text.takes_tokens(model):
        text_tower = huggingface_text.text_tower(model, text_output, repository, config)
    return ImportedNetwork(
        graph=image.graph,
        layout="NCHW",
        preprocessing=prepared.preprocessing,
        normalization=prepared.normalization,
        source=_source(repository),
        licence=request.options.licence or repository.licence,
        sha256=_combined_sha256([file.sha256 for file in fetched]),
        output=image.output,
        text_tower=text_tower,
        version=repository.commit,
    )


@dataclass(frozen=True)
class _OnnxFiles:
    """The paths of the ONNX file that takes images, and of a separate one that takes text, if there is one."""

    image: str
    text: str | None


@dataclass(frozen=True)
class _ImageNetwork:
    """The graph that takes images, and the name of its output."""

    graph: ov.Model
    output: str


def _source(repository: Repository) -> str:
    return f"hf:{repository.name}"


def _onnx_files(repository: Repository) -> _OnnxFiles:
    for folder in _FOLDERS:
        image, text, both = (f"{folder}{name}.onnx" for name in ("vision_model", "text_model", "model"))
        if image in repository.files:
            return _complete(repository, _OnnxFiles(image, text if text in repository.files else None))
        if both in repository.files:
            return _complete(repository, _OnnxFiles(both, None))
    raise _unusable(repository, "it has neither onnx/vision_model.onnx nor onnx/model.onnx")


def _complete(repository: Repository, files: _OnnxFiles) -> _OnnxFiles:
    """Returns the files, or raises ModelError before their download if their weights are in other files."""
    for path in filter(None, (files.image, files.text)):
        data_paths = tuple(path + suffix for suffix in _EXTERNAL_DATA)
        data = next((other for other in repository.files if other.startswith(data_paths)), None)
        if data:
            raise _unusable(repository, f"{path} has its weights in another file, {data}, which is not read")
    return files


def _unusable(repository: Repository, problem: str) -> ModelError:
    """The error for a repository without a usable ONNX file, with what to do instead."""
    message = f"{_source(repository)}: {problem}"
    owner, _, name = repository.name.partition("/")
    if owner == "timm":
        return ModelError(message, Hint("import_model", {"source": f"timm:{name}"}))
    if any(path.startswith("open_clip_") for path in repository.files):
        return ModelError(
            f"{message}; it is one of OpenCLIP's: import it as open_clip:MODEL/TAG,"
            " such as open_clip:ViT-B-32/laion2b_s34b_b79k"
        )
    return ModelError(
        f"{message}; if timm or OpenCLIP have the model, import it as timm:NAME or open_clip:MODEL/TAG; or export it"
        f" (optimum-cli export onnx --model {repository.name} FOLDER) and import the file (FOLDER/model.onnx)"
    )


def _json_object(repository: Repository, path: str) -> Mapping[str, Any]:
    """The content of a JSON file, {} if there is no such file."""
    if path not in repository.files:
        return {}
    content = repository.document(path)
    if not isinstance(content, dict):
        raise ModelError(f"{_source(repository)}: its {path} is not a JSON object")
    return content


def _preprocessor(repository: Repository) -> Mapping[str, Any]:
    """How images are prepared; newer versions of transformers write it into one file with how text is."""
    config = _json_object(repository, "preprocessor_config.json")
    return config or _json_object(repository, "processor_config.json").get("image_processor") or {}


def _image_network(model: ov.Model, output: str | None, size: int, source: str) -> _ImageNetwork:
    """The part of a model from its image input to an output, without any other input."""
    pixels = _image_input(model, source)
    names = {name for port in model.outputs for name in port.get_names()}
    try:
        model.reshape({pixels.output(0): _with_size(pixels.get_partial_shape(), size)})
        graph, name = output_layer.cut(model, output or next((name for name in _OUTPUTS if name in names), None))
        taken = [port.get_node() for port in graph.inputs if input_name(port) == input_name(pixels.output(0))]
        return _ImageNetwork(ov.Model([graph.outputs[0].get_node().input_value(0)], taken, "image"), name)
    except FAILURES as error:
        raise ModelError(
            f"{source}: its ONNX file cannot be used for images of {size} x {size}: {one_line(error)}"
        ) from error


def _image_input(model: ov.Model, source: str) -> Any:
    """The only input with four dimensions."""
    nodes = {input_name(port): port.get_node() for port in model.inputs}
    ranks = {name: node.get_partial_shape().rank for name, node in nodes.items()}
    fitting = [name for name, rank in ranks.items() if rank.is_static and rank.get_length() == 4]
    if len(fitting) != 1:
        raise ModelError(
            f"{source}: of the inputs of its ONNX file ({', '.join(nodes)}), none, or more than one, takes images"
        )
    return nodes[fitting[0]]


def _with_size(shape: ov.PartialShape, size: int) -> ov.PartialShape:
    """A shape whose open dimensions are those of a batch of images."""
    usual = [ov.Dimension(-1), ov.Dimension(3), ov.Dimension(size), ov.Dimension(size)]
    return ov.PartialShape([usual[i] if shape[i].is_dynamic else shape[i] for i in range(4)])


def _combined_sha256(sha256s: Sequence[str]) -> str:
    """The digest of the only file, or the SHA-256 of the digests of several."""
    return sha256s[0] if len(sha256s) == 1 else hashlib.sha256("".join(sha256s).encode()).hexdigest()
