"""Measures how far it holds that a match is an edited copy (`Match.copy_probability`), for other edits and images.

    python benchmarks/copy_probability.py FOLDER [--copied 100]

`evaluate` learns it from four edits of a hundred images of the folder. Others are then edited in each way of
`copy_edits.py`, and each copy searches twice: among all images, and among all but its original. The first match of each
search is judged: how far the probability is off (the expected calibration error, fifteen bins), and how well it, the
score and the centred cosine tell whether it is the original (AUROC). The last lines are of each edit: how often the
original comes first, how often it is then told that it rather is a copy, and how often another image is.
"""

import hashlib
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

import lookalike
from copy_edits import EDITS
from lookalike import Collection
from lookalike.evaluation import orders
from lookalike.evaluation.calibration import auroc, calibration_bins, calibration_error
from lookalike.evaluation.edits import original
from lookalike.search.options import SearchOptions
from lookalike.search.probability import CopyCurve


@dataclass(frozen=True)
class First:
    """The first match of a search, whether it is the original, and whether that was there."""

    edit: str
    told: float
    centred: float
    score: float
    is_right: bool
    is_there: bool


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--copied", default=100, show_default=True, help="Images that are edited in every way.")
def main(folder: Path, copied: int) -> None:
    with tempfile.TemporaryDirectory() as place, lookalike.create(folder, directory=Path(place) / "of") as collection:
        collection.add(folder)
        measured = collection.evaluate().copy_calibration
        if measured is None or not isinstance(measured.curve, CopyCurve):
            raise click.ClickException("nothing was learned; there are too few images")
        click.echo(f"by its own edits, held out: off by {measured.error:.3f}, AUROC {measured.auroc:.3f}")
        report([each for found in searches(collection, measured.curve, copied) for each in found])


def searches(collection: Collection, curve: CopyCurve, copied: int) -> Iterator[list[First]]:
    """What the edited copies find of images that `evaluate` has not edited."""
    images = collection.images(limit=len(collection))
    known = set(orders.drawn(len(images), orders.COPIED).tolist())
    others = [image for number, image in enumerate(images) if number not in known]
    with collection._snapshots.current() as snapshot:
        row_of = {image_id: row for image_id, row, _ in snapshot.catalog.live_images()}
        for image in random.Random(2).sample(others, min(copied, len(others))):
            data, row = image.path.read_bytes(), row_of[image.id]
            source, seed = original(data), hashlib.sha256(data).digest()
            for name, edit in EDITS.items():
                vector = collection.embed(edit(source, random.Random(seed + name.encode())))
                scores, rows = snapshot.search(vector, SearchOptions(2), snapshot.live)
                found = []
                for without in (None, np.array([row])):
                    kept = np.ones(len(rows[0]), bool) if without is None else rows[0] != row
                    near = snapshot.judged(vector, rows[0][kept][:1], without=without)
                    facts = curve.of(near)[0], near.centred[0], scores[0][kept][0], rows[0][kept][0] == row
                    found.append(First(name, *facts, is_there=without is None))
                yield found


def report(found: list[First]) -> None:
    told, centred, score = (np.array([getattr(each, name) for each in found]) for name in ("told", "centred", "score"))
    is_right = np.array([each.is_right for each in found])
    bins = calibration_bins(told, is_right)
    aurocs = (f"{name} {auroc(values, is_right):.3f}" for name, values in (("cosine", centred), ("score", score)))
    click.echo(
        f"{len(found)} searches: off by {calibration_error(bins):.3f}, AUROC {auroc(told, is_right):.3f}", nl=False
    )
    click.echo(f" (centred {', '.join(aurocs)})\n{'told':>8}{'found':>8}")
    for each in bins:
        click.echo(f"{each.told:>8.3f}{each.found:>8.3f}")
    click.echo(f"{'':<22}{'first':>8}{'told':>8}{'others':>8}")
    for name in EDITS:
        there = [each for each in found if each.edit == name and each.is_there]
        told_of = [each.told >= 0.5 for each in there if each.is_right]
        others = [each.told >= 0.5 for each in found if each.edit == name and not each.is_there]
        first = np.mean([each.is_right for each in there])
        click.echo(f"{name:<22}{first:>8.2f}{np.mean(told_of or [False]):>8.2f}{np.mean(others):>8.2f}")


if __name__ == "__main__":
    main()
