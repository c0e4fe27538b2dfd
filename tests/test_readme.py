"""What the README tells people to type works, in its order."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageStat

import lookalike
from lookalike.demo import write_gallery
from tests.support import tiny_models
from tests.support.commands import run
from tests.support.optional_packages import needs
from tests.support.project import ROOT

needs("tokenizers")

README = ROOT / "README.md"
CONSOLE = re.findall(r"^```console\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)
CSV = re.findall(r"^```csv\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)
PYTHON = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)
# From the network, or for the shell that a person types into.
INSTALLING = ("pip install", "lookalike models import", "python3 -m venv", ". .venv/")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the README's table, and with models by the names of those that the README imports."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKALIKE_MODELS", str(folder / "models"))
        tiny_models.save("resnet")
        tiny_models.save("clip", words={"red": 0, "blue": 2})
        (folder / "photos.csv").write_text("".join(CSV))
        yield folder


def started(command: list[str], home: Path) -> str:
    """What a command prints that a shell would find by its name."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def output_of(command: list[str], home: Path) -> str:
    """What a command prints; `lookalike` is the program's main function in a process of its own."""
    if command[0] != "lookalike":
        return started(command, home)
    code, out, err = run(*command[1:], cwd=home)
    assert code == 0, f"{shlex.join(command)}: {out}{err}"
    return out


@pytest.mark.timeout(600)  # 34 processes
def test_every_command_works_one_after_the_other(home: Path) -> None:
    """The first ones are started as a shell starts them, by the name of the program.

    Models are compared on 36 of the images, since all of them take a third of the time of this test.
    """
    commands = [line.removeprefix("$ ") for block in CONSOLE for line in block.splitlines()]
    commands = [command for command in commands if not command.startswith(INSTALLING)]
    assert len(commands) >= 12
    outputs = {command: started(shlex.split(command), home) for command in commands[:2]}
    write_gallery(home / "some" / "photos", per_kind=3)
    for command in commands[2:]:
        folder = home / "some" if command.startswith("lookalike models compare") else home
        outputs[command] = output_of(shlex.split(command), folder)

    first = outputs["lookalike search photos/clock/clock-01.jpg"].splitlines()
    assert len(first) == 10
    rank, _, score, label, *_ = first[0].split("\t")
    assert (rank, score, label) == ("1", "1.000", "clock")
    assert (home / "clocks.html").stat().st_size > 10_000
    assert (home / "both.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert "lookalike demo photos" in outputs
    assert "299 images" in outputs["lookalike check"]
    assert (
        "place, year" in outputs["lookalike attributes photos.csv"]
        or "year, place" in outputs["lookalike attributes photos.csv"]
    )
    assert (home / "quality.html").stat().st_size > 10_000


def test_the_python_works(home: Path) -> None:
    """It opens a collection as the commands make it, with fewer images."""
    folder = home / "few"
    write_gallery(folder / "photos", per_kind=5)
    with lookalike.create(folder / "photos") as photos:
        photos.add(folder / "photos")
        photos.annotate(shutil.copy(home / "photos.csv", folder))
    (folder / "example.py").write_text("\n".join(PYTHON))
    lines = started([sys.executable, "example.py"], folder).splitlines()
    assert lines[0].endswith("0 skipped")
    assert len(lines) == 8
    assert all("office" in line for line in lines[6:])
    assert all("mug" in line for line in lines[1:4])


def test_nothing_is_left_to_fill_in_and_every_target_that_is_named_exists() -> None:
    text, makefile = README.read_text(), (README.parent / "Makefile").read_text()
    assert "@@" not in text
    contributing = (README.parent / "CONTRIBUTING.md").read_text()
    targets = set(re.findall(r"`make ([a-z-]+)", text + contributing))
    assert {"test", "crash", "fuzz"} <= targets
    assert targets == set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for script in re.findall(r"(?:benchmarks|tests)/[a-z_]+\.py", text + makefile):
        assert (README.parent / script).is_file(), script


def test_the_picture_is_there() -> None:
    assert (README.parent / "docs" / "lookalikes.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_the_pictures_of_the_page_are_there_in_light_and_dark_and_small() -> None:
    names = re.findall(r"docs/([a-z-]+\.webp)", README.read_text())
    assert sorted(names) == ["page-dark.webp", "page-light.webp", "phone-dark.webp", "phone-light.webp"]
    for name in names:
        path = README.parent / "docs" / name
        assert path.stat().st_size < 150_000
        with Image.open(path) as image:
            assert image.size == ((1280, 800) if name.startswith("page") else (390, 844))
            brightness = ImageStat.Stat(image.convert("L")).mean[0]
        assert (brightness < 128) == ("dark" in name)


def test_commands_are_told_by_help_as_they_are_in_the_readme() -> None:
    """Every command that the README names exists, and every command that exists is named."""
    from lookalike.cli.main import cli
    from lookalike.cli.models import models

    named = set(re.findall(r"lookalike ([a-z]+)", README.read_text())) | set(
        re.findall(r"`([a-z]+)`", README.read_text())
    )
    assert set(cli.commands) <= named
    assert set(models.commands) <= set(re.findall(r"`?models ([a-z]+)", README.read_text()))
    assert set(re.findall(r"^\$ lookalike ([a-z]+)", README.read_text(), re.MULTILINE)) <= set(cli.commands)
