"""What is kept of pictures and their comparison."""

import sqlite3
from pathlib import Path

import pytest

from lookalike.storage.kept_pictures import ComparedPair, DamagedPicturesError, KeptPictures

HASHES = [bytes([number]) * 32 for number in range(5)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pictures.sqlite"


def test_what_is_kept_comes_back_after_opening_again(path: Path) -> None:
    with KeptPictures(path, 3) as kept:
        numbers = kept.numbers(HASHES)
        assert len(set(numbers)) == 5
        kept.keep_packed({numbers[0]: b"zero", numbers[1]: b"one"})
        kept.keep_pixels({numbers[2]: b"pixels"})
        kept.keep_reaches({numbers[3]: 0.25}, 10)
        kept.add_pairs([(numbers[1], numbers[0], 0.5), (numbers[2], numbers[3], 0.9), (numbers[2], numbers[4], 0.1)])
        kept.keep_scores([(numbers[0], numbers[1], 0.75, "changes"), (numbers[2], numbers[3], 0.0, None)])
    with KeptPictures(path, 3) as kept:
        assert kept.numbers(reversed(HASHES)) == numbers[::-1]
        assert kept.have_packed() == {numbers[0], numbers[1]}
        assert (kept.packed(numbers[1]), kept.packed(numbers[2])) == (b"one", None)
        assert kept.all_pixels() == {numbers[2]: b"pixels"}
        assert (kept.reaches(10), kept.reaches(11)) == ({numbers[3]: 0.25}, {})
        assert kept.without_packed() == numbers[2:]
        assert kept.uncompared() == [(numbers[2], numbers[4])]
        good = ComparedPair(numbers[0], numbers[1], 0.5, 0.75, "changes")
        assert kept.pairs(least_score=0.5) == [good]
        assert kept.pair(numbers[1], numbers[0]) == good
        assert kept.pair(numbers[0], numbers[4]) is None
        assert kept.pairs(least_score=2, least_cosine=0.8) == [ComparedPair(numbers[2], numbers[3], 0.9, 0.0, None)]


def test_a_pair_that_is_known_stays_as_it_is(path: Path) -> None:
    with KeptPictures(path, 3) as kept:
        first, second, *_ = kept.numbers(HASHES)
        kept.add_pairs([(first, second, 0.5)])
        kept.keep_scores([(first, second, 0.75, None)])
        kept.add_pairs([(second, first, 0.4)])
        assert kept.pair(first, second) == ComparedPair(first, second, 0.5, 0.75, None)
        assert kept.uncompared() == []


def test_many_pictures_that_are_not_needed_are_forgotten_with_their_pairs(path: Path) -> None:
    with KeptPictures(path, 3) as kept:
        a, b, c, *_ = kept.numbers(HASHES)
        kept.keep_packed(dict.fromkeys((a, b, c), b"made"))
        kept.add_pairs([(a, b, 0.5), (b, c, 0.5), (a, c, 0.5)])
        kept.forget_others([b, c])
        assert len(kept.uncompared()) == 3  # three more are not worth it
        kept.numbers(number.to_bytes(32, "little") for number in range(2000, 3100))
        kept.forget_others([b, c])
        assert kept.uncompared() == [(b, c)]
        assert kept.have_packed() == {b, c}


def test_another_revision_begins_anew(path: Path) -> None:
    with KeptPictures(path, 3) as kept:
        kept.keep_packed({kept.numbers(HASHES)[0]: b"zero"})
    with KeptPictures(path, 4) as kept:
        assert kept.have_packed() == set()
        kept.numbers(HASHES)
        assert kept.packed(1) is None


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE more (a)",
        "CREATE TRIGGER t AFTER INSERT ON pictures BEGIN DELETE FROM compared; END",
        "DROP TABLE compared",
        "PRAGMA application_id = 7",
    ],
)
def test_a_file_with_other_tables_is_replaced(change: str, path: Path) -> None:
    with KeptPictures(path, 3) as kept:
        kept.keep_packed({kept.numbers(HASHES)[0]: b"zero"})
    connection = sqlite3.connect(path)
    connection.execute(change)
    connection.commit()
    connection.close()
    with KeptPictures(path, 3) as kept:
        assert kept.have_packed() == set()


def test_damage_inside_is_told_as_its_own(path: Path) -> None:
    with KeptPictures(path, 3) as kept:
        first, second, *_ = kept.numbers(HASHES)
        kept.add_pairs([(first, second, 0.5)])
        kept.keep_scores([(first, second, 7.5, None)])
        with pytest.raises(DamagedPicturesError, match="score"):
            kept.pairs(least_score=0)
        kept.close()
        data = bytearray(path.read_bytes())
        data[4096:] = bytes(len(data) - 4096)
        path.write_bytes(bytes(data))
        with pytest.raises(DamagedPicturesError):
            kept.numbers(HASHES)


def test_pairs_that_were_no_candidates_make_no_groups_until_they_are(tmp_path: Path) -> None:
    """Else each run would make other groups than the one before it, and compare anew."""
    with KeptPictures(tmp_path / "pictures.sqlite", 1) as kept:
        a, b = kept.numbers(HASHES)[:2]
        pair = ComparedPair(a, b, 0.9, 0.8, None)
        kept.add_pairs([(a, b, 0.9)], candidates=False)
        assert kept.known([(a, b)]) == {}
        kept.keep_scores([(a, b, 0.8, None)])
        assert (kept.pairs(least_score=0.5), kept.known([(a, b)])) == ([], {(a, b): pair})
        kept.add_pairs([(a, b, 0.9)])
        assert kept.pairs(least_score=0.5) == [pair]
