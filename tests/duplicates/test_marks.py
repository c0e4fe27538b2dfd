"""What is decided on copies is kept, and holds for the same files only."""

import json
import threading
from pathlib import Path

import pytest

import lookalike
from lookalike import Collection
from lookalike.duplicates import marks
from lookalike.errors import CorruptError, LockedError, NoImageError, UsageError
from tests.support.copies_of_files import by_key
from tests.support.pictures import ColourEncoder, draw


def test_decisions_are_kept_until_they_are_taken_back(photos: Collection, folder: Path) -> None:
    photos.mark_copies([1, 2, 3])
    photos.keep_copies([3, 4])
    with lookalike.open(folder, encoder=ColourEncoder()) as again:
        assert again.copy_marks() == {1: "marked", 2: "marked", 3: "kept", 4: "kept"}
        again.unmark_copies([1, 4, 999])
    assert photos.copy_marks() == {2: "marked", 3: "kept"}


def test_an_image_that_is_none_is_refused(photos: Collection) -> None:
    with pytest.raises(NoImageError):
        photos.mark_copies([1, 999])
    assert photos.copy_marks() == {}


def test_a_decision_does_not_hold_for_another_file(photos: Collection) -> None:
    [key] = [image.key for image in photos.images() if image.id == 2]
    photos.mark_copies([1, 2])
    draw(photos.folder / key, 500)
    photos.update(threads=2)
    assert by_key(photos)[key].id == 2
    assert photos.copy_marks() == {1: "marked"}


def test_a_missing_image_has_its_decision_again_when_it_is_back(photos: Collection) -> None:
    photos.mark_copies([1, 2])
    [path] = [image.path for image in photos.images() if image.id == 2]
    path.rename(photos.folder.with_name("away.png"))
    photos.update(threads=2)
    assert photos.copy_marks() == {1: "marked"}
    photos.folder.with_name("away.png").rename(path)
    photos.update(threads=2)
    assert photos.copy_marks() == {1: "marked", 2: "marked"}


def test_decisions_outlive_another_model(photos: Collection, folder: Path) -> None:
    photos.mark_copies([1, 2])
    lookalike.reindex(folder, encoder=ColourEncoder("other"), threads=2)
    with lookalike.open(folder, encoder=ColourEncoder("other")) as again:
        assert again.copy_marks() == {1: "marked", 2: "marked"}


SHA256 = "ab" * 32
DAMAGED = [
    *(b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": 2, "marked": {}, "kept": {}}'),
    *(b'{"format": 1, "marked": [1], "kept": {}}', b'{"format": 1, "marked": {"1": 5}, "kept": {}}'),
    json.dumps({"format": 1, "marked": {"1": "zz" * 32}, "kept": {}}).encode(),
    json.dumps({"format": 1, "marked": {"-1": SHA256}, "kept": {}}).encode(),
    json.dumps({"format": 1, "marked": {"9" * 5000: SHA256}, "kept": {}}).encode(),
    json.dumps({"format": 1, "marked": {"1": SHA256}}).encode(),
]


@pytest.mark.parametrize("data", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_as_good_as_none(photos: Collection, data: bytes) -> None:
    (photos.directory / "marks.json").write_bytes(data)
    assert photos.copy_marks() == {}
    photos.mark_copies([1])
    assert photos.copy_marks() == {1: "marked"}


def test_a_huge_file_is_not_read(photos: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    photos.mark_copies([1])
    monkeypatch.setattr(marks, "_MAX_BYTES", 50)
    assert photos.copy_marks() == {}


def test_too_many_decisions_are_refused(photos: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "_MOST", 2)
    photos.mark_copies([1, 2])
    with pytest.raises(UsageError, match="3 decisions"):
        photos.keep_copies([3])
    assert photos.copy_marks() == {1: "marked", 2: "marked"}


def test_nothing_is_read_or_written_through_a_symlink(photos: Collection, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text(json.dumps({"format": 1, "marked": {"1": by_key(photos)["00.png"].sha256.hex()}, "kept": {}}))
    before = outside.read_bytes()
    (photos.directory / "marks.json").symlink_to(outside)
    assert photos.copy_marks() == {}
    with pytest.raises(CorruptError, match=r"marks\.json"):
        photos.mark_copies([2])
    assert outside.read_bytes() == before


def test_those_who_decide_at_the_same_time_lose_nothing(photos: Collection) -> None:
    threads = [threading.Thread(target=photos.mark_copies, args=([id_],)) for id_ in range(1, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert photos.copy_marks() == dict.fromkeys(range(1, 13), "marked")


def test_deciding_does_not_wait_for_whoever_writes(photos: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "_PATIENCE", 0.05)
    with photos._write_access.locked():
        photos.mark_copies([1])
    assert photos.copy_marks() == {1: "marked"}
    with marks.Marks(photos.directory)._locked(), pytest.raises(LockedError, match="another process"):
        marks.Marks(photos.directory).forget([1])
