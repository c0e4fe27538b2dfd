"""Images per second on the CPU and on the GPU, and what limits them.

    python benchmarks/gpu_speed.py [FOLDER_OF_PHOTOS] [--images 2000]

Measures the bundled model and, if timm is installed, a ResNet-50 with random weights: decoding alone, inference alone
on decoded images, and both together, as `lookalike index` does it, with as many threads as it uses. A GPU helps as far
as inference is the limit on the CPU; decoding stays on the CPU's cores. The smallest cosine between the vectors of each
device and those of the CPU in the same precision is printed, too.
"""

import functools
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from lookalike import demo
from lookalike.encoders import Encoder, bundled, devices
from lookalike.encoders.card import Card
from lookalike.encoders.openvino.image_encoder import OpenVinoEncoder
from lookalike.errors import LookalikeError
from lookalike.images import decode
from lookalike.images.decode import Preprocessing
from lookalike.ingest.embedding import GROUP
from lookalike.sources.folder import Folder
from lookalike.storage.vectors import Vectors, unit
from lookalike.system.resources import cores

sys.path.append(str(Path(__file__).parents[1]))
from tests.support import torch_stubs

SECONDS = 4.0  # at least, for each figure
COMPARED = 64  # images whose vectors are compared

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Contestant:
    """A model in one precision."""

    card: Card
    graph: Callable[[], Any]  # an openvino.Model, a new one each time


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--images", "count", default=2000, show_default=True, help="Most files to use.")
def main(folder: Path | None, count: int) -> None:
    here = ["cpu", *(name for name in [devices.choose("auto")] if name != "cpu")]
    console = Console()
    console.print(f"{cores()} cores; " + ", ".join(devices.describe(device) for device in here))
    if len(here) == 1:
        console.print("There is no GPU that can be used here: only the CPU is measured.")
    if folder:
        measure(folder, count, here, console)
        return
    with tempfile.TemporaryDirectory() as gallery:
        demo.write_gallery(Path(gallery) / "gallery", per_kind=20)
        measure(Path(gallery), count, here, console)


def measure(folder: Path, count: int, here: Sequence[str], console: Console) -> None:
    """Prints a line for each model, precision and device."""
    files = [Path(found.path) for found in Folder(folder, base=folder).files()][:count]
    table = Table("model", "device", "decoding", "inference", "both", "limited by", "smallest cosine")
    for column in table.columns[2:5]:
        column.justify = "right"
    for contestant in contestants():
        pixels = np.stack(list(decoded(files[: GROUP * 16], contestant.card.preprocessing)))
        expected = unit(OpenVinoEncoder(contestant.card, contestant.graph, threads=1).encode(pixels[:COMPARED]))
        for device in here:
            table.add_row(*row(contestant, device, files, pixels, expected))
    console.print(table, "images per second")


def row(contestant: Contestant, device: str, files: Sequence[Path], pixels: Pixels, expected: Vectors) -> Iterator[str]:
    """The cells of one line."""
    threads = devices.threads_for(device, cores())
    encoder = loaded(contestant, device, threads)
    decoding = per_second(lambda group: list(decoded(group, encoder.preprocessing)), groups(files), threads)
    inference = per_second(encoder.encode, groups(pixels), threads)
    both = per_second(lambda group: embed(encoder, group), groups(files), threads)
    yield from (f"{contestant.card.name}, {contestant.card.precision}", device)
    yield from (f"{figure:,.0f}" for figure in (decoding, inference, both))
    yield "decoding" if decoding < inference else "inference"
    yield f"{(unit(encoder.encode(pixels[: len(expected)])) * expected).sum(axis=1).min():.5f}"


def contestants() -> Iterator[Contestant]:
    """All models in all precisions that are measured."""
    for precision in ("f32", "int8"):
        yield Contestant(bundled.card(precision), functools.partial(bundled.graph, precision))
    if graph := resnet50():
        card = Card("resnet50", "timm, random weights", "", "", 2048, Preprocessing(), "f32", "1")
        yield Contestant(card, graph.clone)


def resnet50() -> Any:
    """A graph from pixels, uint8 (n, 224, 224, 3), to embeddings, float32 (n, 2048); None without timm."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch_stubs.declare()
            import timm
            import torch
    except ImportError:
        return None
    import openvino as ov
    from openvino.preprocess import PrePostProcessor

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = timm.create_model("resnet50", num_classes=0).eval()
        model = ov.convert_model(module, example_input=torch.rand(2, 3, 224, 224))
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).mean([124, 116, 104]).scale([58, 57, 57])
    return steps.build()


def loaded(contestant: Contestant, device: str, threads: int) -> Encoder:
    """The encoder of a model on a device."""
    if device == "cpu":
        return OpenVinoEncoder(contestant.card, contestant.graph, threads=threads)
    from lookalike.encoders.torch.image_encoder import TorchEncoder

    return TorchEncoder(contestant.card, contestant.graph(), device=device)


def decoded(files: Sequence[Path], preprocessing: Preprocessing) -> Iterator[Pixels]:
    """The pixels of the files that are images."""
    for path in files:
        try:
            yield decode.prepare(path, preprocessing).pixels
        except LookalikeError:
            continue


def embed(encoder: Encoder, files: Sequence[Path]) -> None:
    """Decodes and encodes some files."""
    if images := list(decoded(files, encoder.preprocessing)):
        encoder.encode(np.stack(images))


def groups(items: Any) -> list[Any]:
    """The items in groups of the size that indexing uses."""
    return [items[first : first + GROUP] for first in range(0, len(items), GROUP)]


def per_second(work: Callable[[Any], object], todo: Sequence[Any], threads: int) -> float:
    """Items per second: all groups again and again, after one group for each thread that does not count."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [todo[number % len(todo)] for number in range(threads)]))
        done, start = 0, time.perf_counter()
        while (seconds := time.perf_counter() - start) < SECONDS:
            list(pool.map(work, todo))
            done += sum(map(len, todo))
    return done / seconds


if __name__ == "__main__":
    main()
