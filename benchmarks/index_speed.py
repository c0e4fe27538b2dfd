"""Measures how fast images are indexed, and what would be possible on the same cores.

    python benchmarks/index_speed.py [FOLDER_OF_PHOTOS]
    python benchmarks/index_speed.py [FOLDER_OF_PHOTOS] --memory

The ceiling is 1 / (1 / decode + 1 / infer): a program that does nothing but read and decode files and compute
vectors, in as many threads. `search_many` searches for the same images, in a collection of them. If PyTorch is
installed, the same model is also measured as it is often run: one loop that loads and scales a batch of images and then
encodes it in float32. The measurements take turns, in one process.

`--memory` compares the peak memory of `lookalike index` on 700 and on 20,000 images instead.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

import lookalike
from lookalike import demo, encoders
from lookalike.encoders import Encoder
from lookalike.errors import ImageError
from lookalike.images import decode, reading
from lookalike.images.decode import Preprocessing
from lookalike.sources.folder import Folder
from lookalike.system.resources import cores

THREADS = cores()
DECODED = 1000  # images that are kept decoded, to measure inference alone
BATCH = 64
SIZES = (700, 20_000)  # numbers of images
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes

DECODE, INFER, PYTORCH = "read and decode", "infer", "PyTorch in a loop"


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--runs", default=5, show_default=True, help="Number of runs.")
@click.option("--pytorch-images", default=2 * BATCH, show_default=True, help="Number of images for PyTorch.")
@click.option("--memory", is_flag=True, help="Measure peak memory instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(folder: Path | None, runs: int, pytorch_images: int, memory: bool, as_json: bool) -> None:
    with tempfile.TemporaryDirectory() as root, gallery_unless(folder) as photos:
        if memory:
            results = {f"{count} images": peak_memory(photos, Path(root), count) for count in SIZES}
        else:
            results = speeds(ways_to_measure(photos, Path(root), pytorch_images), runs)
    if as_json:
        click.echo(json.dumps(results))
    elif memory:
        print_memory(results)
    else:
        print_speeds(results, runs)


@contextmanager
def gallery_unless(folder: Path | None) -> Iterator[Path]:
    """The folder, or a temporary one of drawn pictures."""
    if folder:
        yield folder
        return
    with tempfile.TemporaryDirectory() as root:
        demo.write_gallery(Path(root) / "gallery")
        yield Path(root) / "gallery"


# Speed

Way = Callable[[], int]  # processes images and returns their number


def ways_to_measure(folder: Path, root: Path, pytorch_images: int) -> dict[str, Way]:
    """What is measured, by name."""
    encoder = encoders.load(threads=THREADS)
    preprocessing = encoder.preprocessing
    paths = [path for path, _ in decoded(folder, preprocessing)]
    pixels = [pixels for (_, pixels), _ in zip(decoded(folder, preprocessing), range(DECODED), strict=False)]
    searched = lookalike.create(folder, directory=root / "searched", encoder=encoder)
    searched.add(folder)
    ways: dict[str, Way] = {
        "index": lambda: index(folder, root, None),
        "index, network loaded": lambda: index(folder, root, encoder),
        "search_many, network loaded": lambda: len(searched.search_many(paths, k=1)),
        DECODE: lambda: in_threads(lambda path: decode.decode(reading.read(path).data, preprocessing), paths),
        INFER: lambda: in_threads(lambda image: encoder.encode(image[None]), pixels),
    }
    if importlib.util.find_spec("torch"):
        ways[PYTORCH] = pytorch_loop(paths[:pytorch_images])
    else:
        click.echo("PyTorch is not installed, so it is left out", err=True)
    return ways


def decoded(folder: Path, preprocessing: Preprocessing) -> Iterator[tuple[Path, Any]]:
    """The path and pixels of each image of a folder."""
    for found in Folder(folder, base=folder).files():
        try:
            yield Path(found.path), decode.prepare(found.path, preprocessing).pixels
        except ImageError as error:
            click.echo(f"left out: {error}", err=True)


def index(folder: Path, root: Path, encoder: Encoder | None) -> int:
    """Indexes into a new collection, which loads the bundled model unless there is an encoder."""
    with (
        tempfile.TemporaryDirectory(dir=root) as directory,
        lookalike.create(folder, directory=Path(directory) / "collection", encoder=encoder) as collection,
    ):
        return collection.add(folder, threads=THREADS).added


def in_threads(work: Callable[[Any], object], items: Sequence[Any]) -> int:
    """Processes all items on all cores."""
    with ThreadPoolExecutor(THREADS) as pool:
        return sum(1 for _ in pool.map(work, items))


def pytorch_loop(paths: Sequence[Path]) -> Way:
    """The loop of many tutorials: Resize(256), CenterCrop(224), batches of 64, eager mode."""
    import torch

    from torch_agreement import network, state

    torch.set_num_threads(THREADS)
    weights = state()

    def embed(batch: Iterable[Path]) -> Any:
        pixels = np.stack([np.asarray(resized_and_cropped(path)) for path in batch])
        with torch.inference_mode():
            scaled = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128
            return network(weights, scaled).numpy()

    return lambda: sum(len(embed(paths[start : start + BATCH])) for start in range(0, len(paths), BATCH))


def resized_and_cropped(path: Path) -> Image.Image:
    """An image of 224 x 224 pixels."""
    image = Image.open(path).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    return image.crop((left, top, left + 224, top + 224))


def speeds(ways: dict[str, Way], runs: int) -> dict[str, Any]:
    """The images per second of each way, and its ratios to others run by run: medians."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            times[name].append(seconds_per_image(way))
    floor = [decode + infer for decode, infer in zip(times[DECODE], times[INFER], strict=True)]
    times = {**times, "ceiling": floor}
    return {
        name: {
            "images_per_second": 1 / median(seconds),
            "of_ceiling": median(np.divide(floor, seconds)),
            "of_pytorch": median(np.divide(times[PYTORCH], seconds)) if PYTORCH in times else None,
        }
        for name, seconds in times.items()
    }


def seconds_per_image(way: Way) -> float:
    """The time of one run, divided by the number of images."""
    start = time.perf_counter()
    count = way()
    return (time.perf_counter() - start) / count


def print_speeds(results: dict[str, Any], runs: int) -> None:
    """Prints a line for each way."""
    table = Table("", title=f"{THREADS} threads, medians of {runs} runs")
    for column in ("images/s", "of the ceiling", "times PyTorch"):
        table.add_column(column, justify="right")
    for name, result in results.items():
        pytorch = "" if result["of_pytorch"] is None else f"{result['of_pytorch']:.1f}"
        table.add_row(name, f"{result['images_per_second']:.0f}", f"{result['of_ceiling']:.2f}", pytorch)
    Console().print(table)


# Memory


def peak_memory(folder: Path, root: Path, count: int) -> int:
    """The peak memory of a process that indexes that many different files, in bytes."""
    photos = root / f"photos-{count}"
    photos.mkdir()
    originals = [Path(found.path).read_bytes() for found in Folder(folder, base=folder).files()]
    for number in range(count):  # bytes after its end make a JPEG another file, not another image
        (photos / f"{number:06}.jpg").write_bytes(originals[number % len(originals)] + number.to_bytes(4, "big"))
    del originals
    command = [sys.executable, "-m", "lookalike", "index", str(photos), "-c", str(root / f"collection-{count}")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # so that nobody waits for it again
    if process.returncode:
        raise click.ClickException(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_maxrss * MAXRSS_UNIT


def print_memory(results: dict[str, int]) -> None:
    """Prints a line for each size, and their ratio."""
    table = Table("indexed", "peak memory, MB", title=f"{THREADS} threads")
    for name, peak in results.items():
        table.add_row(name, f"{peak / 1e6:.0f}")
    few, many = results.values()
    table.add_row("ratio", f"{many / few:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
