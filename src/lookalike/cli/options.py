"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

RECALL = click.FloatRange(0, 1, min_open=True)


class FilePath(click.Path):
    """A path that is not empty, as one is that a shell makes of a variable without a value."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the path is empty; is a variable of the shell not set?", param, ctx)
        return super().convert(value, param, ctx)


class _OutputFile(FilePath):
    """The path of a file to write."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "-" or str(value).endswith("/"):
            self.fail(f"{value!r}: name a file, such as matches.html", param, ctx)
        return super().convert(value, param, ctx)


class _Count(click.IntRange):
    """A number of images to find."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = int(click.INT.convert(value, param, ctx))
        if number < 1:
            self.fail(f"{number}: give at least 1; for all images, a number that is large enough", param, ctx)
        return number


COUNT = _Count(1)
OUTPUT_FILE = _OutputFile(dir_okay=False, path_type=Path)

collection = click.option(
    "-c",
    "--collection",
    "directory",
    metavar="DIR",
    type=FilePath(),
    envvar="LOOKALIKE_COLLECTION",
    help="The folder that was indexed, or the collection itself (default: $LOOKALIKE_COLLECTION, else the nearest one"
    " in the current folder or above it, else that of the image's or table's own folder, else the only one in the"
    " folders right below).",
)
folder = click.argument("folder", required=False, metavar="[FOLDER]", type=FilePath(file_okay=False))
exclude = click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave out files and folders of this name, such as '*.png', or path ('2019/**/scans'); repeatable.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")
model = click.option("--model", metavar="NAME", help="Model, see: lookalike models list (default: efficientnet-lite0).")
precision = click.option(
    "--precision",
    type=click.Choice(["int8", "f32", "bf16"]),
    help="Inference precision (default: the model's own).",
)
device = click.option(
    "--device", default="auto", help="Device: cpu, cuda, cuda:1 or mps (default: a GPU if there is one)."
)
max_pixels = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    help="Most pixels of an image that are decoded (default: 178000000). Decoding may take 6 bytes of memory for each,"
    " 1.07 GB by default. JPEGs are decoded at a smaller scale, and so may be larger.",
)
threads = click.option("--threads", type=click.IntRange(1), help="Images to process at once (default: one per core).")
html = click.option("--html", type=OUTPUT_FILE, help="Write a page of thumbnails.")
overwrite = click.option("--overwrite", is_flag=True, help="Replace a file even if Lookalike has not written it.")
open_page = click.option("--open", "open_page", is_flag=True, help="Open the page of thumbnails in the browser.")

_FILTERS = (
    click.option("--label", "labels", multiple=True, metavar="NAME", help="Only images with this label; repeatable."),
    click.option("--under", metavar="FOLDER", help="Only images in this folder of the collection."),
    click.option(
        "--where",
        "conditions",
        multiple=True,
        metavar="NAME=VALUE",
        help="Only images with this attribute: colour=red, colour=red,blue, colour!=red, price=10..20 or, in quotes,"
        " 'price>=10', 'price<20'; repeatable.",
    ),
)


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which images may be found: labels, under and conditions."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command
