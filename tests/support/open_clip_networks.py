"""Tiny networks of OpenCLIP with random weights, their repository on the hub, and comparisons of their vectors.

A random network gives nearly the same vector for every input, so vectors are compared relative to their spread.
"""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.encoders.openvino.loading import core
from lookalike.importers.third_party import silenced
from tests.support.file_server import FileServer, hub_repository
from tests.support.golden_images import golden_images
from tests.support.torch_stubs import declare

declare()
with silenced():
    import open_clip
    import safetensors.torch
    import torch

REPOSITORY = "owner/tiny"
SAFE, PICKLED = "open_clip_model.safetensors", "open_clip_pytorch_model.bin"
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
VIT = {"image_size": 64, "patch_size": 16, "width": 64, "head_width": 32, "layers": 2}
RESNET = {"image_size": 64, "width": 16, "layers": [1, 1, 1, 1]}
CONFIGS: dict[str, dict[str, Any]] = {
    "tiny-vit": {"embed_dim": 64, "vision_cfg": VIT, "text_cfg": TEXT},
    "tiny-resnet": {"embed_dim": 64, "vision_cfg": RESNET, "text_cfg": TEXT | {"layers": 1}},
    "tiny-timm": {
        "embed_dim": 64,
        "vision_cfg": {"timm_model_name": "resnet18", "timm_pool": "", "timm_proj": "linear", "image_size": 64},
        "text_cfg": TEXT | {"layers": 1, "context_length": 16},
        "custom_text": True,
    },
    "tiniest": {"embed_dim": 32, "vision_cfg": VIT | {"layers": 1}, "text_cfg": TEXT | {"layers": 1}},
}
WEIGHTS: dict[str, Any] = {
    "hf_hub": f"{REPOSITORY}/",
    "mean": (0.48, 0.46, 0.41),
    "std": (0.27, 0.26, 0.28),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
OTHER = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "interpolation": "bilinear", "resize_mode": "squash"}


def network(name: str, **others: Any) -> Any:
    """A network of `CONFIGS`, built by OpenCLIP, with the same random weights each time."""
    torch.manual_seed(len(name))
    with silenced():
        model = open_clip.create_model(name, **others).eval()
        for parameter in model.parameters():
            if parameter.ndim == 4:  # else convolutions would not distinguish images
                parameter.data *= 2
    return model


def publish(server: FileServer, model: Any, name: str = SAFE) -> None:
    """Serves a network's weights as a repository of the hub."""
    state = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    if name.endswith(".safetensors"):
        data = safetensors.torch.save(state)
    else:
        file = io.BytesIO()
        torch.save(state, file)
        data = file.getvalue()
    hub_repository(server, REPOSITORY, {name: data, "README.md": b"tiny"}, licence="mit")


def vectors_of(graph: Any, inputs: NDArray[Any]) -> NDArray[np.float32]:
    """The vectors that an OpenVINO graph computes, one by one."""
    compiled = core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled(one[None])[0] for one in inputs])


def pixels(size: int = 64) -> NDArray[np.float32]:
    """Images normalized to -1..1, float32 (n, 3, size, size)."""
    squares = [np.asarray(Image.fromarray(image).resize((size, size))) for image in golden_images()]
    return (np.stack(squares).transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    units: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units


def assert_same(found: NDArray[np.float32], expected: NDArray[np.float32], tolerance: float = 1e-3) -> None:
    """Vectors differ by no more than a small part of their spread."""
    found, expected = unit(found), unit(expected)
    spread = np.abs(expected - expected.mean(axis=0)).max()
    assert spread > 0.02, "vectors that are all the same prove nothing"
    assert np.abs(found - expected).max() <= tolerance * spread


def assert_different(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    with pytest.raises(AssertionError):
        assert_same(found, expected)


def openclip_vectors(model: Any, inputs: NDArray[Any]) -> NDArray[np.float32]:
    """OpenCLIP's vectors of normalized images, or of token ids."""
    with torch.no_grad():
        encode = model.encode_text if inputs.ndim == 2 else model.encode_image
        vectors: NDArray[np.float32] = encode(torch.from_numpy(inputs)).numpy()
    return vectors
