"""Imports image classifiers that torchvision has weights for: `torchvision:resnet50/IMAGENET1K_V2`.

torchvision builds the network and says how images are prepared for it. The weights come from the address that it gives,
by Lookalike's own downloads; torchvision itself downloads nothing.
"""

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lookalike.encoders.card import Normalization
from lookalike.errors import ModelError, UsageError
from lookalike.images.decode import Preprocessing
from lookalike.importers import torch_checkpoint
from lookalike.importers.base import ImportedNetwork, ImportOptions, ImportProgress, ImportRequest
from lookalike.importers.download import download
from lookalike.importers.error_summary import one_line
from lookalike.importers.third_party import optional_module, silenced
from lookalike.importers.torch_export import example_image, to_openvino

_LICENCE = "BSD-3-Clause"  # torchvision's own, which applies to its weights unless it names another one


def fetch(request: ImportRequest) -> ImportedNetwork:
    """Returns a classifier of torchvision's by its name and that of its weights, "vgg16/IMAGENET1K_V1".

    Without the second it has torchvision's default weights. Its vectors are the input of its last layer.

    Raises:
        UsageError: there is no such classifier or weights, or an option does not apply.
        ModelError: its weights are refused or cannot be downloaded, or it cannot be converted.
        MissingExtraError: torchvision is not installed.
    """
    request.progress(ImportProgress("loading torchvision"))
    name, _, weights_name = request.name.partition("/")
    weights = _weights(name, weights_name)
    source, options = f"torchvision:{name}/{weights.name}", request.options
    options.reject(source, "output", "revision")
    preprocessing, normalization = _preparation(weights, options)
    file = download.file(weights.url, request.progress, checksum=torch_checkpoint.checksum(weights.url))
    request.progress(ImportProgress("converting"))
    with silenced():
        module = _load(name, weights, file.path, source)
        last = _remove_last_layer(module)
        graph = to_openvino(module, example_image(preprocessing.size))
    return ImportedNetwork(
        graph=graph,
        layout="NCHW",
        preprocessing=preprocessing,
        normalization=normalization,
        source=source,
        licence=options.licence or weights.meta.get("license") or _LICENCE,
        sha256=file.sha256,
        output=f"before {last}",
    )


def _models() -> Any:
    return optional_module("torchvision", "torchvision", "torch").models


def _weights(name: str, weights_name: str) -> Any:
    """The member of a WeightsEnum."""
    models = _models()
    known = models.list_models(module=models)  # its other modules detect objects, segment, or take videos
    if name not in known:
        similar = difflib.get_close_matches(name, known, n=5) or known
        raise UsageError(f"torchvision:{name}: torchvision has no such classifier; there are {', '.join(similar)}")
    choice = models.get_model_weights(name)
    try:
        return choice[weights_name or "DEFAULT"]
    except KeyError:
        advice = f"there are {', '.join(weights.name for weights in choice)}" if len(choice) else "choose another model"
        raise UsageError(f"torchvision:{name}/{weights_name}: torchvision has no such weights; {advice}") from None


def _preparation(weights: Any, options: ImportOptions) -> tuple[Preprocessing, Normalization | None]:
    """How torchvision's own transform prepares images, changed as the user specifies."""
    transform = weights.transforms()
    [kept], [scaled] = transform.crop_size, transform.resize_size
    preprocessing = Preprocessing(size=kept, crop=kept / scaled, resample=transform.interpolation.value)
    normalization = Normalization.from_unit_range(transform.mean, transform.std)
    return options.preprocessing(preprocessing), options.normalization(normalization)


def _load(name: str, weights: Any, path: Path, source: str) -> Any:
    """torchvision's module with the weights in a file."""
    with _downloaded(weights, torch_checkpoint.read(path, source)):
        try:
            return _models().get_model(name, weights=weights)
        except Exception as error:  # of any type: the file is not trusted
            raise ModelError(f"{source}: torchvision cannot load {path.name}: {one_line(error)}") from error


@contextmanager
def _downloaded(weights: Any, state: Mapping[str, Any]) -> Iterator[None]:
    """Lets torchvision take a state for the one it would have downloaded.

    If weights are given, it builds some networks differently, for larger images or another scaling, and it translates
    the names that layers have in older files.
    """
    kind = type(weights)
    kind.get_state_dict = lambda *_, **__: state
    try:
        yield
    finally:
        del kind.get_state_dict  # uncovers the inherited one


def _remove_last_layer(module: Any) -> str:
    """Replaces the layer that computes the classes by the identity, and returns its name.

    It is the last fully connected layer, or, in networks without any (SqueezeNets), the last convolution.
    """
    from torch import nn

    for kind in (nn.Linear, nn.Conv2d):
        names: list[str] = [name for name, layer in module.named_modules() if isinstance(layer, kind)]
        if names:
            parent, _, own = names[-1].rpartition(".")
            setattr(module.get_submodule(parent), own, nn.Identity())
            return names[-1]
    raise ModelError(f"{type(module).__name__}: it has no layer that computes classes")
