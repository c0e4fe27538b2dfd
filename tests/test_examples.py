"""The programs in examples/ print the right answers."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import lookalike
from lookalike.demo import draw, write_gallery
from tests.support.forked_programs import Program, be_program
from tests.support.pictures import cosines_ready, picture, stored_vectors
from tests.support.project import ROOT


def run(program: str, *arguments: str | Path) -> list[list[str]]:
    """The lines that a program prints, split at tabs."""
    with Program(be_program, ROOT / "examples" / program, *map(str, arguments)) as started:
        lines = started.stdout.read().splitlines()
        assert (started.stderr.read(), started.wait(60)) == ("", 0)
    return [line.split("\t") for line in lines]


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """Drawings of twelve kinds, three of each, no two of which are near copies."""
    write_gallery(tmp_path / "gallery", per_kind=3)
    return tmp_path.resolve() / "gallery"


@pytest.fixture
def gallery_with_copies(gallery: Path) -> Path:
    """The same with a byte-identical copy of a fish, and two smaller copies of a mug."""
    shutil.copy(gallery / "fish" / "fish-01.jpg", gallery / "again.jpg")
    with Image.open(gallery / "mug" / "mug-02.jpg") as mug:
        for side, name in ((280, "small.jpg"), (260, "smaller.png")):
            mug.resize((side, round(side * mug.height / mug.width))).save(gallery / "mug" / name)
    return gallery


def test_near_copies_are_printed_in_groups_with_their_scores(gallery_with_copies: Path) -> None:
    fish, mugs = run("near_copies.py", gallery_with_copies)
    assert fish == ["again.jpg", "fish/fish-01.jpg (1.000)"]
    first, *copies = mugs
    scores = {key: float(score.strip("()")) for key, score in (copy.split() for copy in copies)}
    assert first == "mug/mug-02.jpg"
    assert set(scores) == {"mug/small.jpg", "mug/smaller.png"}

    stored = {key: cosines_ready(row) for key, row in stored_vectors(gallery_with_copies / ".lookalike").items()}
    assert scores == {key: pytest.approx(float(stored[first] @ stored[key]), abs=2e-3) for key in scores}
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert min(scores.values()) >= 0.95


def test_near_copies_follow_the_folder_and_the_threshold(gallery_with_copies: Path) -> None:
    """The second run opens the collection that the first one made."""
    run("near_copies.py", gallery_with_copies)
    (gallery_with_copies / "mug" / "mug-02.jpg").unlink()
    (gallery_with_copies / "again.jpg").unlink()
    [[first, copy]] = run("near_copies.py", gallery_with_copies)
    assert (first, copy.split()[0]) == ("mug/small.jpg", "mug/smaller.png")
    assert run("near_copies.py", gallery_with_copies, "--threshold", "0.9999") == []


def test_near_copies_of_no_images_are_none(tmp_path: Path) -> None:
    assert run("near_copies.py", tmp_path) == []


def test_a_suggested_label_has_the_most_votes_of_the_nearest_five(tmp_path: Path) -> None:
    """Two of the five labelled clocks are called watches, so that three fifths of the votes are for clocks."""
    labelled, new = tmp_path / "labelled", tmp_path / "new"
    write_gallery(labelled, per_kind=5)
    (labelled / "watch").mkdir()
    for number in (4, 5):
        (labelled / "clock" / f"clock-0{number}.jpg").rename(labelled / "watch" / f"{number}.jpg")
    new.mkdir()
    for kind in ("clock", "flower", "mug"):
        draw(kind, np.random.default_rng(1)).save(new / f"{kind}.png")
    (new / "broken.jpg").write_bytes(b"no image")

    assert run("suggest_labels.py", labelled, new) == [
        [str(new / "broken.jpg"), "skipped: not an image"],
        [str(new / "clock.png"), "clock", "0.60"],
        [str(new / "flower.png"), "flower", "1.00"],
        [str(new / "mug.png"), "mug", "1.00"],
    ]


def test_no_label_is_suggested_where_nothing_is_labelled(tmp_path: Path) -> None:
    """An image at the top of the folder has no label."""
    labelled, new = tmp_path / "labelled", tmp_path / "new"
    for folder in (labelled, new):
        folder.mkdir()
        draw("mug", np.random.default_rng(2)).save(folder / "mug.png")
    assert run("suggest_labels.py", labelled, new) == [[str(new / "mug.png"), "no labelled image to compare with"]]


def cell_colours(seed: int) -> NDArray[np.float64]:
    """The vector of `picture(seed)` by its definition: 2 x 4 coloured blocks, each of which covers two cells."""
    return cosines_ready(picture(seed)[2::4, 2::4].ravel() - 127.5)


def test_an_encoder_of_ones_own_ranks_by_the_colours_of_cells(tmp_path: Path) -> None:
    """The scores are compared with the cosines that NumPy computes from the colours that were drawn."""
    photos = tmp_path.resolve() / "photos"
    photos.mkdir()
    for seed in range(12):
        enlarged = picture(seed).repeat(2, axis=0).repeat(2, axis=1)  # to the size that the encoder takes
        Image.fromarray(enlarged).save(photos / f"{seed:02}.png")
    exact = {f"{seed:02}.png": float(cell_colours(3) @ cell_colours(seed)) for seed in range(12)}
    best = sorted(exact, key=exact.__getitem__, reverse=True)[:5]

    with lookalike.create(photos) as default:  # another encoder's collection of the same folder
        default.add(photos)
    for _ in range(2):  # made, then opened
        lines = run("own_encoder.py", photos, photos / "03.png")
        assert [key for _, key in lines] == best
        assert [float(score) for score, _ in lines] == pytest.approx([exact[key] for key in best], abs=2e-3)
    assert lines[0] == ["1.000", "03.png"]
    with lookalike.open(photos) as default:
        assert default.made_by.model == "efficientnet-lite0"


@pytest.mark.parametrize("program", sorted(path.name for path in (ROOT / "examples").glob("*.py")))
def test_an_example_is_short_and_says_how_to_start_it(program: str) -> None:
    """Without arguments, each prints how to start it, and exits with an error."""
    lines = (ROOT / "examples" / program).read_text().splitlines()
    assert len(lines) <= 45
    assert any(line.startswith(f"    python examples/{program} ") for line in lines[:6])
    done = subprocess.run([sys.executable, str(ROOT / "examples" / program)], capture_output=True, text=True)
    assert done.returncode in (1, 2)
    assert program in done.stderr
    assert "Traceback" not in done.stderr
