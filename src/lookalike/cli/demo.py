"""The commands that help a newcomer: demo, completion."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike import errors
from lookalike.cli import options, output, progress, reports
from lookalike.display.text import safe_text

if TYPE_CHECKING:
    from lookalike.collection.collection import Collection


@click.command()
@click.argument("folder", default="lookalike-demo", type=options.FilePath(file_okay=False, path_type=Path))
@options.open_page
def demo(folder: Path, open_page: bool) -> None:
    """Draw images, index them, and search them.

    The images go into FOLDER, lookalike-demo unless another is given, and the page of thumbnails beside it. Nothing is
    downloaded.
    """
    from lookalike.demo import write_gallery
    from lookalike.display import write_file

    named = folder if folder.name else folder.resolve()  # of "." and the like
    if not named.name:
        raise errors.UsageError(f"{folder}: choose another folder")
    page = named.with_name(f"{named.name}.html")
    if reason := write_file.refusal(page):
        raise errors.UsageError(f"{safe_text(page)}: {reason}; choose another folder")

    output.note(f"Drawing images in {safe_text(folder)}/ ...")
    images = write_gallery(folder)
    collection = _demo_collection(folder)
    with progress.indexing() as report_progress:
        report = collection.add(folder, progress=report_progress)
    reports.print_report(report, collection, as_json=False)
    query = images[len(images) // 2]
    matches = collection.search(query, k=12)
    output.say(f"\n$ lookalike search {safe_text(query)}")
    reports.print_matches(matches, output.OutputFiles(html=page), open_page=open_page)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the shell completion script.

    \b
    For bash, add this to ~/.bashrc (zsh and fish likewise):
      eval "$(lookalike completion bash)"
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    output.print_script(kind(context.find_root().command, {}, "lookalike", "_LOOKALIKE_COMPLETE").source())


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
