"""Imports networks that timm has weights for: `timm:resnet50.a1_in1k`.

timm builds the network and says how images are prepared for it. The weights come from the Hugging Face hub, or from the
address that timm gives, by Lookalike's own downloads; timm itself downloads nothing.
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
from lookalike.importers.error_summary import one_line
from lookalike.importers.third_party import optional_module, silenced
from lookalike.importers.torch_export import example_image, to_openvino

_FITS: dict[str, Fit] = {"center": "crop", "squash": "squash"}  # by timm's crop_mode
_RESAMPLES: dict[str, Resample] = {
    "nearest": "nearest",
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "lanczos": "lanczos",
    "random": "bilinear",  # any of them, in training
}
_FILES = ("model.safetensors", "pytorch_model.bin")  # on the hub; the first of them that exists is taken


def fetch(request: ImportRequest) -> ImportedNetwork:
    """Returns the network of a name and a tag in timm's list, "resnet50.a1_in1k"; by default with its default tag.

    Its vectors are the input of its classifier.

    Raises:
        UsageError: there is no such model or tag, or an option does not apply.
        ModelError: its weights are refused or cannot be downloaded, or it cannot be converted.
        MissingExtraError: timm is not installed.
    """
    options, progress = request.options, request.progress
    progress(ImportProgress("loading timm"))
    entry = _entry(request.name)
    options.reject(entry.source, "output")
    preprocessing, normalization = _preparation(entry, options)
    weights = _weights(entry, options.revision, progress)
    progress(ImportProgress("converting"))
    with silenced():
        graph = to_openvino(_load(entry, weights.file.path, preprocessing.size), example_image(preprocessing.size))
    return ImportedNetwork(
        graph=graph,
        layout="NCHW",
        preprocessing=preprocessing,
        normalization=normalization,
        source=entry.source,
        licence=options.licence or entry.licence or weights.licence,
        sha256=weights.file.sha256,
        output=entry.output,
        version=weights.version,
    )


@dataclass(frozen=True)
class _Entry:
    """An entry of timm's list.

    Attributes:
        name: of the architecture, and the tag of its weights: "resnet50.a1_in1k".
        config: timm's PretrainedCfg.
    """

    name: str
    config: Any

    @property
    def source(self) -> str:
        return f"timm:{self.name}"

    @property
    def licence(self) -> str:
        return "" if self.config.license in (None, "unknown") else str(self.config.license)

    @property
    def output(self) -> str:
        """The layer that its vectors come from."""
        named = self.config.classifier if self.config.num_classes else None
        classifiers = [named] if isinstance(named, str) else named or ()
        return f"before {' and '.join(classifiers)}" if classifiers else "features"


@dataclass(frozen=True)
class _Weights:
    """A file of weights, and the licence and the commit that its repository gives; "" if there are none."""

    file: download.Downloaded
    licence: str = ""
    version: str = ""


def _timm() -> Any:
    return optional_module("timm", "timm", "torch")


def _entry(name: str) -> _Entry:
    timm = _timm()
    architecture, _, tag = name.partition(".")
    if architecture not in timm.list_models():
        similar = difflib.get_close_matches(name, timm.list_pretrained() if tag else timm.list_models(), n=5)
        advice = f"similar names are {', '.join(similar)}" if similar else "see timm.list_pretrained()"
        raise UsageError(f"timm:{name}: timm has no model {architecture!r}; {advice}")
    with_weights = timm.list_pretrained(f"{architecture}.*")
    config = timm.get_pretrained_cfg(name) if not tag or name in with_weights else None
    if config is None or not config.has_weights:
        advice = f"there are {', '.join(with_weights)}" if with_weights else "choose another model"
        raise UsageError(f"timm:{name}: timm has no such weights; {advice}")
    return _Entry(f"{architecture}.{config.tag}" if config.tag else architecture, config)


def _preparation(entry: _Entry, options: ImportOptions) -> tuple[Preprocessing, Normalization | None]:
    """How timm's own transform prepares images, changed as the user specifies."""
    with silenced():
        from timm.data import resolve_data_config

        config = resolve_data_config({}, pretrained_cfg=entry.config.to_dict())
    _, height, width = config["input_size"]
    if options.size is None and height != width:
        raise UsageError(f"{entry.source}: it takes images of {width} x {height}, which are not square; give `size`")
    fit = options.fit or _FITS.get(config["crop_mode"])
    if fit is None:
        raise UsageError(
            f"{entry.source}: it takes whole images with borders around them, which Lookalike does not support;"
            " give `fit`, crop or squash, to prepare them otherwise"
        )
    size = options.size or height
    scaled = max(size, math.floor(size / config["crop_pct"]))  # pixels; timm scales to this and then crops
    preprocessing = Preprocessing(size, crop=size / scaled, resample=_RESAMPLES[config["interpolation"]], fit=fit)
    normalization = Normalization.from_unit_range(config["mean"], config["std"])
    return options.preprocessing(preprocessing), options.normalization(normalization)


def _weights(entry: _Entry, revision: str | None, progress: OnProgress) -> _Weights:
    if not entry.config.hf_hub_id:
        if revision is not None:
            raise UsageError(f"{entry.source}: there is one version of its weights; leave out `revision`")
        url = entry.config.url
        return _Weights(download.file(url, progress, checksum=torch_checkpoint.checksum(url)))
    repository = huggingface_hub.repository(entry.config.hf_hub_id, revision, progress)
    for name in _FILES:
        if name in repository.files:
            return _Weights(repository.fetch(name), repository.licence, repository.commit)
    raise ModelError(f"{entry.source}: {repository.name} on the Hugging Face hub has no {' and no '.join(_FILES)}")


def _load(entry: _Entry, weights: Path, size: int) -> Any:
    """timm's module with these weights, without its classifier.

    It is built with the classifier, as timm then requires weights for each of its layers and for no others.
    """
    if weights.suffix != ".safetensors":
        torch_checkpoint.read(weights, entry.source, device="meta")  # not every version of timm refuses code
    from_file = {"file": str(weights), "custom_load": False, "url": None, "hf_hub_id": None}
    sized = {"img_size": size} if entry.config.fixed_input_size else {}
    try:
        module = _timm().create_model(entry.name, pretrained=True, pretrained_cfg_overlay=from_file, **sized)
        module.reset_classifier(0)
    except Exception as error:  # of any type: the file is not trusted
        if size != entry.config.input_size[-1]:
            raise UsageError(f"{entry.source}: it cannot be built for the size {size}: {one_line(error)}") from error
        raise ModelError(f"{entry.source}: timm cannot load {weights.name}: {one_line(error)}") from error
    return module
