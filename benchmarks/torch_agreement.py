"""Compares the bundled model with the same network in PyTorch, which reads the weights itself.

    python benchmarks/torch_agreement.py FOLDER_OF_PHOTOS
    python benchmarks/torch_agreement.py --golden        # writes the vectors that the tests compare with

It needs PyTorch. Both get the same pixels, so that only the network counts. The exit code is 1 if float32 agrees with
a cosine of less than 0.9999.
"""

import io
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch.nn import functional

from lookalike import demo, encoders
from lookalike.encoders import bundled
from lookalike.errors import ImageError
from lookalike.images import decode
from lookalike.sources.folder import Folder
from lookalike.storage.vectors import Vectors, unit

sys.path.append(str(Path(__file__).parents[1]))
from tests.support.golden_images import GOLDEN, golden_images

PRECISIONS = ("f32", "bf16", "int8")
SMALLEST = 0.9999  # cosine of float32
# Repeats, stride of the first and kernel size of each stage: Tan & Le 2019, arXiv:1905.11946, table 1.
STAGES = ((1, 1, 3), (2, 2, 3), (2, 2, 5), (3, 2, 3), (3, 1, 5), (4, 2, 5), (1, 1, 3))

State = Mapping[str, Any]  # tensors by name


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--golden", is_flag=True, help="Write the vectors that the tests compare with, and stop.")
def main(folder: Path | None, golden: bool) -> None:
    if golden:
        write_golden()
    elif folder:
        compare(folder)
    else:
        with tempfile.TemporaryDirectory() as gallery:
            demo.write_gallery(Path(gallery) / "gallery", per_kind=10)
            compare(Path(gallery))


def write_golden() -> None:
    """Writes the golden vectors: those of float32 come from PyTorch, those of int8 are the present ones."""
    f32 = unit(reference(state(), golden_images()))
    int8 = unit(encoders.load(precision="int8").encode(golden_images()))
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, f32=f32.astype(np.float16), int8=int8.astype(np.float16))
    click.echo(f"wrote {GOLDEN}")


def compare(folder: Path) -> None:
    """Prints the cosines of each precision's vectors to those of PyTorch."""
    pixels = np.stack(list(decoded(folder)))
    expected = unit(reference(state(), pixels))
    table = Table("precision", "smallest cosine", "mean cosine", title=f"{len(pixels)} images, against PyTorch float32")
    cosines = {precision: cosine(expected, precision, pixels) for precision in PRECISIONS}
    for precision, values in cosines.items():
        table.add_row(precision, f"{values.min():.6f}", f"{values.mean():.6f}")
    Console().print(table)
    if cosines["f32"].min() < SMALLEST:
        raise click.ClickException(f"float32 has to agree with a cosine of {SMALLEST} or more")


def decoded(folder: Path) -> Iterator[NDArray[np.uint8]]:
    """The pixels of each image of a folder."""
    preprocessing = encoders.card().preprocessing
    for found in Folder(folder, base=folder).files():
        try:
            yield decode.prepare(found.path, preprocessing).pixels
        except ImageError as error:
            click.echo(f"left out: {error}", err=True)


def cosine(expected: Vectors, precision: str, pixels: NDArray[np.uint8]) -> Vectors:
    """The cosine similarity of each image's vector to the expected one, (n,)."""
    vectors = unit(encoders.load(precision=precision).encode(pixels))
    return np.asarray((vectors * expected).sum(axis=1))


def state() -> State:
    """The weights, as PyTorch reads them."""
    weights, _ = bundled.weights()
    loaded: State = torch.load(io.BytesIO(weights), weights_only=True)
    return loaded


def reference(state: State, pixels: NDArray[np.uint8], *, batch: int = 16) -> NDArray[np.float32]:
    """Embeddings, float32 (n, 1280), of pixels, uint8 (n, 224, 224, 3)."""
    with torch.inference_mode():
        embeddings = [
            network(state, (torch.from_numpy(pixels[start : start + batch]).permute(0, 3, 1, 2).float() - 127) / 128)
            for start in range(0, len(pixels), batch)
        ]
    return np.asarray(torch.cat(embeddings).numpy(), np.float32)


def network(state: State, x: Any) -> Any:
    """Embeddings, float32 (n, 1280), of scaled pixels, float32 (n, 3, 224, 224)."""
    x = functional.relu6(convolution(state, x, ("_conv_stem", "_bn0"), kernel=3, stride=2))
    index = 0
    for repeats, first_stride, kernel in STAGES:
        for repeat in range(repeats):
            x = bottleneck(state, x, f"_blocks.{index}.", kernel, stride=1 if repeat else first_stride)
            index += 1
    return functional.relu6(convolution(state, x, ("_conv_head", "_bn1"))).mean(dim=(2, 3))


def bottleneck(state: State, x: Any, prefix: str, kernel: int, *, stride: int) -> Any:
    """An inverted residual block."""
    y = x
    if f"{prefix}_expand_conv.weight" in state:
        y = functional.relu6(convolution(state, y, (f"{prefix}_expand_conv", f"{prefix}_bn0")))
    depthwise = f"{prefix}_depthwise_conv", f"{prefix}_bn1"
    y = functional.relu6(convolution(state, y, depthwise, kernel=kernel, stride=stride, groups=y.shape[1]))
    y = convolution(state, y, (f"{prefix}_project_conv", f"{prefix}_bn2"))
    return x + y if x.shape == y.shape else y


def convolution(
    state: State, x: Any, names: tuple[str, str], *, kernel: int = 1, stride: int = 1, groups: int = 1
) -> Any:
    """A convolution with TensorFlow's "SAME" padding, and its batch norm, by their names in the state."""
    name, norm = names
    padding = max((-(-x.shape[-1] // stride) - 1) * stride + kernel - x.shape[-1], 0)
    before, after = padding // 2, padding - padding // 2
    if before != after:  # which costs a copy
        x, before = functional.pad(x, (before, after) * 2), 0
    x = functional.conv2d(x, state[f"{name}.weight"], stride=stride, padding=before, groups=groups)
    mean, variance = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
    return functional.batch_norm(x, mean, variance, state[f"{norm}.weight"], state[f"{norm}.bias"], eps=1e-3)


if __name__ == "__main__":
    main()
