"""Fetches networks with words that OpenCLIP lists: `open_clip:ViT-B-32/laion2b_s34b_b79k`.

OpenCLIP builds the network and says how it wants its pictures; the weights, and the tokenizers of some, come from the
Hugging Face hub with Lookalike's own downloads. OpenCLIP itself fetches nothing.
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
from lookalike.importers.error_summary import reason
from lookalike.importers.torch_export import converted, imported, quietly

_FITS: dict[str, Fit] = {"shortest": "crop", "squash": "squash"}  # by OpenCLIP's names
_SHOWN = 8  # of a model's weights, in a message
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "config.json")


def fetch(request: ImportRequest) -> ImportedNetwork:
    """The network of a model and a tag in OpenCLIP's list, "ViT-B-32/laion2b_s34b_b79k", with its words.

    Raises:
        UsageError: there is none of that name, or a layer is asked for.
        ModelError: it takes what cannot be converted or may not be loaded, or it cannot be fetched.
        MissingExtraError: OpenCLIP is not installed.
    """
    listed, options, progress = _listed(request.name), request.options, request.progress
    options.refuse(listed.source, "output")
    repository = huggingface_hub.repository(listed.repository, options.revision, progress)
    weights_file = listed.weights_file(repository)
    progress(ImportProgress("preparing the tokenizer"))
    tokenizer = _tokenizer(listed, repository, progress)
    with quietly():
        pieces = tokenizer_export.converted(tokenizer, listed.source)
    weights = repository.fetch(weights_file)
    progress(ImportProgress("building the network"))
    model = _built(listed, weights.path, options.size)
    preprocessing, normalization = _preparation(listed, model, options)
    progress(ImportProgress("converting the part that takes pictures"))
    pictures = converted(_tower(model, model.encode_image), _example(preprocessing.size))
    progress(ImportProgress("converting the part that takes words"))
    text_tower = converted(_tower(model, model.encode_text), tokenizer(["a photo of a cat"]))
    text_tower.reshape([1, tokenizer.context_length])
    return ImportedNetwork(
        graph=pictures,
        layout="NCHW",
        preprocessing=preprocessing,
        normalization=normalization,
        source=listed.source,
        licence=options.licence or repository.licence,
        sha256=weights.sha256,
        output="encode_image",
        text_tower=TextTower(text_tower, pieces, tokenizer.context_length, unescapes=True),
        version=repository.commit,
    )


@dataclass(frozen=True)
class _Listed:
    """An entry of OpenCLIP's list.

    Attributes:
        model: the name of the architecture.
        tag: the name of the weights.
        facts: what the list says of the weights: where they are, how pictures are prepared for them.
        config: how the network is built.
    """

    model: str
    tag: str
    facts: dict[str, Any]
    config: dict[str, Any]

    @property
    def source(self) -> str:
        return f"open_clip:{self.model}/{self.tag}"

    @property
    def repository(self) -> str:
        return str(self.facts["hf_hub"]).rpartition("/")[0]

    def weights_file(self, repository: huggingface_hub.Repository) -> str:
        """The one that OpenCLIP would load, where there is a choice the one without a pickle."""
        named = str(self.facts["hf_hub"]).rpartition("/")[2] or "open_clip_pytorch_model.bin"
        safe = "open_clip_model" if named == "open_clip_pytorch_model.bin" else Path(named).stem
        for file in (f"{safe}.safetensors", named):
            if file in repository.files:
                return file
        raise ModelError(
            f"{self.source}: there is no {named} in {self.repository} on the Hugging Face hub, at commit"
            f" {repository.commit[:8]}; choose another --revision, or other weights"
        )


def _listed(name: str) -> _Listed:
    open_clip = _open_clip()
    model, _, tag = name.partition("/")
    models = {known.lower(): known for known, _ in open_clip.list_pretrained()}
    if model not in models.values():
        near = [models[found] for found in difflib.get_close_matches(model.lower(), models, n=5)]
        raise UsageError(
            f"open_clip:{name}: OpenCLIP lists no model {model!r}; there are {', '.join(near or models.values())}"
        )
    tags = open_clip.list_pretrained_tags_by_model(model)
    tag = tag.lower().replace("-", "_")  # as OpenCLIP does
    if tag not in tags:
        near = difflib.get_close_matches(tag, tags, n=5)
        choice = [*near, *(other for other in tags if other not in near)]
        more = f" and {len(choice) - _SHOWN} more" if len(choice) > _SHOWN else ""
        raise UsageError(
            f"open_clip:{name}: say which weights it should have, as in open_clip:{model}/{choice[0]};"
            f" there are {', '.join(choice[:_SHOWN])}{more}"
        )
    found = _Listed(model, tag, open_clip.get_pretrained_cfg(model, tag), open_clip.get_model_config(model))
    _check(found)
    return found


def _check(listed: _Listed) -> None:
    """Refuses what cannot be imported before anything of it is downloaded."""
    if not listed.facts.get("hf_hub"):
        raise ModelError(
            f"{listed.source}: its weights are not on the Hugging Face hub, but in an old PyTorch file at"
            f" {listed.facts.get('url') or 'no known place'}, which may hold code; choose other weights"
        )
    text = listed.config["text_cfg"]
    if "hf_model_name" in text:
        raise ModelError(
            f"{listed.source}: its words are taken by {text['hf_model_name']}, a network that transformers would have"
            " to fetch; choose a model whose words OpenCLIP takes itself, such as ViT-B-32"
        )
    if text.get("tokenizer_kwargs", {}).get("strip_sep_token"):
        raise ModelError(
            f"{listed.source}: it takes tokens out after its tokenizer, {text['hf_tokenizer_name']}, which cannot be"
            " converted; choose another model"
        )
    if listed.facts["resize_mode"] not in _FITS:
        raise ModelError(
            f"{listed.source}: it wants whole pictures with borders around them (resize_mode"
            f" {listed.facts['resize_mode']!r}), which Lookalike does not make; choose another model"
        )


def _open_clip() -> Any:
    return imported("open_clip", "OpenCLIP", "clip")


def _tokenizer(listed: _Listed, repository: huggingface_hub.Repository, progress: OnProgress) -> Any:
    """OpenCLIP's own, a SimpleTokenizer, which comes with it, or an HFTokenizer, whose files are on the hub."""
    text = listed.config["text_cfg"]
    if not text.get("hf_tokenizer_name"):
        with quietly():
            return _open_clip().get_tokenizer(listed.model)
    named = text["hf_tokenizer_name"]
    holder = repository if named == listed.repository else huggingface_hub.repository(named, None, progress)
    with tempfile.TemporaryDirectory() as folder:
        for name in _TOKENIZER_FILES:
            if name in holder.files:
                (Path(folder) / name).write_bytes(holder.fetch(name).path.read_bytes())
        return _of_transformers(listed, folder)


def _of_transformers(listed: _Listed, folder: str) -> Any:
    text = listed.config["text_cfg"]
    with quietly():
        from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer

        try:
            return HFTokenizer(
                folder,
                context_length=text.get("context_length", DEFAULT_CONTEXT_LENGTH),
                tokenizer_mode=text.get("tokenizer_mode"),
                **text.get("tokenizer_kwargs", {}),
                local_files_only=True,
                trust_remote_code=False,
            )
        except ModuleNotFoundError as error:
            raise ModelError(
                f"{listed.source}: its tokenizer takes the package {error.name}, which is not installed;"
                f" install it with: pip install {error.name}"
            ) from error
        except Exception as error:  # whatever stops transformers
            raise ModelError(f"{listed.source}: its tokenizer cannot be loaded: {reason(error)}") from error


def _built(listed: _Listed, weights: Path, size: int | None) -> Any:
    """OpenCLIP's network with these weights, prepared as the list says of the tag that they have there.

    The list's own "quick_gelu" is heeded, which OpenCLIP only warns of: the weights were trained with it.
    """
    preparation = {name: listed.facts[name] for name in ("mean", "std", "interpolation", "resize_mode")}
    open_clip = _open_clip()
    with quietly():
        try:
            return open_clip.create_model(
                listed.model,
                pretrained=str(weights),
                weights_only=True,
                require_pretrained=True,
                force_quick_gelu=bool(listed.facts.get("quick_gelu")),
                force_image_size=size,
                force_preprocess_cfg=preparation,
            ).eval()
        except Exception as error:  # of whatever type: the file is a stranger's
            other_size = "" if size is None else f", perhaps for the size of {size}, which not every network can have"
            raise ModelError(f"{listed.source}: OpenCLIP cannot load it{other_size}: {reason(error)}") from error


def _preparation(listed: _Listed, model: Any, options: ImportOptions) -> tuple[Preprocessing, Normalization | None]:
    """How pictures become what the network takes, as OpenCLIP's own transform does it, unless wished otherwise."""
    told = _open_clip().get_model_preprocess_cfg(model)
    height, width = (told["size"],) * 2 if isinstance(told["size"], int) else told["size"]
    if height != width:
        raise ModelError(
            f"{listed.source}: it takes pictures of {width} x {height} pixels, and Lookalike makes squares"
        )
    resample: Resample = "bilinear" if told["interpolation"] == "bilinear" else "bicubic"
    preprocessing = Preprocessing(width, crop=1.0, resample=resample, fit=_FITS[told["resize_mode"]])
    return options.preprocessing(preprocessing), options.normalization(
        Normalization.from_unit_range(told["mean"], told["std"])
    )


def _tower(model: Any, encode: Callable[..., Any]) -> Any:
    """A module that does nothing else of what the model can do, and leaves its vectors as long as they come."""
    import torch

    class Tower(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, taken: torch.Tensor) -> torch.Tensor:
            return encode(taken, normalize=False)

    return Tower()


def _example(size: int) -> Any:
    import torch

    return torch.zeros(1, 3, size, size)
