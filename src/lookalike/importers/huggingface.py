"""Networks from repositories of the Hugging Face hub that have them as ONNX files, as transformers.js takes them.

What takes pictures is `vision_model.onnx` or `model.onnx`, in the folder `onnx` or at the top; what takes words is
`text_model.onnx`, or in `model.onnx` too. `preprocessor_config.json` says how pictures are prepared.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.encoders.openvino.loading import FAILURES, ov
from lookalike.errors import ModelError
from lookalike.importers import huggingface_text, onnx_safety, output_layer
from lookalike.importers.base import ImportedNetwork, ImportProgress, ImportRequest
from lookalike.importers.download import huggingface_hub
from lookalike.importers.download.huggingface_hub import Repository
from lookalike.importers.encoder_graph import input_name
from lookalike.importers.error_summary import reason
from lookalike.importers.preprocessor_config import preparation

_FOLDERS = ("onnx/", "")
_DATA = ("_data", ".data")  # behind an ONNX file's name: what has its weights
# What tells of a whole picture, the best first; where there is none of these, layers.cut chooses.
_OUTPUTS = ("image_embeds", "image_embeddings", "pooler_output", "embeddings", "embedding", "last_hidden_state")


def fetch(request: ImportRequest) -> ImportedNetwork:
    """The network in a repository: "owner/name", or "owner/name@revision".

    What takes words comes along where its vectors are in the same space and there is a `tokenizer.json`.

    Raises:
        UsageError: there cannot be such a repository or layer, or more has to be said.
        ModelError: there is none, it has no ONNX file or one that is refused, or asks for what is not done here.
        StorageError: the disk is full or failing.
    """
    name, _, revision = request.name.partition("@")
    repository = huggingface_hub.repository(name, request.options.revision or revision or None, request.progress)
    files, config = _files(repository), _document(repository, "config.json")
    prepared = preparation(_preprocessor(repository), request.options, _source(repository))
    fetched = [repository.fetch(files.image)]
    request.progress(ImportProgress("reading"))
    model = onnx_safety.read(fetched[0].path)
    image = _image(model, request.options.output, prepared.preprocessing.size, _source(repository))
    text_tower, beside = None, huggingface_text.output_beside(image.output, repository, config)
    if beside and files.text:
        fetched.append(repository.fetch(files.text))
        request.progress(ImportProgress("reading"))
        model = onnx_safety.read(fetched[1].path)
    if beside and huggingface_text.takes_words(model):
        text_tower = huggingface_text.text_tower(model, beside, repository, config)
    return ImportedNetwork(
        graph=image.graph,
        layout="NCHW",
        preprocessing=prepared.preprocessing,
        normalization=prepared.normalization,
        source=_source(repository),
        licence=request.options.licence or repository.licence,
        sha256=_digest([file.sha256 for file in fetched]),
        output=image.output,
        text_tower=text_tower,
        version=repository.commit,
    )


@dataclass(frozen=True)
class _Files:
    """The ONNX file that takes pictures, and the one of its own that words have, if any."""

    image: str
    text: str | None


@dataclass(frozen=True)
class _Image:
    """What takes pictures, and the name of its output."""

    graph: ov.Model
    output: str


def _source(repository: Repository) -> str:
    return f"hf:{repository.name}"


def _files(repository: Repository) -> _Files:
    for folder in _FOLDERS:
        image, text, both = (f"{folder}{name}.onnx" for name in ("vision_model", "text_model", "model"))
        if image in repository.files:
            return _whole(repository, _Files(image, text if text in repository.files else None))
        if both in repository.files:
            return _whole(repository, _Files(both, None))
    raise ModelError(
        f"{_source(repository)}: it has neither onnx/vision_model.onnx nor onnx/model.onnx; {_elsewhere(repository)}"
    )


def _whole(repository: Repository, files: _Files) -> _Files:
    """Refuses files that are not whole before they are downloaded."""
    for path in filter(None, (files.image, files.text)):
        data = next((other for other in repository.files if other.startswith(_data_names(path))), None)
        if data:
            raise ModelError(
                f"{_source(repository)}: {path} has its weights in another file, {data}, which is not read;"
                f" {_elsewhere(repository)}"
            )
    return files


def _data_names(path: str) -> tuple[str, ...]:
    return tuple(path + ending for ending in _DATA)


def _elsewhere(repository: Repository) -> str:
    """What to do about a repository without a file that can be used."""
    owner, _, name = repository.name.partition("/")
    if owner == "timm":
        return f"import it by its name in timm: lookalike models import timm:{name}"
    if any(path.startswith("open_clip_") for path in repository.files):
        return "it is one of OpenCLIP's: import it as open_clip:MODEL/TAG, such as open_clip:ViT-B-32/laion2b_s34b_b79k"
    return (
        "if timm or OpenCLIP have the network, import it as timm:NAME or open_clip:MODEL/TAG; or make a file of it"
        f" (optimum-cli export onnx --model {repository.name} FOLDER) and import that (FOLDER/model.onnx)"
    )


def _document(repository: Repository, path: str) -> Mapping[str, Any]:
    """What a JSON file says, {} where there is none."""
    if path not in repository.files:
        return {}
    told = repository.document(path)
    if not isinstance(told, dict):
        raise ModelError(f"{_source(repository)}: its {path} makes no sense")
    return told


def _preprocessor(repository: Repository) -> Mapping[str, Any]:
    """How pictures are prepared; newer versions of transformers write that into a file with how words are."""
    told = _document(repository, "preprocessor_config.json")
    return told or _document(repository, "processor_config.json").get("image_processor") or {}


def _image(model: ov.Model, output: str | None, size: int, source: str) -> _Image:
    """The part that takes pictures, up to an output, with nothing else to give to it."""
    pixels = _pixels(model, source)
    names = {name for port in model.outputs for name in port.get_names()}
    try:
        model.reshape({pixels.output(0): _with_sides(pixels.get_partial_shape(), size)})
        graph, name = output_layer.cut(model, output or next((name for name in _OUTPUTS if name in names), None))
        taken = [port.get_node() for port in graph.inputs if input_name(port) == input_name(pixels.output(0))]
        return _Image(ov.Model([graph.outputs[0].get_node().input_value(0)], taken, "image"), name)
    except FAILURES as error:
        raise ModelError(
            f"{source}: its ONNX file cannot be used for pictures of {size} x {size}: {reason(error)}"
        ) from error


def _pixels(model: ov.Model, source: str) -> Any:
    """The input that takes pictures."""
    nodes = {input_name(port): port.get_node() for port in model.inputs}
    ranks = {name: node.get_partial_shape().rank for name, node in nodes.items()}
    fitting = [name for name, rank in ranks.items() if rank.is_static and rank.get_length() == 4]
    if len(fitting) != 1:
        raise ModelError(
            f"{source}: of the inputs of its ONNX file ({', '.join(nodes)}), none, or more than one, takes pictures"
        )
    return nodes[fitting[0]]


def _with_sides(shape: ov.PartialShape, size: int) -> ov.PartialShape:
    """Puts numbers where the file leaves them open."""
    usual = [ov.Dimension(-1), ov.Dimension(3), ov.Dimension(size), ov.Dimension(size)]
    return ov.PartialShape([usual[i] if shape[i].is_dynamic else shape[i] for i in range(4)])


def _digest(sha256s: Sequence[str]) -> str:
    """That of the file, or of the digests of several."""
    return sha256s[0] if len(sha256s) == 1 else hashlib.sha256("".join(sha256s).encode()).hexdigest()
