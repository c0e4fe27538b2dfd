"""The commands `lookalike models ...`: import, list, show, remove, inspect and compare models."""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from lookalike import errors
from lookalike.cli import options, output, progress
from lookalike.cli.hints import as_command
from lookalike.display.text import safe_text, shortened

if TYPE_CHECKING:
    from lookalike.encoders.card import Card
    from lookalike.evaluation.model_comparison import ComparisonProgress
    from lookalike.importers.base import ImportProgress

_SHOWN_LAYERS = 12


class _PerChannel(click.ParamType[Any]):
    """One number for all three channels, or three separated by commas."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            numbers = [float(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r}: give one number, or three separated by commas", param, ctx)
        if len(numbers) not in (1, 3):
            self.fail(f"{value!r}: give one number, or three separated by commas", param, ctx)
        return tuple(numbers * 3 if len(numbers) == 1 else numbers)


@click.group(cls=options.OrderedGroup)
def models() -> None:
    """Manage the models that turn images into vectors.

    One comes with Lookalike. Others are imported once, and then run without the framework they came from.
    """


@models.command("import")
@click.argument("source")
@click.option("--name", help="Name of the model (default: its name at the source, in lower case).")
@click.option("--revision", help="Commit, tag or branch to take, if the source has several.")
@click.option(
    "--output", metavar="LAYER", help="Layer whose output becomes the vector, see: lookalike models inspect FILE"
)
@click.option("--size", type=click.IntRange(1), help="Side of the square image that the network takes, in pixels.")
@click.option("--crop", type=click.FloatRange(0, 1, min_open=True), help="Part of the shorter side that is kept.")
@click.option(
    "--resample", type=click.Choice(["nearest", "bilinear", "bicubic", "lanczos"]), help="Filter that scales images."
)
@click.option("--fit", type=click.Choice(["crop", "squash"]), help="How images are made square.")
@click.option(
    "--mean",
    type=_PerChannel(),
    help="Normalization mean, of pixels in 0..255: one number, or three in the order of --channels.",
)
@click.option("--std", type=_PerChannel(), help="Normalization standard deviation, likewise.")
@click.option("--channels", type=click.Choice(["RGB", "BGR"]), help="Channel order that the network takes.")
@click.option("--licence", help="Licence of the weights, to be noted on the model's card.")
@options.as_json
def import_(source: str, name: str | None, as_json: bool, **given: Any) -> None:
    """Import a pretrained model.

    \b
    SOURCE is one of
      timm:resnet50.a1_in1k                     PyTorch Image Models
      torchvision:vgg16
      keras:InceptionV3                         keras.applications, on TensorFlow
      open_clip:ViT-B-32/laion2b_s34b_b79k      embeds text too
      hf:owner/name                             ONNX files on Hugging Face
      model.onnx, model.tflite, saved_model/, model.xml

    It is downloaded if necessary, checked, converted, and saved with a card. Its framework is needed for the import
    only: lookalike[torch], lookalike[keras] or lookalike[clip]. No code from the source is executed.
    """
    from lookalike.encoders.openvino import image_encoder
    from lookalike.importers import ImportOptions, import_model

    with _import_progress() as on_progress:
        model = import_model(source, name=name, options=ImportOptions(**given), progress=on_progress)
    if as_json:
        output.print_json(_facts(model.card.name))
        return
    card = model.card
    output.say(f"{card.name}: {card.dim:,} dimensions, {output.bytes_text(model.bytes)}, in {safe_text(model.folder)}")
    output.say(f"To use it: lookalike index FOLDER --model {card.name}")
    if image_encoder.computes_bfloat16():
        output.say("With --precision bf16, this processor runs most models about twice as fast.")


@models.command("list")
@options.as_json
def list_(as_json: bool) -> None:
    """List the models on this machine."""
    from lookalike import encoders
    from lookalike.encoders import registry

    rows = []
    if reason := registry.why_unreadable():
        output.note(f"Warning: {safe_text(reason)}")
    for name in encoders.names():
        try:
            rows.append(_facts(name))
        except errors.LookalikeError as error:  # the others are listed
            output.note(safe_text(errors.with_hints(error.message, error.hints, as_command)))
    if as_json:
        for row in rows:
            output.print_json(row)
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        output.say(_line_of(row, width))


@models.command()
@click.argument("name")
@options.as_json
def show(name: str, as_json: bool) -> None:
    """Show a model's card."""
    from lookalike import encoders

    facts, card = _facts(name), encoders.card(name)
    if as_json:
        output.print_json(facts)
        return
    for title, value in _card_rows(card).items():
        output.say(f"{title:<13}{safe_text(value)}")
    output.say(f"{'size':<13}{output.bytes_text(facts['bytes'])}, in {safe_text(facts['path'])}")


@models.command()
@click.argument("name", required=False)
def path(name: str | None) -> None:
    """Print the folder of a model, or that of all of them.

    A model's folder can be copied to another machine as it is.
    """
    from lookalike.encoders import registry

    output.say(str(registry.read(name).folder if name else registry.folder()))


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def remove(names: tuple[str, ...]) -> None:
    """Delete imported models.

    Collections made with a deleted model stay usable. Only adding images, and searching by new images or text, need the
    model again.
    """
    from lookalike import encoders
    from lookalike.encoders import registry

    for name in names:
        if name == encoders.BUNDLED:
            raise errors.UsageError(f"{name} comes with Lookalike and cannot be removed")
        registry.remove(name)
        output.say(f"Removed {name}.")


@models.command()
@click.argument("file", type=options.FilePath())
@click.option("--all", "everything", is_flag=True, help="List every layer, not only the last ones.")
@options.as_json
def inspect(file: str, everything: bool, as_json: bool) -> None:
    """List the layers that vectors can be taken from.

    These are layers of the network in FILE, the last first. The default one is marked with a star. To take another:
    lookalike models import FILE --output LAYER
    """
    from lookalike.importers import inspect as layers_of

    layers = layers_of(file)
    if as_json:
        for layer in layers:
            output.print_json(asdict(layer))
        return
    shown = [layer for row, layer in enumerate(layers) if everything or row < _SHOWN_LAYERS or layer.default]
    width = max((len(safe_text(layer.name)) for layer in shown), default=0)
    for layer in shown:
        shape = " x ".join("?" if side is None else str(side) for side in layer.shape)
        mark, pooled = "*" if layer.default else " ", "  pooled" if layer.pooled else ""
        output.say(f"{mark} {safe_text(layer.name):<{width}}  {layer.kind:<14}  {shape}{pooled}")
    if len(shown) < len(layers):
        output.say(f"and {len(layers) - len(shown):,} before them, see --all")


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME[:PRECISION]...")
@click.argument("folder", type=options.FilePath())
@click.option("--sample", default=500, show_default=True, type=click.IntRange(2), help="Number of images to use.")
@options.threads
@options.as_json
def compare(names: tuple[str, ...], folder: str, sample: int, threads: int | None, as_json: bool) -> None:
    """Compare models on the images in FOLDER.

    Each model encodes a sample of them, and copies of the sample that are cropped, mirrored, re-compressed and
    recoloured. Recall is the share of copies that find their original; "beyond chance" is the share that is nearer to
    it than any image is by chance, which compares models whose scores cannot be compared. If the images are in folders
    of several names, these are labels, and precision is the share of nearest images with the same label. Speed and
    memory are measured too, each model in a process of its own. Nothing is written.
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
def _import_progress() -> Iterator[Callable[["ImportProgress"], None]]:
    """Shows the stage of an import, and the bytes of a download."""
    with progress.bar("Importing") as advance:

        def show(progress: "ImportProgress") -> None:
            of = f" of {output.bytes_text(progress.total)}" if progress.total else ""
            amount = f", {output.bytes_text(progress.done)}{of}" if progress.done else ""
            advance(progress.done / progress.total if progress.total else 0.0, f"{progress.stage}{amount}")

        try:
            yield show
        except KeyboardInterrupt:
            output.note("Stopped. Downloads are kept: run the same command again to resume.")
            raise


def _facts(name: str) -> dict[str, Any]:
    """A model's card, size and path, for JSON."""
    from lookalike import encoders
    from lookalike.encoders import bundled, registry

    card = encoders.card(name)
    if name == encoders.BUNDLED:
        weights = bundled.weights_path()
        location = {"bytes": weights.stat().st_size, "path": str(weights)}
    else:
        model = registry.read(name)
        location = {"bytes": model.bytes, "path": str(model.folder)}
    return {**card.as_dict(), "fingerprint": card.fingerprint, **location}


def _line_of(model: Mapping[str, Any], width: int) -> str:
    """What a model is, in a line that fits a terminal; its source, which comes last, may end in an ellipsis there."""
    text = ", text" if model.get("text") else ""
    size, source = output.bytes_text(model["bytes"]), safe_text(model["source"])
    line = f"{model['name']:<{width}}  {model['dim']:>5,} dimensions{text}  {size:>7}  {source}"
    return shortened(line, shutil.get_terminal_size().columns) if sys.stdout.isatty() else line


def _card_rows(card: "Card") -> dict[str, str]:
    """A model's card as a table for people."""
    from lookalike import encoders

    preprocessing, normalization = card.preprocessing, card.normalization
    fit = f"{preprocessing.fit} to {preprocessing.crop:g} of the side"
    rows = {
        "name": card.name,
        "source": card.source,
        "licence": card.licence or "unknown: see the source",
        "dimensions": f"{card.dim:,}" + (f", from {card.output}" if card.output else ""),
        "images": f"{preprocessing.size} x {preprocessing.size} pixels, {fit}, {preprocessing.resample}",
        "precisions": ", ".join(encoders.precisions(card.name)),
        "text": f"yes, up to {card.text.context} tokens" if card.text else "no",
        "weights": f"SHA-256 {card.sha256}",
        "version": card.version or card.revision,
        "fingerprint": card.fingerprint,
    }
    if normalization:
        mean, std = (
            ", ".join(f"{number:g}" for number in values) for values in (normalization.mean, normalization.std)
        )
        rows["images"] += f"; {normalization.channels}, mean {mean}, std {std}"
    return rows
