"""The entry point of the command line, and the exit codes.

Exit codes: 0 done, 1 unexpected, 2 usage, 3 done but some input could not be used, 4 corrupt or incompatible
collection, 5 disk or resources, 6 another process is writing, 130 stopped by Ctrl-C.
"""

import io
import signal
import sys
import warnings

import click

from lookalike import errors
from lookalike.cli import demo, indexing, models, output, searching, upkeep
from lookalike.cli.hints import as_command

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


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="lookalike")
def cli() -> None:
    """Finds the images that look like this one.

    \b
    To begin with:
      lookalike index photos/        process every image in a folder, once
      lookalike search query.jpg     find the images that look like this one
      lookalike demo                 try it on images that it draws itself

    Nothing leaves this machine.
    """


for _command in (
    *(indexing.index, indexing.plan, indexing.build),
    *(searching.search, upkeep.evaluate, upkeep.attributes, upkeep.info, upkeep.check, upkeep.remove),
    *(models.models, demo.demo, demo.completion),
):
    cli.add_command(_command)


def main() -> None:
    """Runs the command line and exits."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the reader of the output may stop reading
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
            output.note(f"Error: {_description(error)}")
        code = next(code for kind, code in _EXIT_CODES if isinstance(error, kind))
    sys.exit(code or 0)


def _description(error: BaseException) -> str:
    """The message of an error, with what to do as shell commands."""
    if isinstance(error, errors.LookalikeError):
        return errors.with_hints(error.message, error.hints, as_command)
    return str(error) or "there is not enough memory"
