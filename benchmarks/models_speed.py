"""Images per second of imported models, compared with PyTorch running the same network in a plain loop.

    python benchmarks/models_speed.py [FOLDER]

The models are timm's ResNet-50 and ViT-S with random weights, which take the same time as trained ones. Both sides read
and decode the same files. PyTorch: a plain loop with timm's own transform, one image at a time and in batches of 32, on
all cores. Lookalike: `add` to a new collection, the model loaded.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

import lookalike
from lookalike import importers
from lookalike.demo import write_gallery
from lookalike.encoders import registry
from lookalike.encoders.card import Normalization
from lookalike.images.decode import Preprocessing
from lookalike.importers import torch_export
from lookalike.importers.base import ImportedNetwork
from lookalike.system.resources import cores

sys.path.append(str(Path(__file__).parents[1]))
from tests.support import torch_stubs

NAMES = ("resnet50", "vit_small_patch16_224")
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="folder of images (default: drawn ones)")
    parser.add_argument(
        "--runs", type=int, default=3, help="number of runs, of which the medians are printed (default: 3)"
    )
    parser.add_argument("--images", type=int, default=300, help="number of images (default: 300)")
    options = parser.parse_args()
    torch.set_num_threads(cores())
    with tempfile.TemporaryDirectory() as home:
        os.environ["LOOKALIKE_MODELS"] = f"{home}/models"
        folder = linked(Path(home) / "photos", options.folder, options.images)
        table = Table("model", "PyTorch, one by one", f"PyTorch, by {BATCH}", "Lookalike, f32", "Lookalike, bf16")
        for name in NAMES:
            rates = measured(name, folder, Path(home), options.runs)
            best = max(rates[:2])
            cells = [f"{rate:,.1f}" for rate in rates]
            table.add_row(name, *cells[:2], *(f"{cells[way]} ({rates[way] / best:.2f} x)" for way in (2, 3)))
        Console().print(table, "images/s, files to vectors;", cores(), "cores; x: against the better of PyTorch's")


def measured(name: str, folder: Path, home: Path, runs: int) -> list[float]:
    """Images per second in the order of the table's columns; the measurements take turns."""
    torch_stubs.declare()
    import timm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = timm.create_model(name, num_classes=0).eval()
    keep(name, module)
    ways: list[Callable[[], float]] = [
        lambda: with_torch(module, folder, 1),
        lambda: with_torch(module, folder, BATCH),
        lambda: with_lookalike(name, "f32", folder, home),
        lambda: with_lookalike(name, "bf16", folder, home),
    ]
    rates = [[way() for way in ways] for _ in range(runs)]
    registry.remove(name)
    return [statistics.median(column) for column in zip(*rates, strict=True)]


def with_torch(module: torch.nn.Module, folder: Path, batch: int) -> float:
    """Images per second of the loop of most tutorials."""
    import timm.data

    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=module))
    paths = sorted(folder.iterdir())
    start = time.perf_counter()
    with torch.inference_mode():
        for first in range(0, len(paths), batch):
            images = [transform(Image.open(path).convert("RGB")) for path in paths[first : first + batch]]
            vectors = module(torch.stack(images))
            vectors / vectors.norm(dim=1, keepdim=True)
    return len(paths) / (time.perf_counter() - start)


def with_lookalike(name: str, precision: str, folder: Path, home: Path) -> float:
    """Images per second of indexing."""
    with tempfile.TemporaryDirectory(dir=home) as root:
        photos = lookalike.create(folder, directory=f"{root}/c", model=name, precision=precision, device="cpu")
        photos.embed(next(folder.iterdir()))  # loads the model
        with loaded(photos):
            report = photos.add(folder)
        return report.added / report.seconds


@contextmanager
def loaded(photos: lookalike.Collection) -> Iterator[None]:
    """Loads the model for all cores before the time is measured."""
    photos.add([next(iter(sorted(photos.folder.iterdir())))])
    yield


def keep(name: str, module: torch.nn.Module) -> None:
    """Imports the module as a model."""
    import timm.data

    config = timm.data.resolve_data_config({}, model=module)
    size = config["input_size"][1]
    mean, std = (tuple(255 * number for number in config[key]) for key in ("mean", "std"))
    network = ImportedNetwork(
        graph=torch_export.to_openvino(module, torch.rand(2, 3, size, size)),
        layout="NCHW",
        preprocessing=Preprocessing(size=size, crop=config["crop_pct"], resample=config["interpolation"]),
        normalization=Normalization(mean, std),
        source=name,
        licence="",
        sha256="0" * 64,
        output="features",
    )
    importers.register(network, name)


def linked(links: Path, folder: Path | None, count: int) -> Path:
    """Makes a folder of links to that many images of a folder, or to drawn ones."""
    if folder:
        images = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    else:
        images = write_gallery(links.with_name("gallery"), per_kind=count // 12)
    links.mkdir()
    step = max(1, len(images) // count)
    for number, path in enumerate(images[::step][:count]):
        (links / f"{number:04}{path.suffix}").symlink_to(path.resolve())
    return links


if __name__ == "__main__":
    main()
