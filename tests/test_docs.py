"""The documents agree with the code: the reference of the command line, and the files that are named."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lookalike.cli import exit_codes
from lookalike.cli import main as command_line
from tests.support.project import ROOT

PROGRAM, PAGE = ROOT / "docs" / "cli_reference.py", ROOT / "docs" / "cli.md"
PACKAGE = ROOT / "src" / "lookalike"
# The files of a collection and of a user, which are no files of the project.
ELSEWHERE = re.compile(r"\.lookalike/.*|index/\d+\..*|photos/.*|saved_model/")


def write_reference(program: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs the program that writes the reference beside itself."""
    return subprocess.run([sys.executable, str(program), *options], capture_output=True, text=True)


def commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Yields a command and all of its sub-commands, each with how it is called."""
    yield path, command
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from commands(f"{path} {name}", each)


COMMANDS = dict(commands("lookalike", command_line.cli))


def section(path: str) -> str:
    """The section of the reference with this heading, without those below it."""
    [text] = re.findall(rf"^##+ {re.escape(path)}\n(.*?)(?=^##|\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return str(text)


def named_paths(document: Path) -> set[str]:
    """What a document names in backticks, or as the target of a link, that can only be a file or a folder."""
    text = document.read_text()
    quoted = re.findall(r"`([\w.*/-]+)`", text)
    paths = {name for name in quoted if "/" in name.rstrip("/") or re.search(r"/$|\.(py|md|toml|yaml)$", name)}
    linked = set(re.findall(r"\]\(([\w./-]+)\)", text))
    return {path for path in paths if not ELSEWHERE.fullmatch(path)} | linked


def exists(path: str, document: Path) -> bool:
    """Whether something has this path, relative to the document, the project, or the package; it may be a pattern."""
    return any(any(folder.glob(path)) for folder in (document.parent, ROOT, PACKAGE))


def missing(document: Path) -> set[str]:
    """The paths that a document names although nothing has them."""
    return {path for path in named_paths(document) if not exists(path, document)}


def test_the_command_line_reference_is_what_the_program_writes() -> None:
    done = write_reference(PROGRAM, "--check")
    assert done.returncode == 0, f"{done.stderr}docs/cli.md is not up to date: run `make docs`"


def test_the_check_of_the_reference_notices_a_difference(tmp_path: Path) -> None:
    """The program writes the page beside itself, and the same one each time."""
    program, page = Path(shutil.copy(PROGRAM, tmp_path)), tmp_path / "cli.md"
    for spoil in (lambda: None, lambda: page.write_text(page.read_text() + "\n"), page.unlink):
        spoil()
        done = write_reference(program, "--check")
        assert (done.returncode, done.stderr) == (1, f"{page}: not up to date; run: make docs\n")
        assert write_reference(program).returncode == 0
        assert write_reference(program, "--check").returncode == 0
    assert page.read_text() == PAGE.read_text()


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_and_its_options_have_help_and_are_in_the_reference(path: str) -> None:
    command, text = COMMANDS[path], section(path)
    assert command.help
    assert " ".join(command.help.split(".")[0].split()) in text
    assert text.startswith(f"\n```text\n{path} ")
    context = click.Context(command, info_name=path)
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == len(command.params)
    for parameter, row in zip(command.params, rows, strict=True):
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts
            assert parameter.help.partition(" (default")[0] in re.sub(r"\\([\\*<|])", r"\1", row)
            assert all(f"`{name}`" in row for name in [*parameter.opts, *parameter.secondary_opts])
        else:
            assert parameter.make_metavar(context).replace("|", r"\|") in row


def test_every_command_is_listed_at_the_top_of_the_reference() -> None:
    [listed] = re.findall(r"^\| Command \|.*?\n\n", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    links = re.findall(r"^\| \[`(.+?)`\]\(#(.+?)\)", listed, re.MULTILINE)
    assert links == [(path, path.replace(" ", "-")) for path in COMMANDS if path != "lookalike"]


def test_defaults_and_ranges_are_in_the_reference() -> None:
    assert "| `--recall` | `FLOAT, 0<x<=1` | `0.98` |" in section("lookalike build")
    assert r"| `--precision` | `[int8\|f32\|bf16]` |" in section("lookalike index")
    assert "| `-k` | `INTEGER, x>=1` | `10` |" in section("lookalike search")
    assert "| `--thumbnails` / `--no-thumbnails` |  | `--thumbnails` |" in section("lookalike search")
    assert "| `[FOLDER]` |  | `lookalike-demo` | Optional. |" in section("lookalike demo")


def test_help_that_keeps_its_lines_is_code_in_the_reference() -> None:
    assert 'to ~/.zshrc:\n\n```text\neval "$(lookalike completion bash)"\n```\n' in section("lookalike completion")
    assert "SOURCE is one of\n\n```text\ntimm:resnet50.a1_in1k " in section("lookalike models import")
    assert "\b" not in PAGE.read_text()


def test_every_exit_code_is_in_the_reference() -> None:
    codes = [int(number) for number in re.findall(r"^\| `(\d+)` \| \w", section("Exit codes"), re.MULTILINE)]
    assert codes == sorted(codes)
    assert set(codes) == {0, 3, exit_codes.STOPPED, *(code for _, code in command_line._EXIT_CODES)}


def test_contributing_names_only_targets_that_exist() -> None:
    text, makefile = (ROOT / "CONTRIBUTING.md").read_text(), (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"`make ([a-z]+)`", text))
    assert {"test", "lint", "types", "docs", "crash", "fuzz", "corrupt", "soak"} <= targets
    assert targets <= set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    phony = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert targets <= set(" ".join(phony).split())


@pytest.mark.parametrize(
    ("document", "some"),
    [
        ("CONTRIBUTING.md", {"docs/architecture.md", "tests/support/", "encoders/base.py"}),
        ("docs/architecture.md", {"collection/collection.py", "storage/", "architecture.svg"}),
    ],
)
def test_a_document_names_only_files_and_folders_that_exist(document: str, some: set[str]) -> None:
    assert some <= named_paths(ROOT / document)
    assert missing(ROOT / document) == set()


def test_a_path_that_does_not_exist_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(
        "`storage/layout.py`, `storage/layuot.py`, `display/`, `dispaly/`, [x](y.md), `a b/c`"
    )
    assert missing(tmp_path / "page.md") == {"storage/layuot.py", "dispaly/", "y.md"}


def test_the_hooks_before_a_commit_are_local() -> None:
    """They come from no other repository, and start programs that `make` installs or that are here."""
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (.+)", text) == ["local"]
    assert set(re.findall(r"language: (.+)", text)) == {"system"}
    entries = [entry.split() for entry in re.findall(r"entry: (.+)", text)]
    assert [Path(program).name for program, *_ in entries] == ["ruff", "ruff", "mypy", "python"]
    assert all((ROOT / name).exists() for entry in entries for name in entry[1:] if name.endswith(".py"))
    assert "://" not in text
