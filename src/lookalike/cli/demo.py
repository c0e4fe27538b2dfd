"""The commands that help a newcomer: demo, completion."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike import errors
from lookalike.cli import options, output, progress, reports
from lookalike.cli.hints import command_for
from lookalike.display.text import safe_text

if TYPE_CHECKING:
    from lookalike.collection.collection import Collection


@click.command()
@click.argument("folder", default="lookalike-demo", type=options.FilePath(file_okay=False, path_type=Path))
@options.open_page
def demo(folder: Path, open_page: bool) -> None:
    """Draw images, index them, and search them.

    The images go into FOLDER, lookalike-demo unless another is given, and the page of thumbnails beside it. If FOLDER
    holds images of yours, nothing is drawn: these are indexed, and one of them is searched for. Nothing is downloaded.
    """
    from lookalike.demo import holds_others

    folder = _from_here(folder)
    if holds_others(folder) and (images := _images_in(folder)):
        _show_own(folder, images, open_page=open_page)
    else:
        _show_drawn(folder, open_page=open_page)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the shell completion script.

    \b
    For bash, add this to ~/.bashrc, and for zsh likewise to ~/.zshrc:
      eval "$(lookalike completion bash)"

    \b
    For fish, to ~/.config/fish/config.fish:
      lookalike completion fish | source
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    output.print_script(kind(context.find_root().command, {}, "lookalike", "_LOOKALIKE_COMPLETE").source())


def _show_drawn(folder: Path, *, open_page: bool) -> None:
    """Draws images in a folder, and shows the look-alikes of one of them."""
    from lookalike.demo import write_gallery
    from lookalike.display import write_file

    named = folder if folder.name else folder.resolve()  # of "." and the like
    if not named.name:
        raise errors.UsageError(f"{folder}: choose another folder")
    page = named.with_name(f"{named.name}.html")
    if reason := write_file.refusal(page):
        raise errors.UsageError(f"{safe_text(page)}: {reason}; choose another folder")

    output.note(f"Drawing images in {safe_text(folder)}/ ...")
    with progress.steps("Drawing") as report_progress:
        images = write_gallery(folder, progress=report_progress)
    query = images[len(images) // 2]
    _index_and_search(_demo_collection(folder), folder, query, page, open_page=open_page)
    _print_next("with a folder of your own", command_for("index", "FOLDER"), command_for("search", "FOLDER/PHOTO.jpg"))


def _show_own(folder: Path, images: list[Path], *, open_page: bool) -> None:
    """Indexes a folder of the user's, and shows the look-alikes of one of its images."""
    import lookalike
    from lookalike.storage import layout

    place = layout.nearest(folder.resolve())
    collection = lookalike.open(place) if place else lookalike.create(folder)
    query = images[len(images) // 2]
    _index_and_search(collection, folder, query, None, open_page=open_page)
    purpose = "to see them in the browser, or to index new images"
    _print_next(purpose, command_for("search", query, "--open"), command_for("index", folder))


def _index_and_search(
    collection: "Collection", folder: Path, query: Path, page: Path | None, *, open_page: bool
) -> None:
    with progress.indexing() as report_progress:
        report = collection.add(folder, progress=report_progress)
    reports.print_report(report, collection, as_json=False)
    output.say(f"\n$ lookalike search {safe_text(shlex.quote(str(query)))}")
    matches = collection.search(query)
    reports.print_matches(matches, output.OutputFiles(html=page), open_page=open_page)


def _images_in(folder: Path) -> list[Path]:
    """The image files of a folder of the user's, which is not the root of the file system."""
    from lookalike.sources.folder import Folder, Found

    if folder.resolve().parent == folder.resolve():
        raise errors.UsageError(f"{folder}: choose another folder")
    listed = Folder(folder.resolve(), base=folder.resolve()).files()
    return [folder / each.key for each in listed if isinstance(each, Found)]


def _from_here(path: Path) -> Path:
    """A path as it is named from the current folder, if that is above it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path


def _print_next(purpose: str, *commands: str) -> None:
    """Ends with what to type next, such that it works in the shell that this was started from."""
    output.say(f"\nNext, {purpose}, type:")
    for number, command in enumerate(commands):
        output.say(f"  {'' if number else _activation()}{command}")


def _activation() -> str:
    """What makes `lookalike` callable in a shell that does not find it: the activation of its virtual environment."""
    script = Path(sys.prefix) / "bin" / "activate"
    if shutil.which("lookalike") or not script.is_file():
        return ""
    return f". {shlex.quote(str(_from_here(script)))} && "


def _demo_collection(folder: Path) -> "Collection":
    """The gallery's own collection, made anew if an earlier version of the model made it."""
    import lookalike
    from lookalike.storage import layout

    if directory := layout.find(folder):
        try:
            return lookalike.open(directory)
        except errors.IncompatibleError:
            shutil.rmtree(directory)
    return lookalike.create(folder)
