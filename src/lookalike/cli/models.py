"""The commands `lookalike models ...`: bringing networks in, looking at them, comparing them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from lookalike import errors
from lookalike.cli import output, progress
from lookalike.display.text import safe_text

if TYPE_CHECKING:
    from lookalike.encoders.card import Card
    from lookalike.evaluation.model_comparison import ComparisonProgress
    from lookalike.importers.base import ImportProgress

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


class _Triple(click.ParamType[Any]):
    """One number for all three channels, or three with commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            numbers = [float(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r}: give one number, or three with commas between them", param, ctx)
        if len(numbers) not in (1, 3):
            self.fail(f"{value!r}: give one number, or three with commas between them", param, ctx)
        return tuple(numbers * 3 if len(numbers) == 1 else numbers)


@click.group()
def models() -> None:
    """The networks that turn images into vectors.

    One comes with Lookalike. Others are imported once, and then run without what they came from.
    """


@models.command("import")
@click.argument("source")
@click.option("--name", help="What to call it [its own name, in small letters].")
@click.option("--revision", help="The version to take, where a source has several: a commit, a tag, a branch.")
@click.option("--output", metavar="LAYER", help="Of a file: the layer to take, see: lookalike models inspect FILE")
@click.option("--size", type=click.IntRange(1), help="The side of the square that goes in, in pixels.")
@click.option("--crop", type=click.FloatRange(0, 1, min_open=True), help="The part of the shorter side that is kept.")
@click.option(
    "--resample", type=click.Choice(["nearest", "bilinear", "bicubic", "lanczos"]), help="What scales images."
)
@click.option("--fit", type=click.Choice(["crop", "squash"]), help="What makes images square.")
@click.option(
    "--mean", type=_Triple(), help="Taken from the pixels, 0 to 255: one number, or three in the order of --channels."
)
@click.option("--std", type=_Triple(), help="What the pixels are then divided by, likewise.")
@click.option("--channels", type=click.Choice(["RGB", "BGR"]), help="The order in which it takes the channels.")
@click.option("--licence", help="Of the weights, to be noted on the card.")
@_json
def import_(source: str, name: str | None, as_json: bool, **options: Any) -> None:
    """Bring a pretrained network in.

    \b
    SOURCE is one of
      timm:resnet50.a1_in1k                     PyTorch Image Models
      torchvision:vgg16
      keras:InceptionV3                         keras.applications, on TensorFlow
      open_clip:ViT-B-32/laion2b_s34b_b79k      to search by words, too
      hf:owner/name                             a Hugging Face repository with ONNX files
      model.onnx, model.tflite, saved_model/, model.xml

    It is downloaded where it has to be, checked, converted, and kept with a card. Its framework is needed for that
    only: lookalike[torch], lookalike[keras] or lookalike[clip]. Nothing of a stranger's is executed.
    """
    from lookalike.encoders.openvino import image_encoder
    from lookalike.importers import ImportOptions, import_model

    with _importing() as progress:
        model = import_model(source, name=name, options=ImportOptions(**options), progress=progress)
    if as_json:
        output.print_json(_facts(model.card.name))
        return
    card = model.card
    click.echo(f"{card.name}: {card.dim:,} dimensions, {output.size_text(model.bytes)}, in {safe_text(model.folder)}")
    click.echo(f"To use it: lookalike index FOLDER --model {card.name}")
    if image_encoder.computes_bfloat16():
        click.echo("With --precision bf16, this processor computes most networks about twice as fast.")


@models.command("list")
@_json
def list_(as_json: bool) -> None:
    """List the networks that there are."""
    from lookalike import encoders

    rows = []
    for name in encoders.names():
        try:
            rows.append(_facts(name))
        except errors.ModelError as error:
            output.warn(safe_text(str(error)))
    if as_json:
        for row in rows:
            output.print_json(row)
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        words = ", words" if row.get("text") else ""
        size = output.size_text(row["bytes"])
        click.echo(f"{row['name']:<{width}}  {row['dim']:>5,} dimensions{words}  {size:>7}  {safe_text(row['source'])}")


@models.command()
@click.argument("name")
@_json
def show(name: str, as_json: bool) -> None:
    """Tell what is on a network's card."""
    from lookalike import encoders

    facts, card = _facts(name), encoders.card(name)
    if as_json:
        output.print_json(facts)
        return
    for title, value in _card_rows(card).items():
        click.echo(f"{title:<13}{safe_text(value)}")
    click.echo(f"{'size':<13}{output.size_text(facts['bytes'])}, in {safe_text(facts['path'])}")


@models.command()
@click.argument("name", required=False)
def path(name: str | None) -> None:
    """Print the folder of an imported network, or the one that all are in.

    A network's folder may be copied to another machine as it is.
    """
    from lookalike.encoders import registry

    click.echo(str(registry.read(name).folder if name else registry.folder()))


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def remove(names: tuple[str, ...]) -> None:
    """Delete imported networks.

    Collections that they made can still be searched by --id, and need them again for everything else.
    """
    from lookalike import encoders
    from lookalike.encoders import registry

    for name in names:
        if name == encoders.BUNDLED:
            raise errors.UsageError(f"{name} comes with Lookalike and cannot be removed")
        registry.remove(name)
        click.echo(f"Removed {name}.")


@models.command()
@click.argument("file", type=click.Path())
@click.option("--all", "everything", is_flag=True, help="Every layer, not only the last ones.")
@_json
def inspect(file: str, everything: bool, as_json: bool) -> None:
    """List the layers of a network in FILE that vectors could be taken from, the last first.

    The one with a star is taken unless another is named: lookalike models import FILE --output LAYER
    """
    from lookalike.importers import inspect as layers_of

    layers = layers_of(file)
    if as_json:
        for layer in layers:
            output.print_json(asdict(layer))
        return
    shown = layers if everything else [layer for place, layer in enumerate(layers) if place < 12 or layer.default]
    width = max((len(safe_text(layer.name)) for layer in shown), default=0)
    for layer in shown:
        shape = " x ".join("?" if side is None else str(side) for side in layer.shape)
        mark, pooled = "*" if layer.default else " ", "  pooled" if layer.pooled else ""
        click.echo(f"{mark} {safe_text(layer.name):<{width}}  {layer.kind:<14}  {shape}{pooled}")
    if len(shown) < len(layers):
        click.echo(f"and {len(layers) - len(shown):,} before them, see --all")


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME[:PRECISION]...")
@click.argument("folder", type=click.Path())
@click.option("--sample", default=500, show_default=True, type=click.IntRange(2), help="How many images to take.")
@click.option("--threads", type=click.IntRange(1), help="Images to work on at once [one for each core].")
@_json
def compare(names: tuple[str, ...], folder: str, sample: int, threads: int | None, as_json: bool) -> None:
    """Find out which networks are best for the images in FOLDER.

    Each makes vectors of some of them. Then copies are made of these images, cropped, mirrored, re-compressed and
    recoloured: recall is how often a copy finds its original. Where the images lie in folders of several names, those
    are labels: precision is how often the nearest images have the same one. Speed and memory are measured, too, each
    network in a process of its own. Nothing is written.
    """
    from lookalike.evaluation.model_comparison import compare as compared

    with progress.bar("Comparing") as advance:

        def show(progress: "ComparisonProgress") -> None:
            files = output.counted(progress.files, "file")
            advance(progress.done / (progress.total or 1), progress.model or files)

        comparison = compared(names, folder, sample=sample, threads=threads, progress=show)
    if as_json:
        output.print_json(asdict(comparison))
        return
    from rich.console import Console

    from lookalike.display.model_table import print_comparison

    print_comparison(comparison, Console())


@contextmanager
def _importing() -> Iterator[Callable[["ImportProgress"], None]]:
    """Shows what an import does, and of a download how much there is."""
    with progress.bar("Importing") as advance:

        def show(progress: "ImportProgress") -> None:
            of = f" of {output.size_text(progress.total)}" if progress.total else ""
            amount = f", {output.size_text(progress.done)}{of}" if progress.done else ""
            advance(progress.done / progress.total if progress.total else 0.0, f"{progress.stage}{amount}")

        try:
            yield show
        except KeyboardInterrupt:
            output.warn("Stopped. What was downloaded is kept: run the same command again to carry on.")
            raise


def _facts(name: str) -> dict[str, Any]:
    """What is on a card, and where the network is."""
    from lookalike import encoders
    from lookalike.encoders import bundled, registry

    card = encoders.card(name)
    if name == encoders.BUNDLED:
        weights = bundled.weights_path()
        place = {"bytes": weights.stat().st_size, "path": str(weights)}
    else:
        model = registry.read(name)
        place = {"bytes": model.bytes, "path": str(model.folder)}
    return {**card.as_dict(), "fingerprint": card.fingerprint, **place}


def _card_rows(card: "Card") -> dict[str, str]:
    """A card for people."""
    from lookalike import encoders

    preprocessing, normalization = card.preprocessing, card.normalization
    fit = f"{preprocessing.fit} to {preprocessing.crop:g} of the side"
    rows = {
        "name": card.name,
        "source": card.source,
        "licence": card.licence or "not known: see where it comes from",
        "dimensions": f"{card.dim:,}" + (f", from {card.output}" if card.output else ""),
        "pictures": f"{preprocessing.size} x {preprocessing.size} pixels, {fit}, {preprocessing.resample}",
        "precisions": ", ".join(encoders.precisions(card.name)),
        "words": f"yes, up to {card.text.context} tokens" if card.text else "no",
        "weights": f"SHA-256 {card.sha256}",
        "version": card.version or card.revision,
        "fingerprint": card.fingerprint,
    }
    if normalization:
        numbers = [", ".join(f"{number:g}" for number in triple) for triple in (normalization.mean, normalization.std)]
        rows["pictures"] += f"; {normalization.channels}, less {numbers[0]}, divided by {numbers[1]}"
    return rows
