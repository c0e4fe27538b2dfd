"""Calibrates the bundled model's int8 graph: measures the ranges of its linear bottlenecks, and writes them to a file.

    python benchmarks/calibrate_int8.py FOLDER_OF_PHOTOS

The range of each block's input is the one with the smallest mean squared error of 8-bit quantization over a sample of
the photographs. What leaves a ReLU6 needs no calibration: it is in 0..6. Other ranges change the int8 fingerprint, so
that older collections are distinguished.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from lookalike import encoders
from lookalike.encoders import bundled
from lookalike.encoders.bundled import checkpoint, efficientnet, efficientnet_graph
from lookalike.errors import ImageError
from lookalike.images import decode

FACTS = Path(bundled.__file__).with_name("efficientnet_lite0.json")
VALUES_PER_IMAGE = 20_000
BINS = 4096
LEVELS = 256


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--images", "count", default=500, show_default=True, help="Number of photographs to sample.")
@click.option("--seed", default=0, show_default=True, help="Seed of the sample.")
def main(folder: Path, count: int, seed: int) -> None:
    photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    sample = random.Random(seed).sample(photos, min(count, len(photos)))
    ranges = {
        block: [round(bound, 4) for bound in best_range(values)] for block, values in block_inputs(sample, seed).items()
    }
    facts = json.loads(FACTS.read_text())
    before = {key: json.dumps(value) for key, value in facts.items() if key != "ranges"}
    rows = [f'    "{block}": {json.dumps(bounds)}' for block, bounds in ranges.items()]
    lines = [f'  "{key}": {value}' for key, value in before.items()]
    lines.append('  "ranges": {\n' + ",\n".join(rows) + "\n  }")
    FACTS.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    click.echo(f"{len(sample)} photographs: wrote the ranges of {len(ranges)} blocks to {FACTS.name}")


def block_inputs(photos: list[Path], seed: int) -> dict[str, NDArray[np.float32]]:
    """A sample of the input values of each block after the first two, by the block's name."""
    blocks = list(efficientnet.blocks(checkpoint.state_dict(*bundled.weights())))
    names = [block.name for block in blocks]
    rng = np.random.default_rng(seed)
    samples: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names[2:]}  # "block0" follows a ReLU6
    for outputs in tapped_outputs(blocks, photos):
        for name, output in zip(names[2:], outputs[1:], strict=False):
            values = output.reshape(-1)
            samples[name].append(rng.choice(values, min(VALUES_PER_IMAGE, values.size), replace=False))
    return {name: np.concatenate(values) for name, values in samples.items()}


def tapped_outputs(blocks: list[efficientnet.Block], photos: list[Path]) -> Iterator[list[NDArray[np.float32]]]:
    """The output of each block, for each photograph."""
    import openvino as ov

    model = efficientnet_graph.graph(blocks, taps=True)
    request = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    preprocessing = encoders.card(precision="f32").preprocessing
    for photo in photos:
        try:
            image = decode.prepare(photo, preprocessing)
        except ImageError as error:
            click.echo(f"left out: {error}", err=True)
            continue
        request.infer([image.pixels[None]])
        yield [request.get_output_tensor(1 + index).data for index in range(len(blocks))]


def best_range(values: NDArray[np.float32]) -> tuple[float, float]:
    """The range whose 256 levels represent the values with the smallest mean squared error."""
    counts, edges = np.histogram(values, BINS)
    centres = (edges[1:] + edges[:-1]) / 2
    candidates = [
        (float(edges[0] * low), float(edges[-1] * high))
        for low in np.linspace(0.2, 1, 33)
        for high in np.linspace(0.2, 1, 33)
    ]
    return min(candidates, key=lambda bounds: float(counts @ quantization_error(centres, *bounds) ** 2))


def quantization_error(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """The error of each value in 8-bit quantization of a range."""
    step = (high - low) / (LEVELS - 1)
    return low + np.clip(np.rint((values - low) / step), 0, LEVELS - 1) * step - values


if __name__ == "__main__":
    main()
