"""PyTorch modules, converted to OpenVINO graphs that compute the same."""

from typing import Any

import numpy as np
import pytest

from tests.support.optional_packages import needs

needs("torch")

import torch
from torch import nn

from lookalike.encoders.openvino.loading import core, ov
from lookalike.errors import ModelError
from lookalike.importers.torch_export import to_openvino


def outputs(graph: Any, *inputs: torch.Tensor) -> list[Any]:
    compiled = core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [compiled(batch.numpy())[0].copy() for batch in inputs]


def shape(graph: Any) -> str:
    return str(graph.input(0).get_partial_shape())


class ImageTower(nn.Sequential):  # type: ignore[misc]
    def __init__(self) -> None:
        torch.manual_seed(3)
        super().__init__(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5)
        )


class TextTower(nn.Module):  # type: ignore[misc]
    """A text tower whose vector is that of the token with the largest id, as in CLIP."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embedding = nn.Embedding(100, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=True)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        encoded = self.encoder(self.embedding(tokens))
        return encoded[torch.arange(tokens.shape[0]), tokens.argmax(dim=-1)]


def test_a_graph_computes_what_torch_computes_for_any_batch_size() -> None:
    module = ImageTower().train()
    module(torch.randn(8, 3, 12, 12))  # changes the batch norm's statistics
    graph = to_openvino(module, torch.zeros(1, 3, 12, 12))
    assert shape(graph) == "[?,3,12,12]"
    inputs = [torch.randn(number, 3, 12, 12) for number in (1, 2, 7)]
    for batch, found in zip(inputs, outputs(graph, *inputs), strict=True):
        np.testing.assert_allclose(found, module(batch).detach().numpy(), atol=1e-5)


def test_a_text_tower_computes_what_torch_computes() -> None:
    """Its attention is a fused operator in PyTorch, which OpenVINO cannot convert."""
    module = TextTower()
    graph = to_openvino(module, torch.randint(0, 100, (1, 9)))
    assert shape(graph) == "[?,9]"
    assert graph.input(0).get_element_type() == ov.Type.i64
    inputs = [torch.randint(0, 100, (number, 9)) for number in (1, 3)]
    for batch, found in zip(inputs, outputs(graph, *inputs), strict=True):
        np.testing.assert_allclose(found, module(batch).detach().numpy(), atol=1e-5)


def test_half_precision_becomes_single_precision() -> None:
    module = ImageTower().half()
    graph = to_openvino(module, torch.zeros(1, 3, 12, 12))
    batch = torch.randn(1, 3, 12, 12)
    np.testing.assert_allclose(outputs(graph, batch)[0], module(batch).detach().numpy(), atol=1e-5)
    assert graph.output(0).get_element_type() == ov.Type.f32


def test_the_graph_shares_the_modules_weights() -> None:
    module = nn.Linear(300, 200)
    graph = to_openvino(module, torch.zeros(1, 300))
    constants = [node.data for node in graph.get_ops() if node.get_type_name() == "Constant"]
    [weight] = [constant for constant in constants if constant.shape == (200, 300)]
    assert weight.ctypes.data == module.weight.data_ptr()


class OneByOne(ImageTower):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).reshape(int(images.shape[0]), 8)


def test_a_network_for_batches_of_one_is_converted_for_one() -> None:
    module = OneByOne()
    graph = to_openvino(module, torch.zeros(1, 3, 12, 12))
    assert shape(graph) == "[1,3,12,12]"
    batch = torch.randn(1, 3, 12, 12)
    np.testing.assert_allclose(outputs(graph, batch)[0], module(batch).detach().numpy(), atol=1e-5)


class DataDependent(nn.Linear):  # type: ignore[misc]
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return super().forward(batch) if batch.any() else batch


class Unconvertible(nn.Module):  # type: ignore[misc]
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svdvals(batch)


class Broken(nn.Module):  # type: ignore[misc]
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        raise ValueError("it takes 4 channels\nand more lines")


def test_a_network_that_cannot_be_traced_is_refused() -> None:
    """Its control flow depends on pixels, and a trace always repeats that of the example."""
    with pytest.raises(ModelError, match="DataDependent: OpenVINO computes something else"):
        to_openvino(DataDependent(3, 3), torch.zeros(1, 3))


@pytest.mark.parametrize(
    ("module", "cause"), [(Unconvertible(), "No conversion rule.*linalg_svd"), (Broken(), "it takes 4 channels")]
)
def test_a_network_that_cannot_be_converted_is_refused_in_one_line(
    module: nn.Module, cause: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match=rf"{type(module).__name__}: it cannot be converted.*{cause}") as raised:
        to_openvino(module, torch.zeros(1, 3, 3))
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")
