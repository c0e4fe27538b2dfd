"""Imports image and text encoders that OpenCLIP lists: `open_clip:ViT-B-32/laion2b_s34b_b79k`.

OpenCLIP builds the network and says how images are prepared for it. The weights, and some models' tokenizers, come from
the Hugging Face hub by Lookalike's own downloads; OpenCLIP itself downloads nothing.
"""

import difflib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.encoders.card import Normalization
from lookalike.errors import ModelError, UsageError
from lookalike.images.decode import Fit, Preprocessing, Resample
from lookalike.importers import tokenizer_export
from lookalike.importers.base import (
    ImportedNetwork,
    ImportOptions,
    ImportProgress,
    ImportRequest,
    OnProgress,
    TextTower,
)
from lookalike.importers.download import huggingface_hub
from lookalike.importers.error_summary import one_line
from lookalike.importers.third_party import optional_module, silenced
from lookalike.importers.torch_export import example_image, to_openvino
from lookalike.system import scratch

_FITS: dict[str, Fit] = {"shortest": "crop", "squash": "squash"}  # by OpenCLIP's resize_mode
_MAX_SHOWN = 8  # tags listed in a message
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "config.json")


def fetch(request: ImportRequest) -> ImportedNetwork:
    """Returns the network of a model and a tag in OpenCLIP's list, "ViT-B-32/laion2b_s34b_b79k", with its text tower.

    Raises:
        UsageError: there is no such model or tag, or the option `output` is given.
        ModelError: it cannot be converted, its weights are refused, or it cannot be downloaded.
        MissingExtraError: OpenCLIP is not installed.
    """
    entry, options, progress = _entry(request.name), request.options, request.progress
    options.reject(entry.source, "output")
    repository = huggingface_hub.repository(entry.repository, options.revision, progress)
    weights_file = entry.weights_file(repository)
    progress(ImportProgress("preparing the tokenizer"))
    tokenizer = _tokenizer(entry, repository, progress)
    with silenced():
        tokenizer_json = tokenizer_export.to_tokenizer_json(tokenizer, entry.source)
    weights = repository.fetch(weights_file)
    progress(ImportProgress("building the network"))
    model = _load(entry, weights.path, options.size)
    preprocessing, normalization = _preparation(entry, model, options)
    progress(ImportProgress("converting the image tower"))
    image_graph = to_openvino(_tower(model, model.encode_image), example_image(preprocessing.size))
    progress(ImportProgress("converting the text tower"))
    text_graph = to_openvino(_tower(model, model.encode_text), tokenizer(["a photo of a cat"]))
    text_graph.reshape([1, tokenizer.context_length])
    return ImportedNetwork(
        graph=image_graph,
        layout="NCHW",
        preprocessing=preprocessing,
        normalization=normalization,
        source=entry.source,
        licence=options.licence or repository.licence,
        sha256=weights.sha256,
        output="encode_image",
        text_tower=TextTower(text_graph, tokenizer_json, tokenizer.context_length, unescapes=True),
        version=repository.commit,
    )


@dataclass(frozen=True)
class _Entry:
    """An entry of OpenCLIP's list.

    Attributes:
        model: the name of the architecture.
        tag: the name of the weights.
        weights: where the weights are, and how images are prepared for them.
        config: how the network is built.
    """

    model: str
    tag: str
    weights: dict[str, Any]
    config: dict[str, Any]

    @property
    def source(self) -> str:
        return f"open_clip:{self.model}/{self.tag}"

    @property
    def repository(self) -> str:
        return str(self.weights["hf_hub"]).rpartition("/")[0]

    def weights_file(self, repository: huggingface_hub.Repository) -> str:
        """Returns the path of the file that OpenCLIP would load, or of the same weights as safetensors."""
        named = str(self.weights["hf_hub"]).rpartition("/")[2] or "open_clip_pytorch_model.bin"
        safe = "open_clip_model" if named == "open_clip_pytorch_model.bin" else Path(named).stem
        for file in (f"{safe}.safetensors", named):
            if file in repository.files:
                return file
        raise ModelError(
            f"{self.source}: there is no {named} in {self.repository} on the Hugging Face hub, at commit"
            f" {repository.commit[:8]}; choose another `revision`, or other weights"
        )


def _entry(name: str) -> _Entry:
    open_clip = _open_clip()
    model, _, tag = name.partition("/")
    models = {known.lower(): known for known, _ in open_clip.list_pretrained()}
    if model not in models.values():
        similar = [models[found] for found in difflib.get_close_matches(model.lower(), models, n=5)]
        raise UsageError(
            f"open_clip:{name}: OpenCLIP lists no model {model!r}; there are {', '.join(similar or models.values())}"
        )
    tags = open_clip.list_pretrained_tags_by_model(model)
    tag = tag.lower().replace("-", "_")  # as OpenCLIP does
    if tag not in tags:
        similar = difflib.get_close_matches(tag, tags, n=5)
        choice = [*similar, *(other for other in tags if other not in similar)]
        more = f" and {len(choice) - _MAX_SHOWN} more" if len(choice) > _MAX_SHOWN else ""
        raise UsageError(
            f"open_clip:{name}: name the weights too, as in open_clip:{model}/{choice[0]};"
            f" there are {', '.join(choice[:_MAX_SHOWN])}{more}"
        )
    entry = _Entry(model, tag, open_clip.get_pretrained_cfg(model, tag), open_clip.get_model_config(model))
    _check(entry)
    return entry


def _check(entry: _Entry) -> None:
    """Raises ModelError for a model that cannot be imported, before anything is downloaded."""
    if not entry.weights.get("hf_hub"):
        raise ModelError(
            f"{entry.source}: its weights are not on the Hugging Face hub, but in an old PyTorch file at"
            f" {entry.weights.get('url') or 'an unknown address'}, which may hold code; choose other weights"
        )
    text = entry.config["text_cfg"]
    if "hf_model_name" in text:
        raise ModelError(
            f"{entry.source}: its text encoder is {text['hf_model_name']}, which transformers would have to download;"
            " choose a model whose text encoder is OpenCLIP's own, such as ViT-B-32"
        )
    if text.get("tokenizer_kwargs", {}).get("strip_sep_token"):
        raise ModelError(
            f"{entry.source}: it removes tokens after its tokenizer, {text['hf_tokenizer_name']}, which cannot be"
            " converted; choose another model"
        )
    if entry.weights["resize_mode"] not in _FITS:
        raise ModelError(
            f"{entry.source}: it takes whole images with borders around them (resize_mode"
            f" {entry.weights['resize_mode']!r}), which Lookalike does not support; choose another model"
        )


def _open_clip() -> Any:
    return optional_module("open_clip", "OpenCLIP", "clip")


def _tokenizer(entry: _Entry, repository: huggingface_hub.Repository, progress: OnProgress) -> Any:
    """OpenCLIP's tokenizer: a SimpleTokenizer, which comes with it, or an HFTokenizer, whose files are on the hub."""
    text = entry.config["text_cfg"]
    if not text.get("hf_tokenizer_name"):
        with silenced():
            return _open_clip().get_tokenizer(entry.model)
    name = text["hf_tokenizer_name"]
    holder = repository if name == entry.repository else huggingface_hub.repository(name, None, progress)
    with scratch.directory(tempfile.gettempdir(), "lookalike-tokenizer-") as directory:
        for file in _TOKENIZER_FILES:
            if file in holder.files:
                (directory / file).write_bytes(holder.fetch(file).path.read_bytes())
        return _hf_tokenizer(entry, str(directory))


def _hf_tokenizer(entry: _Entry, directory: str) -> Any:
    text = entry.config["text_cfg"]
    with silenced():
        from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer

        try:
            return HFTokenizer(
                directory,
                context_length=text.get("context_length", DEFAULT_CONTEXT_LENGTH),
                tokenizer_mode=text.get("tokenizer_mode"),
                **text.get("tokenizer_kwargs", {}),
                local_files_only=True,
                trust_remote_code=False,
            )
        except ModuleNotFoundError as error:
            raise ModelError(
                f"{entry.source}: its tokenizer needs the package {error.name}, which is not installed;"
                f" install it with: pip install {error.name}"
            ) from error
        except Exception as error:  # of any type: transformers does not document what it raises
            raise ModelError(f"{entry.source}: its tokenizer cannot be loaded: {one_line(error)}") from error


def _load(entry: _Entry, weights: Path, size: int | None) -> Any:
    """OpenCLIP's network with these weights, and with the preprocessing that the list gives for them.

    The list's "quick_gelu" is followed, which the weights were trained with; OpenCLIP only warns about it.
    """
    preparation = {name: entry.weights[name] for name in ("mean", "std", "interpolation", "resize_mode")}
    open_clip = _open_clip()
    with silenced():
        try:
            return open_clip.create_model(
                entry.model,
                pretrained=str(weights),
                weights_only=True,
                require_pretrained=True,
                force_quick_gelu=bool(entry.weights.get("quick_gelu")),
                force_image_size=size,
                force_preprocess_cfg=preparation,
            ).eval()
        except Exception as error:  # of any type: the file is not trusted
            other_size = "" if size is None else f", perhaps because of the size {size}, which not every model supports"
            raise ModelError(f"{entry.source}: OpenCLIP cannot load it{other_size}: {one_line(error)}") from error


def _preparation(entry: _Entry, model: Any, options: ImportOptions) -> tuple[Preprocessing, Normalization | None]:
    """How OpenCLIP's own transform prepares images, changed as the user specifies."""
    config = _open_clip().get_model_preprocess_cfg(model)
    height, width = (config["size"],) * 2 if isinstance(config["size"], int) else config["size"]
    if height != width:
        raise ModelError(f"{entry.source}: it takes images of {width} x {height} pixels, and Lookalike's are square")
    resample: Resample = "bilinear" if config["interpolation"] == "bilinear" else "bicubic"
    preprocessing = Preprocessing(width, crop=1.0, resample=resample, fit=_FITS[config["resize_mode"]])
    normalization = Normalization.from_unit_range(config["mean"], config["std"])
    return options.preprocessing(preprocessing), options.normalization(normalization)


def _tower(model: Any, encode: Callable[..., Any]) -> Any:
    """A module that computes only one of a model's encoders, without normalizing the vectors."""
    import torch

    class Tower(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return encode(batch, normalize=False)

    return Tower()
