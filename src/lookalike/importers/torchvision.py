"""Fetches networks that torchvision has weights for: `torchvision:resnet50/IMAGENET1K_V2`.

torchvision builds the network and says how it wants its pictures; the weights come with Lookalike's own downloads from
where it says that they are. torchvision itself fetches nothing.
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
from lookalike.importers.error_summary import reason
from lookalike.importers.torch_export import converted, imported, quietly

_LICENCE = "BSD-3-Clause"  # torchvision's own, which its weights come under where it says nothing else


def fetch(request: ImportRequest) -> ImportedNetwork:
    """A network of torchvision's that tells what is in pictures, by its name and its weights', "vgg16/IMAGENET1K_V1".

    Where no weights are named, it has torchvision's default ones. Its vectors are what its last layer takes.

    Raises:
        UsageError: there is none of that name, or it cannot be as it is wished.
        ModelError: its weights are refused or cannot be fetched, or it cannot be converted.
        MissingExtraError: torchvision is not installed.
    """
    options, progress = request.options, request.progress
    progress(ImportProgress("loading torchvision"))
    name, _, weights_name = request.name.partition("/")
    weights = _weights(name, weights_name)
    source = f"torchvision:{name}/{weights.name}"
    options.refuse(source, "output", "revision")
    preprocessing, normalization = _preparation(weights, options)
    file = download.file(weights.url, progress, checksum=torch_checkpoint.checksum(weights.url))
    progress(ImportProgress("converting"))
    with quietly():
        module = _built(name, weights, file.path, source)
        last = _without_last_layer(module)
        graph = converted(module, _example(preprocessing.size))
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
    return imported("torchvision", "torchvision", "torch").models


def _weights(name: str, weights_name: str) -> Any:
    """The member of a WeightsEnum."""
    models = _models()
    known = models.list_models(module=models)  # those of its other modules find objects, or work on films
    if name not in known:
        near = difflib.get_close_matches(name, known, n=5) or known
        raise UsageError(f"torchvision:{name}: torchvision has no such classifier; there are {', '.join(near)}")
    choice = models.get_model_weights(name)
    try:
        return choice[weights_name or "DEFAULT"]
    except KeyError:
        hint = f"there are {', '.join(weights.name for weights in choice)}" if len(choice) else "take another network"
        raise UsageError(f"torchvision:{name}/{weights_name}: torchvision has no such weights; {hint}") from None


def _preparation(weights: Any, options: ImportOptions) -> tuple[Preprocessing, Normalization | None]:
    """How pictures become what the network takes, as torchvision's own transform does it, unless wished otherwise."""
    told = weights.transforms()
    [kept], [scaled] = told.crop_size, told.resize_size
    preprocessing = Preprocessing(size=kept, crop=kept / scaled, resample=told.interpolation.value)
    return options.preprocessing(preprocessing), options.normalization(
        Normalization.from_unit_range(told.mean, told.std)
    )


def _built(name: str, weights: Any, path: Path, source: str) -> Any:
    """torchvision's module with the weights in a file."""
    with _loaded(weights, torch_checkpoint.read(path, source)):
        try:
            return _models().get_model(name, weights=weights)
        except Exception as error:  # of whatever type: the file is a stranger's
            raise ModelError(f"{source}: torchvision cannot load {path.name}: {reason(error)}") from error


@contextmanager
def _loaded(weights: Any, state: Mapping[str, Any]) -> Iterator[None]:
    """torchvision takes these for what it would have downloaded.

    With them it builds some networks otherwise than without, for pictures that are larger, or scaled in another way;
    and it knows the names that layers have in older files.
    """
    kind = type(weights)
    kind.get_state_dict = lambda *_, **__: state
    try:
        yield
    finally:
        del kind.get_state_dict  # the one that it inherits is in effect again


def _without_last_layer(module: Any) -> str:
    """Takes the layer out that tells classes apart, and says which one it was.

    It is the last that is fully connected, and in networks without any, SqueezeNets, the last convolution.
    """
    from torch import nn

    for kind in (nn.Linear, nn.Conv2d):
        names: list[str] = [name for name, layer in module.named_modules() if isinstance(layer, kind)]
        if names:
            parent, _, own = names[-1].rpartition(".")
            setattr(module.get_submodule(parent), own, nn.Identity())
            return names[-1]
    raise ModelError(f"{type(module).__name__}: it has no layer that tells classes apart")


def _example(size: int) -> Any:
    import torch

    return torch.zeros(1, 3, size, size)
