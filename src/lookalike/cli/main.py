"""The command line: words and exit codes; what a command does is done by the library.

Exit codes: 0 done, 1 unexpected, 2 usage, 3 done but some images were skipped, 4 corrupt or incompatible
collection, 5 disk or resources, 6 another process is writing, 130 stopped by Ctrl-C.
"""

import io
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike import errors
from lookalike.cli import locate, models, output
from lookalike.cli.hints import as_command
from lookalike.display.text import safe_text

if TYPE_CHECKING:
    from lookalike.collection.collection import Collection
    from lookalike.collection.reindex import Change
    from lookalike.filters import Where
    from lookalike.search.query import Term

# The first that fits decides.
_EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.UsageError, 2),
    (errors.ImageError, 2),
    (errors.NoCollectionError, 2),
    (errors.LockedError, 6),
    (errors.CollectionError, 4),
    (errors.StorageError, 5),
    (OSError, 5),
    (MemoryError, 5),
    (errors.LookalikeError, 1),
    (KeyboardInterrupt, 130),
)
_SKIPPED = 3
_DAMAGED = 4

_collection = click.option(
    "-c",
    "--collection",
    "directory",
    metavar="DIR",
    type=click.Path(),
    envvar="LOOKALIKE_COLLECTION",
    help="The folder that was indexed, or the collection itself. Without it: $LOOKALIKE_COLLECTION, else the"
    " nearest one in the current folder or above it, else the only one in the folders right below.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
_RECALL = click.FloatRange(0, 1, min_open=True)
_model = click.option("--model", metavar="NAME", help="The network, see: lookalike models list [efficientnet-lite0].")
_precision = click.option(
    "--precision", type=click.Choice(["int8", "f32", "bf16"]), help="What the network computes with [its first]."
)
_device = click.option(
    "--device",
    default="auto",
    help="The processor for the network: cpu, cuda, cuda:1, mps [a graphics processor if there is one].",
)


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which images may be found."""
    for option in (
        click.option(
            "--where",
            "conditions",
            multiple=True,
            metavar="NAME=VALUE",
            help="Only images with this attribute: colour=red, colour=red,blue, price=10..20 or price>=10."
            " May be repeated.",
        ),
        click.option("--under", metavar="FOLDER", help="Only images in this folder of the collection's."),
        click.option(
            "--label", "labels", multiple=True, metavar="NAME", help="Only images with this label. May be repeated."
        ),
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="lookalike")
def cli() -> None:
    """Finds the images that look like this one.

    \b
    To begin with:
      lookalike index photos/        look at every image in a folder, once
      lookalike search query.jpg     find the images that look like this one
      lookalike demo                 see it work on pictures that it draws itself

    Nothing leaves this machine.
    """


def main() -> None:
    """Runs the command line and exits."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever read the output has seen enough
    warnings.showwarning = output.show_warning
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may be in a script that the terminal cannot show
    try:
        code = cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = 130
    except tuple(kind for kind, _ in _EXIT_CODES) as error:
        if not isinstance(error, KeyboardInterrupt):
            output.warn(f"Error: {_told(error)}")
        code = next(code for kind, code in _EXIT_CODES if isinstance(error, kind))
    sys.exit(code or 0)


def _told(error: BaseException) -> str:
    """The message of an error, with what to do as shell commands."""
    if isinstance(error, errors.LookalikeError):
        return errors.with_hints(error.message, error.hints, as_command)
    return str(error) or "there is not enough memory"


@cli.command()
@click.argument("paths", nargs=-1, metavar="[FOLDER | FILE]...", type=click.Path())
@_collection
@_model
@_precision
@click.option(
    "--reindex", is_flag=True, help="Index again with another --model, beside what there is, then switch over."
)
@_device
@click.option("--threads", type=click.IntRange(1), help="Images to work on at once [one for each core].")
@_json
def index(
    paths: Sequence[str],
    directory: str | None,
    reindex: bool,
    threads: int | None,
    as_json: bool,
    **network: str | None,
) -> int:
    """Make a folder searchable, or bring it up to date.

    Only what is new or changed is looked at; images whose files are gone are dropped. It may be stopped at any
    time: the next run carries on. What is hidden is left out, and so are folders that are only linked to.

    What it makes is kept in FOLDER/.lookalike, unless a folder above has a collection, which it then becomes part
    of. No image is changed. Without FOLDER, the nearest collection is brought up to date.
    """
    place = locate.place_to_index(paths, directory)
    sources: list[str | Path | list[str]] = [path for path in paths if os.path.isdir(path)]
    files = [path for path in paths if not os.path.isdir(path)]
    if files:
        sources.append(files)
    if place and (change := _change_of_model(place, network, reindex=reindex)):
        if not reindex:
            raise errors.IncompatibleError(str(change))
        return _reindex(place, sources, network, threads, as_json=as_json)
    collection = locate.collection_to_index(place, paths, directory, **network)
    code = 0
    for source in sources or [collection.folder]:
        with output.progress_bar() as show:
            report = collection.add(source, threads=threads, progress=show)
        output.print_report(report, collection, as_json=as_json)
        code = _SKIPPED if report.skipped or report.skipped_before else code
    with output.build_progress() as progress:
        done = collection.maintain(progress=progress)
    output.print_maintenance(done, collection, as_json=as_json)
    return code


@cli.command()
@click.argument("queries", nargs=-1, metavar="[IMAGE]...", type=click.Path(allow_dash=True))
@_collection
@click.option("-k", default=10, show_default=True, help="How many images to find.")
@click.option("--min-score", type=click.FloatRange(-1, 1), help="Leave out what scores less, from -1 to 1.")
@click.option("--id", "image_id", type=int, help="Search by the collection's own image with this id.")
@click.option("--text", "texts", multiple=True, metavar="WORDS", help="What it shows, in words; may be repeated.")
@click.option(
    "--minus",
    multiple=True,
    metavar="IMAGE",
    type=click.Path(),
    help="Away from this image's likeness; may be repeated.",
)
@click.option("--minus-text", multiple=True, metavar="WORDS", help="Away from what these words say; may be repeated.")
@_filters
@click.option("--exact", is_flag=True, help="Compare with every image, although there is an index.")
@click.option("--recall", type=_RECALL, help="The share of the nearest to find [what the index was built for].")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page of thumbnails.")
@click.option("--open", "open_page", is_flag=True, help="Open the page of thumbnails in the browser.")
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path), help="Write a contact sheet, .jpg or .png.")
@click.option("--thumbnails/--no-thumbnails", default=True, help="Thumbnails in the terminal, where it can show them.")
@_json
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
    **options: Any,
) -> None:
    """Find the images that look like IMAGE.

    The score is the cosine similarity, at most 1. Several images, and words, are averaged; "photo.jpg^2" or "red^0.5"
    makes one count more or less. "-" reads the image from standard input. For words, the collection has to be made with
    a model that knows some, such as open_clip's.
    """
    terms = [*_image_terms(queries, 1), *_text_terms(texts, 1), *_image_terms(minus, -1), *_text_terms(minus_text, -1)]
    if (image_id is None) != bool(queries or texts) or (image_id is not None and terms):
        raise errors.UsageError("search: give one or more images or --text, or the --id of one image, which goes alone")
    wanted = {name: options.pop(name) for name in ("k", "min_score", "exact", "recall")}
    output.check_outputs(options["html"], options["sheet"])
    collection = locate.open_collection(directory, near=queries)
    wanted["where"] = _where(labels, locate.key_of_folder(under, collection), conditions)
    if image_id is not None:
        matches = collection.search_id(image_id, **wanted)
    else:
        matches = collection.search_terms(terms, **wanted)
    output.show(matches, **options)
    if not matches:
        output.warn_of_filters(collection, wanted["where"])


@cli.command()
@click.argument("folder", metavar="FOLDER", type=click.Path())
@_collection
@_model
@_precision
@click.option("--sample", default=200, show_default=True, type=click.IntRange(1), help="How many files to try.")
@_json
def plan(
    folder: str, directory: str | None, model: str | None, precision: str | None, sample: int, as_json: bool
) -> None:
    """Say what indexing FOLDER would take.

    That is the time, the disk, the memory, and which index there would be. All names are counted, and some of the files
    tried. Nothing is written.
    """
    from lookalike.collection import plan

    with output.plan_progress() as show:
        found = plan.plan(folder, directory=directory, model=model, precision=precision, sample=sample, progress=show)
    output.print_plan(found, as_json=as_json)


@cli.command()
@_collection
@click.option("--recall", default=0.98, show_default=True, type=_RECALL, help="The share of the nearest to find.")
@click.option("--memory", metavar="SIZE", help="The most that the index may take, such as 500MB.")
@click.option("--spec", metavar="FACTORY", help="A FAISS index, such as IVF4096,PQ320x4fs or HNSW32,SQ8.")
@_json
def build(directory: str | None, recall: float, memory: str | None, spec: str | None, as_json: bool) -> None:
    """Build an index that makes searching fast.

    The vectors stay as they are, on the disk; the index takes a fraction of their size, and proposes what the vectors
    then rank. `lookalike index` builds one by itself once there are so many images that comparing with all of them
    takes long, and keeps it current.

    The recall is measured on the collection's own images, and is what searches keep to. Where no index can reach it,
    that is said, and the best there is is kept.
    """
    collection = locate.open_collection(directory)
    with output.build_progress() as show:
        index = collection.build(recall=recall, memory=memory, spec=spec, progress=show)
    output.print_index(index, collection, as_json=as_json)


@cli.command()
@_collection
@click.option("--queries", default=1000, show_default=True, type=click.IntRange(1), help="How many images to ask.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a report with pictures.")
@_json
def evaluate(directory: str | None, queries: int, html: Path | None, as_json: bool) -> None:
    """Measure how good the answers are.

    Each image that is asked is left out of its own answer. Recall is the share of the ten nearest that a search finds;
    precision, how many answers have the label of the query; mAP, the mean average precision over exact rankings. The
    label of an image is the folder that it is in, unless a table gives it another one.
    """
    output.check_outputs(html, None)
    collection = locate.open_collection(directory)
    with output.steps("Asking") as show:
        evaluation = collection.evaluate(queries=queries, progress=show)
    output.print_evaluation(evaluation, as_json=as_json, html=html)


@cli.command()
@click.argument("table", type=click.Path(dir_okay=False))
@_collection
@_json
def attributes(table: str, directory: str | None, as_json: bool) -> int:
    """Give images attributes, by which to filter searches.

    TABLE is a CSV, TSV or Parquet file. Its first column, or the one named path, file, filename or image, names the
    image, relative to TABLE or to the collection's folder. The others are attributes; one named label becomes the
    image's label. An empty cell takes an attribute away; what TABLE does not mention stays.
    """
    report = locate.open_collection(directory, near=[table]).annotate(table)
    if as_json:
        output.print_json(asdict(report))
    else:
        names = ", ".join(safe_text(name) for name in report.names)
        click.echo(f"{output.counted(report.images, 'image')} now with: {names}")
        for path in report.first_unknown:
            output.warn(f"{safe_text(path)}: not in the collection")
        if report.unknown > len(report.first_unknown):
            output.warn(f"and {report.unknown - len(report.first_unknown):,} more that are not in the collection")
    return 0 if report.images else _SKIPPED


@cli.command()
@_collection
@click.option("--skipped", is_flag=True, help="List the files that were left out, with the reasons.")
@_json
def info(directory: str | None, skipped: bool, as_json: bool) -> None:
    """Tell what a collection is and holds."""
    collection = locate.open_collection(directory)
    facts = collection.info()
    if skipped:
        output.print_skipped(collection.skipped(), as_json=as_json)
    elif as_json:
        output.print_json(asdict(facts))
    else:
        rows = {
            "folder": safe_text(facts.folder),
            "collection": f"{safe_text(facts.directory)}  ({facts.bytes / 1e6:,.1f} MB)",
            "model": " ".join((facts.made_by.model, facts.made_by.precision, f"({facts.made_by.dim} dimensions)")),
            "images": f"{facts.images:,}",
            "vectors": f"{facts.vectors:,}, of which {facts.dead:,} belong to no image any more",
            "skipped": f"{facts.skipped:,}" + (", see: lookalike info --skipped" if facts.skipped else ""),
            "index": facts.index.spec if facts.index else "none: every search looks at every vector",
        }
        if begun := _begun(facts.directory):
            rows["reindexing"] = begun
        for name, value in rows.items():
            click.echo(f"{name:<12}{value}")
        if facts.damage:
            output.warn(f"{safe_text(facts.damage)}; to build the index again, index the folder: lookalike index")
        if facts.index:
            output.print_curve(facts.index, facts.young)


@cli.command()
@_collection
@_json
def check(directory: str | None, as_json: bool) -> int:
    """Read all that is stored, and name what is damaged."""
    collection = locate.open_collection(directory)
    damages = collection.check()
    if as_json:
        output.print_json({"damages": damages})
    else:
        for damage in damages:
            click.echo(safe_text(damage))
        if not damages:
            click.echo(f"All is well: {output.counted(len(collection), 'image')}, every vector as it was written.")
        elif not all("lookalike index" in damage for damage in damages):
            output.warn(
                f"To make it anew, delete {safe_text(collection.directory)} and index the folder again."
                " Attributes that a table gave have to be given again."
            )
    return _DAMAGED if damages else 0


@cli.command()
@click.argument("paths", nargs=-1, required=True, metavar="[IMAGE | FOLDER]...", type=click.Path())
@_collection
@_json
def remove(paths: Sequence[str], directory: str | None, as_json: bool) -> None:
    """Take images, or all of a folder, out of the collection.

    Their files stay.

    An image that stays in an indexed folder comes back when that is indexed again.
    """
    collection, removed = locate.open_collection(directory, near=paths), 0
    for path in paths:
        found = collection.remove([path])
        removed += found
        if not found:
            output.warn(f"{safe_text(path)}: not in the collection")
    if not removed:
        raise errors.UsageError("nothing was removed; give paths as they are on the disk")
    if as_json:
        output.print_json({"removed": removed})
    else:
        click.echo(f"Removed {output.counted(removed, 'image')}.")


cli.add_command(models.models)


@cli.command()
@click.argument("folder", default="lookalike-demo", type=click.Path(file_okay=False, path_type=Path))
@click.option("--open", "open_page", is_flag=True, help="Open the page of thumbnails in the browser.")
def demo(folder: Path, open_page: bool) -> None:
    """Draw pictures, index them, and search them.

    The pictures go into FOLDER, lookalike-demo unless another is given, and the page of thumbnails beside it.
    Nothing is downloaded.
    """
    from lookalike.demo import write_gallery

    click.echo(f"Drawing pictures in {safe_text(folder)}/ ...", err=True)
    pictures = write_gallery(folder)
    collection = _demo_collection(folder)
    with output.progress_bar() as show:
        report = collection.add(folder, progress=show)
    output.print_report(report, collection, as_json=False)
    query = pictures[len(pictures) // 2]
    matches = collection.search(query, k=12)
    click.echo(f"\n$ lookalike search {safe_text(query)}")
    output.show(matches, html=folder.with_name(f"{folder.name}.html"), open_page=open_page)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the set-up of a shell's completion.

    \b
    For bash, add this to ~/.bashrc (zsh and fish likewise):
      eval "$(lookalike completion bash)"
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "lookalike", "_LOOKALIKE_COMPLETE").source())


def _change_of_model(place: Path, network: dict[str, Any], *, reindex: bool) -> "Change | None":
    """What another model than the collection's own, or another version of that, would mean, where it is asked for."""
    from lookalike.collection.reindex import explain
    from lookalike.storage import manifest

    wanted = {name: network[name] for name in ("model", "precision")}
    if not reindex and not any(wanted.values()):
        return None
    change = explain(place, **wanted)
    if reindex and change is None:
        output.warn(f"It is indexed with {manifest.read(place).made_by} already; nothing to change.")
    return change


def _begun(place: Path) -> str | None:
    """What has been done of changing the model, where that is not finished."""
    from lookalike.collection import reindex
    from lookalike.storage import manifest

    unfinished = reindex.unfinished(place)
    if unfinished is None:
        return None
    made_by, far = unfinished.made_by, f"{unfinished.done:,} of {unfinished.files:,} files"
    how = manifest.how_to_reindex(place, manifest.read(place), made_by)
    return f"{far} with {made_by}; to carry on, {safe_text(how)}"


def _reindex(
    place: Path, sources: Sequence[Any], network: dict[str, Any], threads: int | None, *, as_json: bool
) -> int:
    from lookalike.collection import collection as collections
    from lookalike.collection import reindex

    with output.progress_bar() as show, output.build_progress() as progress:
        report = reindex.reindex(
            place, sources or None, **network, threads=threads, progress=show, build_progress=progress
        )
    output.print_report(report, collections.open(place), as_json=as_json)
    return _SKIPPED if report.skipped or report.skipped_before else 0


def _image_terms(images: Sequence[str], sign: int) -> "list[Term]":
    """The images of a query: each the name of a file, with its weight behind it unless it is 1."""
    from lookalike.search.query import Term, weighted

    terms = []
    for image in images:
        name, weight = (image, 1.0) if os.path.lexists(image) else weighted(image)
        terms.append(Term(sys.stdin.buffer.read() if name == "-" else name, weight=sign * weight))
    return terms


def _text_terms(texts: Sequence[str], sign: int) -> "list[Term]":
    from lookalike.search.query import Term, weighted

    return [Term(text=text, weight=sign * weight) for text, weight in map(weighted, texts)]


def _where(labels: Sequence[str], under: str | None, conditions: Sequence[str]) -> "Where | None":
    """The filter that the options make."""
    from lookalike.filters import Where, parse

    if not labels and under is None and not conditions:
        return None
    return Where(label=labels or None, under=under, attributes=parse(conditions))


def _demo_collection(folder: Path) -> "Collection":
    """The gallery's own collection, made anew where an earlier version of the network made it."""
    from lookalike.collection import collection as collections
    from lookalike.storage import layout as directories

    if place := directories.locate(folder):
        try:
            return collections.open(place)
        except errors.IncompatibleError:
            shutil.rmtree(place)
    return collections.create(folder)
