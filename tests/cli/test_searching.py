"""The weights that may follow the images and texts of a query, and what is told of chance."""

from pathlib import Path

import pytest

from lookalike.cli.searching import weighted
from lookalike.errors import UsageError
from tests.cli.conftest import Run
from tests.support.commands import records
from tests.support.crowds import DIM, crowd, directions
from tests.support.vector_collections import create, put


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red dress", ("red dress", 1.0)),
        ("red dress^0.5", ("red dress", 0.5)),
        ("photo.jpg^2", ("photo.jpg", 2.0)),
        ("2^3^4", ("2^3", 4.0)),
        ("up^down", ("up^down", 1.0)),
        ("^", ("^", 1.0)),
        ("-^3", ("-", 3.0)),
    ],
)
def test_a_weight_follows_the_last_caret(text: str, expected: tuple[str, float]) -> None:
    assert weighted(text) == expected


@pytest.mark.parametrize("text", ["red^0", "red^-1", "red^nan", "red^inf"])
def test_a_weight_is_above_0(text: str) -> None:
    with pytest.raises(UsageError, match="above 0"):
        weighted(text)


ALL_CHANCE = "Nothing here is nearer than chance.\n"


def test_confident_leaves_out_what_may_be_chance(tmp_path: Path, call: Run) -> None:
    crowd(tmp_path / "photos").close()
    where = "-c", str(tmp_path / "photos")
    code, out, err = call("search", "--id", "1", "--confident", "--json", *where)
    assert (code, err) == (0, "")
    [copy] = records(out)
    assert copy["key"] == "copy.jpg"
    assert 0 <= copy["expected"] < 1e-3
    assert "copy.jpg" in call("search", "--id", "1", *where)[1]
    assert call("search", "--id", "1", *where)[2] == ""


def test_nothing_is_nearer_than_chance_in_a_crowd_of_strangers(tmp_path: Path, call: Run) -> None:
    """It is said beside the matches, and why --confident finds none; not in JSON."""
    crowd(tmp_path / "photos").close()
    where = "-c", str(tmp_path / "photos")
    for image_id in range(2, 40):  # one of them has no neighbour that is nearer than chance
        code, out, err = call("search", "--id", str(image_id), *where)
        if err:
            break
    assert (code, err) == (0, ALL_CHANCE)
    assert len(out.splitlines()) == 10
    assert call("search", "--id", str(image_id), "--json", *where)[2] == ""
    code, out, err = call("search", "--id", str(image_id), "--confident", *where)
    assert (code, out) == (0, "")
    assert "Nothing here is beyond chance" in err


def test_confident_says_that_there_are_too_few_images(tmp_path: Path, call: Run) -> None:
    with create(tmp_path / "photos", DIM) as few:
        put(few, directions(50, 1), [f"{number}.jpg" for number in range(50)])
    code, out, err = call("search", "--id", "1", "--confident", "-c", str(tmp_path / "photos"))
    assert (code, out) == (0, "")
    assert "Of fewer than 100 images, nobody can tell" in err
