"""Shared parts of the tests of PyTorch models: randomized networks, photos, and comparisons of their vectors.

A random network gives nearly the same vector for every image, so that all cosines are near 1 and prove nothing.
Vectors are therefore compared after the mean over all images is subtracted.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from lookalike.encoders.card import Normalization
from lookalike.encoders.openvino.loading import core
from lookalike.images.decode import prepare
from lookalike.importers import encoder_graph
from lookalike.importers.base import ImportedNetwork

Array = NDArray[np.float32]


def photos(folder: Path) -> list[Path]:
    """Writes five JPEGs of 640 x 480 pixels, of waves and discs without sharp edges, in all colours."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.jpg" for number in range(5)]
    for seed, path in enumerate(paths):
        Image.fromarray(_scene(np.random.default_rng(seed))).save(path, quality=90)
    return paths


def _scene(random: np.random.Generator) -> NDArray[np.uint8]:
    y, x = np.indices((480, 640))
    scene = np.empty((480, 640, 3))
    for channel in range(3):
        across, down, phase = random.uniform(-0.03, 0.03, 3), random.uniform(-0.03, 0.03, 3), random.uniform(0, 6, 3)
        waves = np.sin(x[..., None] * across + y[..., None] * down + phase)
        scene[..., channel] = random.uniform(60, 200) + 25 * waves.sum(axis=-1)
    for _ in range(6):
        left, top, radius = random.uniform(0, 640), random.uniform(0, 480), random.uniform(30, 140)
        disc = 1 / (1 + np.exp((np.hypot(x - left, y - top) - radius) / 3))[..., None]
        scene = scene * (1 - disc) + disc * random.uniform(0, 255, 3)
    return scene.clip(0, 255).astype(np.uint8)


def randomized(module: torch.nn.Module) -> torch.nn.Module:
    """Randomizes a network so that every layer affects its output, as in a trained one, and fits its batch norms.

    Many networks are initialized so that whole blocks return zeros. The batch norms are fitted to noise: fitted to
    photos, they would make a random network of fifty layers as sensitive to half a pixel as to another photo.
    """
    random = torch.Generator().manual_seed(1)
    norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d | torch.nn.LayerNorm):
            layer.weight.data.uniform_(0.7, 1.3, generator=random)
            layer.bias.data.uniform_(-0.3, 0.3, generator=random)
        if isinstance(getattr(layer, "gamma", None), torch.nn.Parameter):  # a layer scale
            layer.gamma.data.fill_(0.5)
    module.eval()
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    if norms:
        with torch.no_grad():
            module(torch.randn(4, 3, 96, 96, generator=random))
    return module.eval()


def torch_file(state: Any) -> bytes:
    """The bytes that torch.save writes."""
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def vectors_of(module: torch.nn.Module, inputs: torch.Tensor) -> Array:
    with torch.no_grad():
        vectors: Array = module(inputs).numpy()
    return vectors


def prepared(network: ImportedNetwork, paths: list[Path]) -> NDArray[np.uint8]:
    """The pixels of image files, prepared for a network by Lookalike."""
    return np.stack([prepare(path, network.preprocessing).pixels for path in paths])


def normalized(pixels: NDArray[np.uint8], normalization: Normalization) -> torch.Tensor:
    """Normalized pixels, float32 (n, 3, size, size), as PyTorch's networks take them."""
    planes = (pixels - np.array(normalization.mean)) / np.array(normalization.std)
    return torch.from_numpy(planes.transpose(0, 3, 1, 2).astype(np.float32))


def run(network: ImportedNetwork, pixels: NDArray[np.uint8]) -> Array:
    """The vectors of pixels, uint8 (n, size, size, 3), computed by the finished graph."""
    compiled = core().compile_model(encoder_graph.build(network).graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled(image[None])[0] for image in pixels])


def opened(paths: list[Path]) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in paths]


def least_centred_cosine(found: Array, wanted: Array) -> float:
    """The smallest cosine between vectors after the mean of `wanted` is subtracted from both."""
    assert found.shape == wanted.shape
    mean = wanted.mean(axis=0)
    differences = found - mean, wanted - mean
    first, second = (difference / np.linalg.norm(difference, axis=1, keepdims=True) for difference in differences)
    return float((first * second).sum(axis=1).min())


class Trap:
    """An object whose pickle creates a file when it is loaded by Python's own unpickler."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)

    def state(self) -> dict[str, Any]:
        """A state dict that contains it, once it is certain that loading it creates the file."""
        assert not self.path.exists()
        torch.load(io.BytesIO(torch_file(self)), weights_only=False)
        assert self.path.exists()
        self.path.unlink()
        return {"weight": torch.zeros(1), "trap": self}
