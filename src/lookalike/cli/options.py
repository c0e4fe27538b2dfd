"""Options that several commands share, and help that lists many options under headings."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from lookalike.errors import UsageError
from lookalike.results import Region

RECALL = click.FloatRange(0, 1, min_open=True)


class _RegionType(click.ParamType[Region]):
    """A part of an image, as "0.25,0,0.5,1"."""

    name = "X,Y,WIDTH,HEIGHT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Region:
        if isinstance(value, Region):
            return value
        try:
            return Region(*map(float, value.split(",")))
        except (ValueError, TypeError, UsageError):
            self.fail(f"{value!r} is no part of an image; give shares of its sides, such as 0.25,0,0.5,1", param, ctx)


REGION = _RegionType()


class GroupedCommand(click.Command):
    """A command whose help lists its options under headings; those under none come last."""

    def __init__(self, *arguments: Any, headings: Mapping[str, Sequence[str]], **given: Any) -> None:
        """`headings` has the names of the options under each heading, as `--json`."""
        super().__init__(*arguments, **given)
        self.headings = headings

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        left = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        for heading, names in self.headings.items():
            _write_options(ctx, formatter, heading, [each for each in left if not set(names).isdisjoint(each.opts)])
            left = [each for each in left if set(names).isdisjoint(each.opts)]
        _write_options(ctx, formatter, "Other options", left)


class OrderedGroup(click.Group):
    """Commands whose help lists them in the order in which they were added, not by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click has it
        return list(self.commands)


def _write_options(
    ctx: click.Context, formatter: click.HelpFormatter, heading: str, listed: Sequence[click.Option]
) -> None:
    with formatter.section(heading):
        formatter.write_dl([record for each in listed if (record := each.get_help_record(ctx))])


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
    help="The collection: the folder that was indexed, or its directory (default: the nearest, see lookalike --help).",
)
folder = click.argument("folder", required=False, metavar="[FOLDER]", type=FilePath(file_okay=False))
partial = click.option(
    "--partial", is_flag=True, help="Of many collections as one, go on without those that cannot be used."
)
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
    help="Largest image to decode, in pixels; each takes up to 6 bytes of memory (default: 178000000).",
)
threads = click.option(
    "--threads", type=click.IntRange(1), help="Images to process at once (default: a few more than cores)."
)
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


regions = click.option(
    "--regions/--no-regions", default=None, help="Encode parts of each image, too, for search --regions."
)
region_count = click.option(
    "--region-count",
    type=click.Choice(["5", "9", "16"]),
    help="How many parts: the more, the smaller the things that are found, and the longer it takes (default: 9).",
)
