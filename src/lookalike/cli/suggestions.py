"""What was meant by a command or an option that there is not: words of other programs, a file, a folder."""

import os
import shlex

import click

from lookalike.display.text import printable

# The commands that a word may mean; the first that there is counts, since `models` has others.
_COMMANDS = {
    "search": "find query similar like lookup match nearest",
    "duplicates": "duplicate dupes dups dedupe dedup copies copy near-duplicates",
    "remove": "delete del rm forget drop exclude uninstall",
    "list": "ls list all",
    "info": "ls list status stat stats show describe",
    "index": "add create init scan update sync ingest embed new refresh",
    "import": "add get download install pull fetch load",
    "attributes": "tag tags label labels annotate metadata csv table",
    "evaluate": "eval benchmark measure test",
    "check": "verify fsck validate doctor",
    "build": "optimize optimise train rebuild",
    "relocate": "move mv rename",
    "prune": "clean cleanup gc purge",
    "plan": "estimate",
    "show": "info describe cat",
    "compare": "benchmark evaluate",
    "inspect": "layers",
    "demo": "example examples tutorial try",
    "--help": "help",
    "--version": "version",
}
_OPTIONS = {
    "-k": "--top --top-k --topk --limit --count --number --num --max --results --k -n -l",
    "--limit": "-k -n --top --max --count --number --groups",
    "--against": "--reference --with --compare --other --test",
    "--grade": "--threshold --level --similarity --min-score --method",
    "--processes": "--threads --jobs --workers --cores -j -t",
    "--where": "--filter --attribute --attributes --tag",
    "--label": "--class --category",
    "--under": "--folder --dir --in",
    "--min-score": "--threshold --score --min --similarity",
    "--collection": "--index --db --database --directory --path -d",
    "--html": "--output --out --page --report -o",
    "--overwrite": "--force -f",
    "--threads": "--jobs --workers --cores -j -t",
    "--device": "--gpu --cuda --cpu",
    "--missing-for": "--older-than --age",
    "--all": "--yes --force -y -f -a",
    "--json": "--format",
}


def improved(error: click.ClickException) -> click.ClickException:
    """The error with what was meant, as far as that can be told; no text in it acts upon a terminal."""
    if not isinstance(error, click.UsageError) or isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    meant = _meant(error)
    message = f"{error.message} Did you mean: {meant}" if meant else error.format_message()
    return click.UsageError(printable(message), ctx=error.ctx)


def _meant(error: click.UsageError) -> str | None:
    if isinstance(error, click.NoSuchOption) and error.ctx:
        return _option(error.option_name, error.ctx)
    if isinstance(error, click.NoSuchCommand) and error.ctx:
        return _command(error.command_name, error.ctx)
    return None


def _option(given: str, context: click.Context) -> str | None:
    known = {name for parameter in context.command.params for name in parameter.opts}
    return next((option for option, words in _OPTIONS.items() if given in words.split() and option in known), None)


def _command(given: str, context: click.Context) -> str | None:
    commands = context.command.commands if isinstance(context.command, click.Group) else {}
    for name, words in _COMMANDS.items():
        if given.lower() in words.split() and (name in commands or name.startswith("--")):
            return f"{context.command_path} {name}"
    if context.parent is None and os.path.exists(given):
        operand = shlex.quote(f"./{given}" if given.startswith("-") else given)
        return f"{context.command_path} {'index' if os.path.isdir(given) else 'search'} {operand}"
    return None
