"""The command line in a terminal of 80 columns and 24 lines, as a person sees it."""

from pathlib import Path

import pytest

import lookalike
from tests.support.pictures import ColourEncoder, draw
from tests.support.pseudo_terminal import Session, run_in_terminal

LONG = "Screenshot of a window with a very long title, 2023-05-01 at 12.34.56.png"
WIDE = "夏休みの旅行で撮った、とても長い名前の写真と、その続き.png"
BAR = "━"

# Something slow, beside whose bar everything is printed that a command may print.
SLOW = """
import sys, time, warnings
from types import SimpleNamespace
from lookalike.cli import output, progress
warnings.showwarning = output.show_warning
with progress.indexing() as show:
    for done in range(1, 31):
        time.sleep(0.05)
        show(SimpleNamespace(done=done, total=40, of_regions=False))
        if done == 8:
            output.note("skipped a.jpg: truncated")
        if done == 12:
            warnings.warn("the index is damaged")
        if done == 16:
            print("from a library", file=sys.stderr)
        if done == 20:
            output.say("a result")
with progress.steps("Searching") as show:
    for done in range(1, 11):
        time.sleep(0.05)
        show(done, 10)
        if done == 4:
            output.note("a" * 100)
print("done in all")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a collection of thirty images, some of which have long names."""
    folder = tmp_path_factory.mktemp("home").resolve()
    names = [LONG, WIDE, *(f"{seed:02}.png" for seed in range(28))]
    for seed, name in enumerate(names):
        draw(folder / "photos" / "a folder" / name, seed)
    with lookalike.create(folder / "photos", encoder=ColourEncoder()) as photos:
        photos.add(folder / "photos")
    return folder


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return run_in_terminal(["-c", SLOW], tmp_path_factory.mktemp("slow"))


def test_an_answer_fits_the_screen_with_one_row_of_thumbnails(home: Path) -> None:
    session = run_in_terminal(["-m", "lookalike", "search", "--id", "3"], home)
    assert (session.code, session.scrolled) == (0, 0)
    assert session.lines[0].startswith("▀")
    captions = next(line for line in session.lines if line.startswith("query"))
    assert sum(rank in captions for rank in ("1  ", "2  ", "3  ")) == 3
    rows = [line for line in session.lines if line.strip().split("  ")[0].isdecimal()]
    assert len(rows) == 10
    assert session.lines[23] == "" or session.lines[23] == "$"


def test_long_names_end_in_an_ellipsis_at_the_right_column(home: Path) -> None:
    session = run_in_terminal(["-m", "lookalike", "search", "--id", "3", "-k", "29"], home, lines=60)
    column = next(line for line in session.lines if "score" in line).index("path")
    names = [line[column:] for line in session.lines if line.endswith("…")]
    assert sorted(names) == [LONG[: 79 - column] + "…", WIDE[: (79 - column) // 2] + "…"]


def test_what_is_printed_stands_above_the_bar_on_lines_of_its_own(slow: Session) -> None:
    assert slow.code == 0
    printed = ["skipped a.jpg: truncated", "Warning: the index is damaged", "from a library", "a result"]
    assert slow.lines[:8] == [*printed, "a" * 80, "a" * 20, "done in all", "$"]
    for frame in slow.frames:
        for line in frame:
            assert BAR not in line or line.lstrip().startswith(("Indexing", "Searching"))
    assert any(BAR in line for frame in slow.frames for line in frame)


def test_a_rate_is_shown_only_after_a_second(slow: Session) -> None:
    bars = [line for frame in slow.frames for line in frame if line.startswith("Indexing")]
    before = [line for line in bars if any(f" {done}/40" in line for done in range(1, 9))]  # 0.4 s, or more
    after = [line for line in bars if any(f" {done}/40" in line for done in range(24, 31))]
    assert before
    assert not any("images/s" in line for line in before)
    assert any("images/s, " in line for line in after)
    assert max(map(len, bars)) <= 80


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_a_bar_fits_the_width_of_the_terminal(columns: int, tmp_path: Path) -> None:
    code = (
        "from lookalike.cli import progress; from types import SimpleNamespace as N; import time\n"
        "with progress.indexing() as show:\n"
        "    for done in range(1, 9): time.sleep(0.2); show(N(done=done * 12345, total=1234567, of_regions=False))\n"
        "with progress.planning() as show:\n"
        "    for done in range(1, 4): time.sleep(0.3); show(N(files=1234567, tried=done, total=200))\n"
    )
    session = run_in_terminal(["-c", code], tmp_path, columns=columns)
    shown = [[line for line in frame if line] for frame in session.frames]
    assert max(map(len, shown)) == 1  # a bar that is too wide takes a second line
    assert {line.split()[0] for frame in shown for line in frame} == {"Indexing", "Counting"}


def test_the_list_of_models_fits_the_width_of_the_terminal(tmp_path: Path) -> None:
    session = run_in_terminal(["-m", "lookalike", "models", "list"], tmp_path, columns=60)
    [line] = [line for line in session.lines if line.startswith("efficientnet-lite0")]
    assert len(line) == 60
    assert line.endswith("…")
    assert session.lines[1] == "$"
