"""The weights that may follow the images and texts of a query on the command line."""

import pytest

from lookalike.cli.searching import weighted
from lookalike.errors import UsageError


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
