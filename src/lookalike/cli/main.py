"""The entry point of the command line: its commands, what Ctrl-C does, and how errors are shown."""

import io
import os
import signal
import sys
import threading
import warnings
from types import FrameType

import click

from lookalike import errors
from lookalike.cli import (
    combining,
    demo,
    duplicates,
    exchange,
    exit_codes,
    indexing,
    missing,
    models,
    options,
    output,
    searching,
    serving,
    suggestions,
    tables,
    upkeep,
)
from lookalike.cli.hints import as_command

# The first that fits decides.
_EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.UsageError, exit_codes.USAGE),
    (errors.ImageError, exit_codes.USAGE),
    (errors.NoCollectionError, exit_codes.USAGE),
    (errors.LockedError, exit_codes.LOCKED),
    (errors.CollectionError, exit_codes.CORRUPT),
    (errors.StorageError, exit_codes.RESOURCES),
    (OSError, exit_codes.RESOURCES),
    (MemoryError, exit_codes.RESOURCES),
    (errors.LookalikeError, exit_codes.UNEXPECTED),
)


@click.group(
    cls=options.OrderedGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="lookalike")
def cli() -> None:
    """Finds the images that look like this one.

    \b
    To begin with:
      lookalike index photos/        process every image in a folder, once
      lookalike search query.jpg     find the images that look like this one
      lookalike demo                 try it on images that it draws itself

    Nothing leaves this machine.

    Unless -c or $LOOKALIKE_COLLECTION names a collection, a command uses that of the current folder or of the closest
    one above it, else that of the image's or table's own folder, else the only one in the folders right below.

    \b
    Exit codes:
      0  done; files that could not be used are named
      1  unexpected error
      2  wrong usage
      3  nothing could be read, or many images are missing, or --strict
      4  damaged or incompatible collection
      5  disk or resources
      6  another process is writing
    """


for _command in (
    *(indexing.index, indexing.plan, indexing.build),
    *(searching.search, duplicates.duplicates, upkeep.evaluate, tables.attributes),
    *(upkeep.info, upkeep.check, upkeep.remove, missing.prune, missing.relocate),
    *(combining.combine, exchange.export, exchange.import_, exchange.merge, exchange.split, serving.serve),
    *(models.models, demo.demo, demo.completion),
):
    cli.add_command(_command)


def main() -> None:
    """Runs the command line and exits."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the reader of the output may stop reading
    warnings.showwarning = output.show_warning
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may be in a script that the terminal cannot show
    stopped = threading.Event()

    def stop(_number: int, frame: FrameType | None) -> None:
        stopped.set()
        if _is_importing(frame):
            os._exit(exit_codes.STOPPED)  # a compiled module would print an error, or raise another one
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    try:
        if callable(before):  # else Ctrl-C is ignored, as a script may have it
            signal.signal(signal.SIGINT, stop)
        code = cli(standalone_mode=False)
    except BaseException as error:
        code = exit_codes.STOPPED if stopped.is_set() else _failed(error)
    finally:
        signal.signal(signal.SIGINT, before)
    sys.exit(code or 0)


def _is_importing(frame: FrameType | None) -> bool:
    while frame and frame.f_globals.get("__name__") != "importlib._bootstrap":
        frame = frame.f_back
    return frame is not None


def _failed(error: BaseException) -> int:
    """Prints an error, and returns its exit code; an error that nobody expects is raised again."""
    if isinstance(error, click.ClickException):
        suggestions.improved(error).show()
        return error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return exit_codes.STOPPED
    code = next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), None)
    if code is None:
        raise error
    output.note(f"Error: {_description(error)}")
    return code


def _description(error: BaseException) -> str:
    """The message of an error, with what to do as shell commands."""
    if isinstance(error, errors.LookalikeError):
        message = errors.with_hints(error.message, error.hints, as_command)
        return message if isinstance(error, output.ExplainedError) else output.one_line(message)
    return output.one_line(str(error)) or "there is not enough memory"
