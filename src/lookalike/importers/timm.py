"""Fetches networks that timm has weights for: `timm:resnet50.a1_in1k`.

timm builds the network and says how it wants its pictures; the weights come with Lookalike's own downloads, from the
Hugging Face hub or where else timm says that they are. timm itself fetches nothing.
"""

import difflib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.encoders.card import Normalization
from lookalike.errors import ModelError, UsageError
from lookalike.images.decode import Fit, Preprocessing, Resample
from lookalike.importers import torch_checkpoint
from lookalike.importers.base import ImportedNetwork, ImportOptions, ImportProgress, ImportRequest, OnProgress
from lookalike.importers.download import download, huggingface_hub
from lookalike.importers.error_summary import reason
from lookalike.importers.torch_export import converted, imported, quietly

_FITS: dict[str, Fit] = {"center": "crop", "squash": "squash"}  # by timm's names
_RESAMPLES: dict[str, Resample] = {
    "nearest": "nearest",
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "lanczos": "lanczos",
    "random": "bilinear",  # any of them while it is trained
}
_FILES = ("model.safetensors", "pytorch_model.bin")  # on the hub; the first that is there is taken


def fetch(request: ImportRequest) -> ImportedNetwork:
    """A network of timm's by its name and its weights' tag, "resnet50.a1_in1k"; without a tag, with its usual weights.

    Its vectors are what its classifier takes.

    Raises:
        UsageError: there is none of that name, or it cannot be as it is wished.
        ModelError: its weights are refused or cannot be fetched, or it cannot be converted.
        MissingExtraError: timm is not installed.
    """
    options, progress = request.options, request.progress
    progress(ImportProgress("loading timm"))
    listed = _listed(request.name)
    options.refuse(listed.source, "output")
    preprocessing, normalization = _preparation(listed, options)
    weights = _weights(listed, options.revision, progress)
    progress(ImportProgress("converting"))
    return ImportedNetwork(
        graph=_graph(listed, weights.file.path, preprocessing.size),
        layout="NCHW",
        preprocessing=preprocessing,
        normalization=normalization,
        source=listed.source,
        licence=options.licence or listed.licence or weights.licence,
        sha256=weights.file.sha256,
        output=listed.output,
        version=weights.version,
    )


@dataclass(frozen=True)
class _Listed:
    """An entry of timm's list.

    Attributes:
        name: of the network and the tag of its weights: "resnet50.a1_in1k".
        cfg: timm's PretrainedCfg.
    """

    name: str
    cfg: Any

    @property
    def source(self) -> str:
        return f"timm:{self.name}"

    @property
    def licence(self) -> str:
        return "" if self.cfg.license in (None, "unknown") else str(self.cfg.license)

    @property
    def output(self) -> str:
        """Where its vectors come from."""
        named = self.cfg.classifier if self.cfg.num_classes else None
        classifiers = [named] if isinstance(named, str) else named or ()
        return f"before {' and '.join(classifiers)}" if classifiers else "features"


@dataclass(frozen=True)
class _Weights:
    """A file of weights, and the licence and the commit that are named where it comes from."""

    file: download.Downloaded
    licence: str = ""
    version: str = ""


def _timm() -> Any:
    return imported("timm", "timm", "torch")


def _listed(name: str) -> _Listed:
    timm = _timm()
    architecture, _, tag = name.partition(".")
    if architecture not in timm.list_models():
        near = difflib.get_close_matches(name, timm.list_pretrained() if tag else timm.list_models(), n=5)
        hint = f"; near are {', '.join(near)}" if near else "; see timm.list_pretrained() for those that there are"
        raise UsageError(f"timm:{name}: timm has no network {architecture!r}{hint}")
    with_weights = timm.list_pretrained(f"{architecture}.*")
    cfg = timm.get_pretrained_cfg(name) if not tag or name in with_weights else None
    if cfg is None or not cfg.has_weights:
        hint = f"there are {', '.join(with_weights)}" if with_weights else "take another network"
        raise UsageError(f"timm:{name}: timm has no such weights; {hint}")
    return _Listed(f"{architecture}.{cfg.tag}" if cfg.tag else architecture, cfg)


def _preparation(listed: _Listed, options: ImportOptions) -> tuple[Preprocessing, Normalization | None]:
    """How pictures become what the network takes, as timm's own transform does it, unless wished otherwise."""
    with quietly():
        from timm.data import resolve_data_config

        told = resolve_data_config({}, pretrained_cfg=listed.cfg.to_dict())
    _, height, width = told["input_size"]
    if options.size is None and height != width:
        raise UsageError(f"{listed.source}: it takes pictures of {width} x {height}, which are not square; give --size")
    fit = options.fit or _FITS.get(told["crop_mode"])
    if fit is None:
        raise UsageError(
            f"{listed.source}: it wants whole pictures with borders around them, which Lookalike does not make;"
            " give --fit crop or --fit squash to have them otherwise"
        )
    size = options.size or height
    scaled = max(size, math.floor(size / told["crop_pct"]))  # to which timm scales before it cuts
    preprocessing = Preprocessing(size, crop=size / scaled, resample=_RESAMPLES[told["interpolation"]], fit=fit)
    return options.preprocessing(preprocessing), options.normalization(
        Normalization.from_unit_range(told["mean"], told["std"])
    )


def _weights(listed: _Listed, revision: str | None, progress: OnProgress) -> _Weights:
    if not listed.cfg.hf_hub_id:
        if revision is not None:
            raise UsageError(f"{listed.source}: there is one version of its weights; leave --revision out")
        return _Weights(download.file(listed.cfg.url, progress, checksum=torch_checkpoint.checksum(listed.cfg.url)))
    repository = huggingface_hub.repository(listed.cfg.hf_hub_id, revision, progress)
    for name in _FILES:
        if name in repository.files:
            return _Weights(repository.fetch(name), repository.licence, repository.commit)
    raise ModelError(f"{listed.source}: {repository.name} on the Hugging Face hub has no {' and no '.join(_FILES)}")


def _graph(listed: _Listed, weights: Path, size: int) -> Any:
    """An openvino.Model from pictures, float32 (n, 3, size, size), to what its classifier takes."""
    with quietly():
        import torch

        module = _built(listed, weights, size)
        return converted(module, torch.zeros(1, 3, size, size))


def _built(listed: _Listed, weights: Path, size: int) -> Any:
    """timm's module with these weights, without its classifier.

    It is built with it, as timm then insists on weights for each of the layers and no others.
    """
    if weights.suffix != ".safetensors":
        torch_checkpoint.read(weights, listed.source, device="meta")  # not every version of timm refuses code
    from_file = {"file": str(weights), "custom_load": False, "url": None, "hf_hub_id": None}
    sized = {"img_size": size} if listed.cfg.fixed_input_size else {}
    try:
        module = _timm().create_model(listed.name, pretrained=True, pretrained_cfg_overlay=from_file, **sized)
        module.reset_classifier(0)
    except Exception as error:  # of whatever type: the file is a stranger's
        if size != listed.cfg.input_size[-1]:
            raise UsageError(f"{listed.source}: it cannot be built for --size {size}: {reason(error)}") from error
        raise ModelError(f"{listed.source}: timm cannot load {weights.name}: {reason(error)}") from error
    return module
