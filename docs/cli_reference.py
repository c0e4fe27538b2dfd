r"""Writes docs/cli.md, the reference of the command line, from the commands themselves.

    python docs/cli_reference.py           write cli.md beside this program
    python docs/cli_reference.py --check   exit with 1 if cli.md is not what would be written

In a command's help, a paragraph that click must not wrap (`\b`) becomes a block of code, after the lines that introduce
it. A "(default: ...)" at the end of an option's help goes to the column of the defaults.
"""

import argparse
import inspect
import itertools
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from lookalike.cli import exit_codes as codes
from lookalike.cli import main as command_line

PAGE = Path(__file__).with_name("cli.md")
HEAD = """\
# Command-line reference

<!-- Written by docs/cli_reference.py. Do not edit it; run: make docs -->

What `--help` prints for each command. Every command takes `-h` and `--help`."""
COLUMNS = ("Argument or option", "Value", "Default", "Meaning")
NO_WRAP = "\b\n"  # the first line of a paragraph whose lines click keeps as they are
DEFAULT = re.compile(r"(?P<meaning>.*?) \(default: (?P<default>.*)\)\.?", re.DOTALL)
EXIT_CODES = re.compile(r"^Exit codes: (.+?)\.$", re.DOTALL | re.MULTILINE)


def reference() -> str:
    """Returns the whole page."""
    root = click.Context(command_line.cli, info_name="lookalike")
    sections = [section(context) for context in contexts(root)]
    return "\n\n".join([HEAD, contents(root), *sections, exit_codes(codes.__doc__ or "")]) + "\n"


def contexts(context: click.Context) -> Iterator[click.Context]:
    """Yields the context of a command, and those of its sub-commands in the order in which they were added."""
    yield context
    if isinstance(context.command, click.Group):
        for name, command in context.command.commands.items():
            yield from contexts(click.Context(command, info_name=name, parent=context))


def contents(root: click.Context) -> str:
    """Returns a table of all commands, each with the first sentence of its help."""
    rows = []
    for context in itertools.islice(contexts(root), 1, None):
        path = context.command_path
        rows.append((f"[`{path}`](#{path.replace(' ', '-')})", escaped(context.command.get_short_help_str(limit=200))))
    return table(("Command", "Purpose"), rows)


def section(context: click.Context) -> str:
    """Returns the section of a command: its usage, its help, its arguments and options."""
    path, command = context.command_path, context.command
    level = 3 if context.parent and context.parent.parent else 2
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    parts = [f"{'#' * level} {path}", code_block(usage), *paragraphs(command.help or "")]
    if command.params:
        parts.append(table(COLUMNS, (row(parameter, context) for parameter in command.params)))
    return "\n\n".join(parts)


def paragraphs(text: str) -> Iterator[str]:
    """Yields the paragraphs of a help text; the indented lines of one that keeps its lines are a block of code."""
    for paragraph in re.split(r"\n{2,}", inspect.cleandoc(text)):
        if not paragraph.startswith(NO_WRAP):
            yield escaped(" ".join(paragraph.split()))
            continue
        lines = paragraph.removeprefix(NO_WRAP).splitlines()
        introduction = list(itertools.takewhile(lambda line: not line.startswith(" "), lines))
        yield escaped(" ".join(introduction))
        yield code_block(textwrap.dedent("\n".join(lines[len(introduction) :])))


def row(parameter: click.Parameter, context: click.Context) -> tuple[str, str, str, str]:
    """Returns the cells of an argument or an option, in the order of COLUMNS."""
    default = parameter.to_info_dict()["default"]
    if not isinstance(parameter, click.Option):
        name = code(parameter.make_metavar(context))
        return name, "", "" if default is None else code(default), number(parameter)
    names = " / ".join(", ".join(map(code, names)) for names in (parameter.opts, parameter.secondary_opts) if names)
    if parameter.is_flag:
        default = next(iter(parameter.opts if default else parameter.secondary_opts), None)
    meaning, described = parameter.help or "", ""
    if match := DEFAULT.fullmatch(meaning):
        meaning, described = f"{match['meaning'].removesuffix('.')}.", escaped(match["default"])
    defaults = ([] if default is None else [code(default)]) + ([described] if described else [])
    return names, value(parameter, context), ": ".join(defaults), escaped(meaning)


def number(argument: click.Parameter) -> str:
    """Returns how many values an argument takes, in words."""
    if argument.nargs == 1:
        return "Required." if argument.required else "Optional."
    return "One or more." if argument.required else "Any number."


def value(option: click.Option, context: click.Context) -> str:
    """Returns the value that an option takes, and the range of a number; nothing for a flag."""
    if option.is_flag:
        return ""
    metavar, bounds = option.make_metavar(context), option.get_help_extra(context).get("range")
    return code(f"{metavar.removesuffix(' RANGE')}, {bounds}" if bounds else metavar)


def exit_codes(text: str) -> str:
    """Returns the section on exit codes, from a text with "Exit codes: 0 done, 1 unexpected, 2 usage." in it."""
    listed = EXIT_CODES.search(text)
    if listed is None:
        sys.exit(f"{codes.__name__}: the docstring does not list the exit codes")
    entries = (entry.split(maxsplit=1) for entry in re.split(r",\s+(?=\d)", listed[1]))
    rows = [(code(number), escaped(" ".join(meaning.split()))) for number, meaning in entries]
    return f"## Exit codes\n\n{table(('Code', 'Meaning'), rows)}"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Returns a table in Markdown; the cells must be escaped."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows))


def code_block(text: str) -> str:
    """Returns a block of code in Markdown."""
    return f"```text\n{text}\n```"


def code(text: object) -> str:
    """Returns code for a cell of a table, where a bar must be escaped even in code."""
    return f"`{text}`".replace("|", "\\|")


def escaped(text: str) -> str:
    r"""Escapes the characters \, *, < and | of a text, but leaves code between backticks as it is."""
    parts = re.split(r"(`[^`]+`)", text)
    parts[::2] = [re.sub(r"([\\*<|])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def main() -> None:
    """Writes the page, or checks it."""
    parser = argparse.ArgumentParser(description="Writes the reference of the command line.")
    parser.add_argument("--check", action="store_true", help="only check that it is up to date")
    options, text = parser.parse_args(), reference()
    if not options.check:
        PAGE.write_text(text, encoding="utf-8")
        print(f"Wrote {PAGE}")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE}: not up to date; run: make docs")


if __name__ == "__main__":
    main()
