"""The floors of the dependencies are those of the table in SECURITY.md, each with its reason."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import version

import pytest

from tests.support.project import ROOT

_REQUIREMENT = re.compile(r"([a-z0-9-]+)(?:>=|==)([\d.]+)(?:;.*)?")
_ROW = re.compile(r"\| ([a-z0-9-]+) \| ([\d.]+) \| (.+) \|")


def requirements() -> Iterator[str]:
    """What the package and its extras require, but for its own extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for group in (project["dependencies"], *project["optional-dependencies"].values()):
        yield from (each for each in group if not each.startswith("lookalike["))


def floors_in_pyproject() -> dict[str, str]:
    matches = [(each, _REQUIREMENT.fullmatch(each)) for each in requirements()]
    assert [each for each, found in matches if not found] == []
    return {found[1]: found[2] for _, found in matches if found}


def table() -> dict[str, tuple[str, str]]:
    """The floor and the reason of each dependency in the table."""
    rows = [found for line in (ROOT / "SECURITY.md").read_text().splitlines() if (found := _ROW.fullmatch(line))]
    assert len({row[1] for row in rows}) == len(rows)
    return {row[1]: (row[2], row[3]) for row in rows}


def test_each_floor_is_in_the_table_of_reasons_and_each_row_is_one() -> None:
    floors = floors_in_pyproject()
    assert {"pillow", "filelock", "torch", "keras", "tokenizers", "pillow-heif", "pyarrow"} < floors.keys()
    assert {name: floor for name, (floor, _) in table().items()} == floors


@pytest.mark.parametrize("name", ["click", "faiss-cpu", "filelock", "jinja2", "numpy", "openvino", "pillow", "rich"])
def test_what_is_installed_is_not_below_its_floor(name: str) -> None:
    floor = floors_in_pyproject()[name]
    assert numbers(version(name)) >= numbers(floor)


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", text)[:3])


@pytest.mark.parametrize(("name", "fixed"), [("pillow", (13,)), ("filelock", (3, 20, 3)), ("pyarrow", (23, 0, 1))])
def test_known_holes_are_below_the_floors(name: str, fixed: tuple[int, ...]) -> None:
    assert numbers(floors_in_pyproject()[name]) >= fixed
