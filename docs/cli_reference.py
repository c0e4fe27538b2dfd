r"""Writes docs/cli.md, the reference of the command line, from the commands themselves.

    python docs/cli_reference.py           write cli.md beside this program
    python docs/cli_reference.py --check   exit with 1 if cli.md is not what would be written

A paragraph of a command's help that click is told not to wrap (`\b`) becomes a block of code, without the lines that
introduce it.
"""

import argparse
import itertools
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from lookalike.cli import main as command_line

PAGE = Path(__file__).with_name("cli.md")
HEAD = """\
# Command-line reference

<!-- Written by docs/cli_reference.py; to write it again, run: make docs -->

Every command takes `-h` or `--help`, which prints what is said of it here, and exits."""
NO_WRAP = "\b"  # click's mark of a paragraph that keeps its lines
CODE = re.compile(r"(`[^`]+`)")


def reference() -> str:
    """The whole page."""
    root = click.Context(command_line.cli, info_name="lookalike")
    sections = [section(context) for context in contexts(root)]
    return "\n\n".join([HEAD, contents(root), *sections, exit_codes()]) + "\n"


def contexts(context: click.Context) -> Iterator[click.Context]:
    """A context for a command and for each of its sub-commands, in the order of the help, hidden ones left out."""
    yield context
    if isinstance(context.command, click.Group):
        for name, command in context.command.commands.items():
            if not command.hidden:
                yield from contexts(click.Context(command, info_name=name, parent=context))


def contents(root: click.Context) -> str:
    """A table of all commands, each with the first sentence of its help."""
    rows = []
    for context in itertools.islice(contexts(root), 1, None):
        path = context.command_path
        rows.append((f"[`{path}`](#{path.replace(' ', '-')})", escaped(context.command.get_short_help_str(limit=200))))
    return table(("Command", "What it does"), rows)


def section(context: click.Context) -> str:
    """What is to be known of a command: its usage, its help, its arguments and options."""
    path, command = context.command_path, context.command
    heading = "#" * min(2 + path.count(" ") // 2, 6)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    parts = [f"{heading} {path}", code(usage), *help_blocks(command.help or "")]
    rows = [row(parameter, context) for parameter in command.params if not getattr(parameter, "hidden", False)]
    return "\n\n".join([*parts, *([table(("Argument or option", "Value", "Default", "Meaning"), rows)] if rows else [])])


def help_blocks(text: str) -> Iterator[str]:
    """The paragraphs of a help text; those that keep their lines as blocks of code."""
    for paragraph in text.partition("\f")[0].strip("\n").split("\n\n"):
        if not paragraph.startswith(NO_WRAP):
            yield escaped(" ".join(paragraph.split()))
            continue
        lines = paragraph.removeprefix(NO_WRAP).strip("\n").splitlines()
        introduction = list(itertools.takewhile(lambda line: not line.startswith(" "), lines))
        if introduction:
            yield escaped(" ".join(introduction))
        if rest := lines[len(introduction) :]:
            yield code(textwrap.dedent("\n".join(rest)))


def row(parameter: click.Parameter, context: click.Context) -> tuple[str, str, str, str]:
    """The cells of an argument or an option: its name, the value that it takes, the default, the meaning."""
    if isinstance(parameter, click.Option):
        names = " / ".join(
            ", ".join(map(in_code, names)) for names in (parameter.opts, parameter.secondary_opts) if names
        )
        return names, value(parameter, context), default(parameter), escaped(parameter.help or "")
    several = parameter.nargs != 1
    number = ("One or more." if several else "Required.") if parameter.required else ("Any number." if several else "")
    return in_code(parameter.make_metavar(context)), "", default(parameter), number or "Optional."


def value(option: click.Option, context: click.Context) -> str:
    """The kind of value that an option takes, and the range of a number; nothing for a flag."""
    if option.is_flag:
        return ""
    kind = option.make_metavar(context)
    bounds = option.get_help_extra(context).get("range")
    return in_code(f"{kind.removesuffix(' RANGE')}, {bounds}" if bounds else kind)


def default(parameter: click.Parameter) -> str:
    """The default of a parameter that has one; that of a flag only if the flag can be turned off."""
    found = parameter.to_info_dict()["default"]
    if isinstance(parameter, click.Option) and parameter.is_flag:
        if not parameter.secondary_opts:
            return ""
        found = (parameter.opts if found else parameter.secondary_opts)[0]
    return "" if found is None else in_code(str(found))


def exit_codes() -> str:
    """The exit codes, which the command line's own docstring lists as "Exit codes: 0 done, 1 unexpected, ..."."""
    listed = re.search(r"Exit codes: (.+?)\.(?:\n\n|\s*$)", command_line.__doc__ or "", re.DOTALL)
    if listed is None:
        sys.exit(f"{command_line.__name__}: there is no list of exit codes in the docstring")
    entries = re.split(r",\s+(?=\d)", listed[1])
    rows = [(in_code(number), escaped(" ".join(text.split()))) for number, _, text in (e.partition(" ") for e in entries)]
    return f"## Exit codes\n\n{table(('Code', 'Meaning'), rows)}"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown, from cells that are escaped already."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def code(text: str) -> str:
    """A block of code."""
    return f"```text\n{text}\n```"


def in_code(text: str) -> str:
    """Code within a cell of a table, where a bar has to be escaped in code, too."""
    return f"`{text}`".replace("|", "\\|")


def escaped(text: str) -> str:
    """A text without anything that Markdown would take for its own, except code between backticks."""
    parts = CODE.split(text)
    return "".join(
        part.replace("|", "\\|") if CODE.fullmatch(part) else re.sub(r"([\\*<|])", r"\\\1", part) for part in parts
    )


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Writes the reference of the command line.")
    parser.add_argument("--check", action="store_true", help="only check that it is up to date")
    text = reference()
    if not parser.parse_args().check:
        PAGE.write_text(text, encoding="utf-8")
        print(f"Wrote {PAGE}")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE} is not up to date; run: make docs")


if __name__ == "__main__":
    main()
