"""The command that searches."""

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike import errors
from lookalike.cli import filters, locate, options, output, reports

if TYPE_CHECKING:
    from lookalike.collection.collection import Collection
    from lookalike.results import Region
    from lookalike.search.terms import Term


_HEADINGS = {
    "What to search for": ("--id", "--text", "--minus", "--minus-text", "--region", "--crops", "--max-pixels"),
    "Which images to find": (
        "-k",
        "--min-score",
        "--label",
        "--under",
        "--where",
        "--regions",
        "--exact",
        "--recall",
        "--refine",
        "--confident",
        "--fold",
    ),
    "What to show": ("--thumbnails", "--html", "--open", "--sheet", "--overwrite", "--json"),
}


_OPTIONS = ("k", "min_score", "exact", "recall", "refine", "confident", "fold", "regions", "crops")


@click.command(cls=options.GroupedCommand, headings=_HEADINGS)
@click.argument("queries", nargs=-1, metavar="[IMAGE]...", type=options.FilePath(allow_dash=True))
@click.option("--id", "image_id", type=int, help="Search by the collection's own image with this id.")
@click.option("--text", "texts", multiple=True, metavar="TEXT", help="Search by a description; repeatable.")
@click.option("--minus", multiple=True, metavar="IMAGE", type=options.FilePath(), help="Negative example; repeatable.")
@click.option("--minus-text", multiple=True, metavar="TEXT", help="Negative description; repeatable.")
@click.option("--region", type=options.REGION, help="Search for this part of IMAGE, in shares of its sides.")
@click.option("--crops", is_flag=True, help="Search for parts of IMAGE, too: for a thing somewhere in it.")
@options.max_pixels
@click.option("-k", default=10, show_default=True, type=options.COUNT, help="Number of images to find.")
@click.option("--min-score", type=click.FloatRange(-1, 1), help="Leave out images with a lower score, from -1 to 1.")
@options.filters
@click.option("--regions", is_flag=True, help="Compare with parts of images, too, which index --regions has encoded.")
@click.option("--exact", is_flag=True, help="Compare with every image even if there is an index.")
@click.option("--recall", type=options.RECALL, help="Target recall (default: the index's).")
@click.option("--refine", is_flag=True, help="Order by what the nearest have in common: more of a kind.")
@click.option("--confident", is_flag=True, help="Leave out what may be as near by chance: over 0.1 expected.")
@click.option("--fold", is_flag=True, help="Show copies behind the first of them, as lookalike duplicates has found.")
@click.option("--thumbnails/--no-thumbnails", default=True, help="Thumbnails in the terminal, if it can show them.")
@options.html
@options.open_page
@click.option("--sheet", type=options.OUTPUT_FILE, help="Write a contact sheet, .jpg or .png.")
@options.overwrite
@options.as_json
@options.partial
@options.collection
def search(
    queries: Sequence[str],
    directory: str | None,
    image_id: int | None,
    texts: Sequence[str],
    minus: Sequence[str],
    minus_text: Sequence[str],
    labels: Sequence[str],
    under: str | None,
    conditions: Sequence[str],
    region: "Region | None",
    max_pixels: int | None,
    partial: bool,
    **given: Any,
) -> None:
    """Find the images that look like IMAGE.

    The score is the cosine similarity, at most 1. Several images and texts are averaged; a weight may follow, as in
    "photo.jpg^2" or "red^0.5". "-" reads the image from standard input. To search by text, the collection has to be
    made with a model that takes text, such as open_clip's.
    """
    alike = [*_image_terms(queries, 1, region), *_text_terms(texts, 1)]
    terms = [*alike, *_image_terms(minus, -1), *_text_terms(minus_text, -1)]
    if (image_id is None) != bool(queries or texts) or (image_id is not None and terms):
        raise errors.UsageError("search: give one or more images or --text, or the --id of one image, which goes alone")
    if region is not None and len(queries) != 1:
        raise errors.UsageError("--region is a part of one image; give one IMAGE")
    wanted = {name: given.pop(name) for name in _OPTIONS}
    files = output.OutputFiles(given.pop("html"), given.pop("sheet"), overwrite=given.pop("overwrite"))
    output.check_files(files)
    choice: dict[str, Any] = {"max_pixels": max_pixels, "partial": partial}
    collection = locate.open_collection(directory, near=_files(queries), is_named=True, **choice)
    wanted["where"] = filters.where_of(labels, locate.key_of_folder(under, collection), conditions)
    if image_id is not None:
        matches = collection.search_id(image_id, **wanted)
    else:
        matches = collection.search_terms(terms, **wanted)
    reports.print_matches(matches, files, **given)
    if not matches:
        filters.explain_nothing(collection, wanted["where"])
        if wanted["confident"]:
            _explain_chance(collection)


def _explain_chance(collection: "Collection") -> None:
    """Says why there may be no confident matches."""
    from lookalike.search.chance import FEWEST

    if len(collection) < FEWEST:
        output.note(
            f"Of fewer than {FEWEST} images, nobody can tell which are nearer than chance; leave out --confident."
        )
    else:
        output.note("Nothing here is beyond chance; without --confident, what is nearest is shown.")


def _files(queries: Sequence[str]) -> list[str]:
    """The image files of a query, without their weights."""
    return [query if _is_there(query) else weighted(query)[0] for query in queries]


def weighted(text: str) -> tuple[str, float]:
    """A query and its weight, which may follow it as in "red dress^0.5"; otherwise 1.

    Raises:
        UsageError: the weight is not above 0.
    """
    asked, mark, number = text.rpartition("^")
    if not mark:
        return text, 1.0
    try:
        weight = float(number)
    except ValueError:
        return text, 1.0
    if not (math.isfinite(weight) and weight > 0):
        raise errors.UsageError(f"{text}: a weight has to be above 0; for a negative one use --minus or --minus-text")
    return asked, weight


def _image_terms(images: Sequence[str], sign: int, region: "Region | None" = None) -> "list[Term]":
    """The images of a query, or a region of each: each the name of a file, which its weight may follow."""
    from lookalike.search.terms import Term

    terms = []
    for image in images:
        name, weight = (image, 1.0) if _is_there(image) else weighted(image)
        terms.append(Term(sys.stdin.buffer if name == "-" else _as_on_disk(name), weight=sign * weight, region=region))
    return terms


def _as_on_disk(name: str) -> str:
    """The name of a file in the only other spelling in which it is there, if it is not there as it is given."""
    from lookalike.storage.spellings import only, spellings

    return name if _is_there(name) else only(filter(os.path.lexists, spellings(name))) or name


def _is_there(name: str) -> bool:
    """Whether there is a file of a name, or an image in an archive."""
    from lookalike.sources import places

    return os.path.lexists(name) or places.is_there(Path(name))


def _text_terms(texts: Sequence[str], sign: int) -> "list[Term]":
    from lookalike.search.terms import Term

    return [Term(text=text, weight=sign * weight) for text, weight in map(weighted, texts)]
