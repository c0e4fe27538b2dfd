"""What goes wrong around a collection: other writers, files that change, useless vectors, damage."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import lookalike
from lookalike import Collection
from lookalike.errors import (
    CorruptError,
    ImageError,
    IncompatibleError,
    LockedError,
    ModelError,
    StorageError,
    UsageError,
)
from lookalike.images import reading
from tests.support.pictures import (
    ColourEncoder,
    counts,
    draw,
    everything,
    path_keys,
    picture,
    stored_vectors,
    unit_of,
)
from tests.support.project import environment

# One writer, many readers

HELD = """
import sys
import lookalike
from tests.support.pictures import ColourEncoder

def hold(progress):
    if progress.done == 3:
        print("held", flush=True)
        sys.stdin.read()

lookalike.open(sys.argv[1], encoder=ColourEncoder()).add(sys.argv[1], progress=hold)
"""


@contextlib.contextmanager
def another_writer(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is adding the folder and waits."""
    command = [sys.executable, "-c", HELD, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment()) as process:
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_writer_is_refused_at_once_while_readers_go_on(photos: Collection, folder: Path) -> None:
    for seed in range(20, 30):
        draw(folder / f"{seed}.png", seed)
    with another_writer(folder) as process:
        writes: list[Callable[[], object]] = [lambda: photos.add(folder), lambda: photos.remove(["00.png"])]
        for write in writes:
            start = time.monotonic()
            with pytest.raises(LockedError, match=r"\.lookalike.*another process"):
                write()
            assert time.monotonic() - start < 10
        assert len(everything(photos)) == 12
        assert photos.check() == []
        process.kill()
        process.wait()
        assert photos.add(folder).added == 10  # the lock went with the process


def test_a_collection_that_is_being_made_is_not_made_twice(tmp_path: Path, encoder: ColourEncoder) -> None:
    """Of many that try at once, one makes it; it is whole."""
    made: list[str] = []

    def make() -> None:
        try:
            lookalike.create(tmp_path, encoder=encoder).close()
            made.append("made")
        except (LockedError, UsageError) as error:
            made.append(type(error).__name__)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.count("made") == 1
    with lookalike.open(tmp_path, encoder=encoder) as photos:
        assert photos.check() == []


def test_info_works_while_another_process_commits(photos: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that is listed may be gone when its size is asked for."""
    journal, lstat = photos.directory / "catalog.sqlite-journal", Path.lstat
    size = photos.info().bytes
    journal.write_bytes(b"")

    def gone_since(path: Path) -> os.stat_result:
        if path == journal:
            journal.unlink(missing_ok=True)
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", gone_since)
    assert photos.info().bytes == size
    assert not journal.exists()


# Pictures and encoders that cannot be used


class SpoiltEncoder(ColourEncoder):
    """Gives an unusable vector for a black picture."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        embeddings = super().encode(pixels)
        embeddings[pixels.max(axis=(1, 2, 3)) == 0] = 0
        embeddings[pixels.max(axis=(1, 2, 3)) == 0, 3] = self.value
        return embeddings


@pytest.mark.usefixtures("old_files")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0])
def test_a_vector_that_is_not_finite_or_zero_never_reaches_the_index(folder: Path, value: float) -> None:
    Image.new("RGB", (9, 9)).save(folder / "black.png")
    with lookalike.create(folder, encoder=SpoiltEncoder(value)) as photos:
        report = photos.add(folder)
        assert counts(report) == {"added": 12, "skipped": 1}
        assert report.skipped[0].path == folder / "black.png"
        assert "no usable vector" in report.skipped[0].reason
        assert photos.skipped() == list(report.skipped)
        vectors = stored_vectors(photos.directory)
        assert len(vectors) == photos.info().vectors == 12
        assert np.isfinite(np.array(list(vectors.values()))).all()
        assert counts(photos.add(folder)) == {"unchanged": 12, "skipped_before": 1}
        with pytest.raises(ImageError, match="no usable vector"):
            photos.search(folder / "black.png")


def test_an_encoder_that_returns_another_dimension_writes_nothing(folder: Path) -> None:
    class WideEncoder(ColourEncoder):
        dim = 24

    with lookalike.create(folder, encoder=WideEncoder()) as photos:
        with pytest.raises(ModelError, match=r"colours.*, 25\).*, 24\)"):
            photos.add(folder)
        assert len(photos) == photos.info().vectors == 0
        assert photos.check() == []


@pytest.mark.usefixtures("old_files")
def test_an_image_that_becomes_unusable_is_missing_until_it_is_whole(photos: Collection, folder: Path) -> None:
    before = everything(photos)
    whole = (folder / "00.png").read_bytes()
    (folder / "00.png").write_bytes(whole[:60])
    report = photos.add(folder)
    assert counts(report) == {"unchanged": 11, "missing": 1, "skipped": 1}
    assert report.skipped[0].path == folder / "00.png"
    assert "00.png" not in everything(photos)
    assert counts(photos.add(folder)) == {"unchanged": 11, "missing_before": 1, "skipped_before": 1}
    (folder / "00.png").write_bytes(whole)
    assert counts(photos.add(folder)) == {"returned": 1, "unchanged": 11}
    assert photos.skipped() == []
    assert everything(photos) == before


def before_reading(monkeypatch: pytest.MonkeyPatch, path: Path, action: Callable[[], object]) -> None:
    """Does something after the file was found and before it is read."""
    read = reading.read

    def act_and_read(name: Path, **_: int) -> reading.FileBytes:
        if name == path:
            monkeypatch.setattr(reading, "read", read)
            action()
        return read(name)

    monkeypatch.setattr(reading, "read", act_and_read)


def test_files_that_vanish_during_a_run_are_skipped_and_then_forgotten(
    folder: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    dogs = folder / "dogs"
    before_reading(monkeypatch, dogs / "02.png", lambda: shutil.rmtree(dogs))
    with lookalike.create(folder, encoder=encoder) as photos:
        report = photos.add(folder, threads=1)
        assert report.added == 8
        expected = [(dogs / f"{seed:02}.png", "vanished") for seed in (2, 5, 8, 11)]
        assert [(skipped.path, skipped.reason) for skipped in report.skipped] == expected
        assert counts(photos.add(folder)) == {"unchanged": 8}
        assert photos.skipped() == []
        assert everything(photos).keys() == set(path_keys(folder))


def test_a_file_that_is_away_during_a_run_is_added_when_it_is_back(
    folder: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, aside = folder / "dogs" / "11.png", folder / "aside"
    before_reading(monkeypatch, path, lambda: path.rename(aside))
    with lookalike.create(folder, encoder=encoder) as photos:
        assert photos.add(folder).added == 11
        aside.rename(path)
        assert photos.add([path]).added == 1


def test_a_file_without_permission_is_tried_again_by_the_next_run(public_path: Path, encoder: ColourEncoder) -> None:
    path = draw(public_path / "photos" / "a.png", 1)
    path.chmod(0)
    with lookalike.create(path.parent, encoder=encoder) as photos:
        for _ in range(2):
            report = photos.add(path.parent)
            assert [(skipped.path, skipped.reason) for skipped in report.skipped] == [(path, "permission denied")]
        path.chmod(0o600)
        assert counts(photos.add(path.parent)) == {"added": 1}


def test_a_file_that_keeps_changing_has_the_vector_of_one_of_its_contents(folder: Path, encoder: ColourEncoder) -> None:
    path, done = folder / "cats" / "01.png", threading.Event()
    contents = [draw(folder.parent / "aside.png", seed).read_bytes() for seed in (200, 201, 202)]

    def rewrite() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            path.write_bytes(contents[turn % 3])  # which is empty in between

    thread = threading.Thread(target=rewrite)
    with lookalike.create(folder, encoder=encoder) as photos:
        photos.add(folder)
        thread.start()
        try:
            for _ in range(15):
                photos.add(folder, threads=2)
                vector = stored_vectors(photos.directory).get("cats/01.png")
                if vector is None:
                    [skipped] = photos.skipped()
                    assert skipped.path == path
                else:
                    assert max(vector @ unit_of(seed) for seed in (1, 200, 201, 202)) > 0.999
        finally:
            done.set()
            thread.join()
        path.write_bytes(contents[0] + b" ")
        photos.add(folder)
        assert photos.search(picture(200), k=1)[0].key == "cats/01.png"
        assert photos.skipped() == []
        assert photos.check() == []


def test_a_file_that_changes_before_it_is_read_is_known_by_what_was_read(
    photos: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size and time in the catalog are those of the bytes that were encoded, so a later change is seen."""
    path = draw(folder / "new.png", 210)

    def change() -> None:
        draw(path, 211)
        os.utime(path, ns=(5, 5))

    before_reading(monkeypatch, path, change)
    assert counts(photos.add(folder)) == {"added": 1, "unchanged": 12}
    assert photos.search(picture(211), k=1)[0].key == "new.png"
    assert counts(photos.add(folder)) == {"unchanged": 13}


# Damage


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_a_flipped_bit_of_a_vector_is_noticed_before_it_is_returned(
    photos: Collection, folder: Path, encoder: ColourEncoder
) -> None:
    vectors = photos.directory / "vectors.faiss"
    image = everything(photos)["cats/04.png"]
    sound = vectors.read_bytes()
    [row] = [row for row, key in enumerate(sorted(path_keys(folder), key=os.fsencode)) if key == "cats/04.png"]
    random = np.random.default_rng(0)
    for byte in range(50):
        offset = len(sound) - (12 - row) * 50 + byte
        overwrite(vectors, offset, bytes([sound[offset] ^ 1 << random.integers(8)]))
        with lookalike.open(folder, encoder=encoder) as damaged:
            with pytest.raises(CorruptError, match=r"vectors\.faiss"):
                damaged.search(picture(4), k=12)
            with pytest.raises(CorruptError, match=r"vectors\.faiss"):
                damaged.search_id(image.id, k=1)
            assert damaged.check() == [f"{vectors}: the vector in row {row} is damaged: checksum mismatch"]
        overwrite(vectors, offset, sound[offset : offset + 1])
    assert photos.check() == []


def test_damage_of_a_vector_that_is_not_returned_does_not_stop_a_search(photos: Collection, folder: Path) -> None:
    vectors = photos.directory / "vectors.faiss"
    overwrite(vectors, vectors.stat().st_size - 50, bytes(50))  # the last row, at right angles to every query
    assert [match.key for match in photos.search(picture(0), k=1)] == ["00.png"]
    assert photos.check() == [f"{vectors}: the vector in row 11 is damaged: checksum mismatch"]


def test_an_image_whose_vector_is_damaged_cannot_be_a_query(photos: Collection, folder: Path) -> None:
    """Although it would not come back itself, for the damage has moved it far away."""
    vectors = photos.directory / "vectors.faiss"
    image = everything(photos)["dogs/11.png"]
    overwrite(vectors, vectors.stat().st_size - 50, bytes(50))
    with pytest.raises(CorruptError, match=r"vectors\.faiss: the vector in row 11"):
        photos.search_id(image.id, k=1)


def test_vectors_that_are_not_numbers_are_noticed(photos: Collection, folder: Path, encoder: ColourEncoder) -> None:
    vectors = photos.directory / "vectors.faiss"
    overwrite(vectors, vectors.stat().st_size - 50, b"\xff" * 50)
    with lookalike.open(folder, encoder=encoder) as damaged:
        for min_score in (None, -1):
            with pytest.raises(CorruptError, match=r"vectors\.faiss: .*not finite"):
                damaged.search(picture(0), k=12, min_score=min_score)
    assert photos.check() == [f"{vectors}: the vector in row 11 is damaged: checksum mismatch"]


@pytest.mark.parametrize("size", [0, 50, 81, -1])
def test_truncated_vectors_are_refused_naming_the_file(
    photos: Collection, folder: Path, encoder: ColourEncoder, size: int
) -> None:
    photos.close()
    vectors = photos.directory / "vectors.faiss"
    os.truncate(vectors, size if size >= 0 else vectors.stat().st_size + size)
    with lookalike.open(folder, encoder=encoder) as damaged:
        uses: list[Callable[[], object]] = [
            lambda: damaged.search(picture(0)),
            lambda: damaged.search_id(1),
            lambda: damaged.add(folder),
            lambda: damaged.remove(["00.png"]),
        ]
        for use in uses:
            with pytest.raises(CorruptError, match=r"vectors\.faiss"):
                use()
        [damage] = damaged.check()
        assert str(vectors) in damage


@pytest.mark.parametrize("missing", ["vectors.faiss", "catalog.sqlite"])
def test_a_missing_file_is_damage_and_is_named(
    photos: Collection, folder: Path, encoder: ColourEncoder, missing: str
) -> None:
    photos.close()
    (photos.directory / missing).unlink()
    with pytest.raises(CorruptError, match=missing):
        lookalike.open(folder, encoder=encoder).search(picture(0))
    with pytest.raises(CorruptError, match=missing):
        lookalike.open(folder, encoder=encoder).add(folder)


@pytest.mark.parametrize("start", [0, 100, 4096])
def test_an_overwritten_catalog_is_refused_naming_the_file(
    photos: Collection, folder: Path, encoder: ColourEncoder, start: int
) -> None:
    photos.close()
    catalog = photos.directory / "catalog.sqlite"
    overwrite(catalog, start, np.random.default_rng(0).bytes(catalog.stat().st_size - start))
    uses: list[Callable[[Collection], object]] = [
        lambda damaged: damaged.search(picture(0)),
        lambda damaged: damaged.search_id(1),
        lambda damaged: damaged.add(folder),
        lambda damaged: damaged.remove(["00.png"]),
    ]
    for use in uses:
        with pytest.raises(CorruptError, match=r"catalog\.sqlite"), lookalike.open(folder, encoder=encoder) as damaged:
            use(damaged)


def test_check_names_a_damaged_catalog(photos: Collection, folder: Path) -> None:
    photos.close()
    catalog = photos.directory / "catalog.sqlite"
    overwrite(catalog, 4096, np.random.default_rng(0).bytes(catalog.stat().st_size - 4096))
    damages = photos.check()
    assert damages
    assert all(damage.startswith(str(catalog)) for damage in damages)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "1",
        '{"format": 1}',
        '{"format": "1"}',
        "[" * 100_000,
        '{"format": 0, "model": "colours", "precision": "", "fingerprint": "c", "dim": 25, "dtype": "float16"}',
        '{"format": 1, "model": "colours", "precision": "", "fingerprint": "c", "dim": 1e999, "dtype": "float16"}',
        '{"format": 1, "model": "colours", "precision": "", "fingerprint": "c", "dim": 0, "dtype": "float16"}',
        '{"format": 1, "model": "colours", "precision": "", "fingerprint": "c", "dim": 25, "dtype": "float32"}',
        "\udcff",
    ],
    ids=lambda text: text[:90],
)
def test_a_damaged_manifest_is_refused_naming_the_file(
    photos: Collection, folder: Path, encoder: ColourEncoder, text: str
) -> None:
    (photos.directory / "collection.json").write_bytes(os.fsencode(text))
    with pytest.raises(CorruptError, match=r"collection\.json"):
        lookalike.open(folder, encoder=encoder)


def test_a_collection_of_a_newer_lookalike_asks_for_an_upgrade(
    photos: Collection, folder: Path, encoder: ColourEncoder
) -> None:
    path = photos.directory / "collection.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(IncompatibleError, match=r"collection\.json.*format 2.*upgrade"):
        lookalike.open(folder, encoder=encoder)


def test_a_directory_that_cannot_be_written_to_is_a_storage_error(tmp_path: Path, encoder: ColourEncoder) -> None:
    (tmp_path / ".lookalike").write_text("a file is in the way")
    with pytest.raises(StorageError, match=r"\.lookalike"):
        lookalike.create(tmp_path, encoder=encoder)
