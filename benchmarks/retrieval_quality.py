"""Measures precision@1 and precision@10 by label, for each precision of the bundled model.

    python benchmarks/retrieval_quality.py FOLDER

The label is the name of the folder that an image is in; each query is left out of its own answer.
"""

import tempfile
from pathlib import Path

import click

import lookalike


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
def main(folder: str) -> None:
    click.echo(f"{'precision':<12}{'images':>8}{'precision@1':>14}{'precision@10':>14}")
    for precision in ("f32", "bf16", "int8"):
        with tempfile.TemporaryDirectory() as directory:
            images, at_1, at_10 = quality(folder, precision, Path(directory) / "collection")
        click.echo(f"{precision:<12}{images:>8,}{at_1:>14.4f}{at_10:>14.4f}")


def quality(folder: str, precision: str, directory: Path) -> tuple[int, float, float]:
    """The number of images, and precision@1 and precision@10 by label."""
    first = every = 0
    with lookalike.create(folder, directory=directory, precision=precision) as collection:
        collection.add(folder)
        images = len(collection)
        for number in range(1, images + 1):
            matches = collection.search_id(number, k=10)
            [query] = matches.queries
            right = [match.label == query.label for match in matches]
            first += right[0]
            every += sum(right)
    return images, first / images, every / (10 * images)


if __name__ == "__main__":
    main()
