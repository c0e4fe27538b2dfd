"""Files during whose decoding a process ended: they are known to the next run, which decodes them apart."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import lookalike
from lookalike import Collection
from lookalike.errors import CorruptError
from lookalike.images import decode
from lookalike.images.isolated import render_apart
from lookalike.images.rendering import Rendered, View
from lookalike.ingest.suspects import under_way
from lookalike.storage import layout
from tests.support import crashing_decoder
from tests.support.image_samples import chunk, painting, png, saved
from tests.support.pictures import ColourEncoder
from tests.support.project import ROOT

PROGRAM = """
import sys
import lookalike, pytest
from tests.support import crashing_decoder
from tests.support.pictures import ColourEncoder
crashing_decoder.install(pytest.MonkeyPatch())
lookalike.open(sys.argv[1], encoder=ColourEncoder()).add(sys.argv[1], threads=1)
"""


def killer() -> bytes:
    """A PNG that ends the process."""
    return png((8, 8), 8, 0, bytes(72), chunk(b"tEXt", b"comment\0" + crashing_decoder.MARK))


@pytest.fixture
def photos(tmp_path: Path) -> Collection:
    """A collection of a folder of three images, the second of which ends the process that decodes it."""
    for name, data in {
        "a.png": saved(painting(), "PNG"),
        "b.png": killer(),
        "c.png": saved(painting("L"), "PNG"),
    }.items():
        (tmp_path / name).write_bytes(data)
    return lookalike.create(tmp_path, encoder=ColourEncoder())


def die(photos: Collection) -> None:
    """Indexes in another process, which ends."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, "-c", PROGRAM, str(photos.folder)]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGSEGV


def note(photos: Collection) -> Path:
    return photos.directory / layout.DECODING


def index(photos: Collection, monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patch:
        crashing_decoder.install(patch)
        return photos.add(photos.folder, threads=1)


@pytest.mark.usefixtures("old_files")
def test_an_image_that_ended_the_process_is_skipped_by_the_next_run(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(photos)
    assert note(photos).exists()
    report = index(photos, monkeypatch)
    assert report.added == 2
    assert [(skip.path.name, skip.reason) for skip in report.skipped] == [
        ("b.png", "decoding it ended the process (signal 11, SIGSEGV)")
    ]
    assert not note(photos).exists()
    again = index(photos, monkeypatch)
    assert (again.skipped, again.skipped_before, again.unchanged) == ((), 1, 2)
    (photos.folder / "b.png").write_bytes(saved(painting("RGBA"), "PNG"))
    assert index(photos, monkeypatch).added == 1


def test_an_image_merely_decoded_when_the_process_ended_is_indexed(photos: Collection) -> None:
    with under_way(note(photos)) as first, first.decoding("b.png"):
        left = note(photos).read_bytes()
    note(photos).write_bytes(left)
    apart: list[bytes] = []

    def spy(data: bytes, view: View, max_pixels: int) -> Rendered:
        apart.append(data)
        return render_apart(data, view, max_pixels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "render_apart", spy)
        assert photos.add(photos.folder, threads=1).added == 3
    assert apart == [killer()]


def test_each_thread_notes_its_own_file_and_earlier_suspects_stay(tmp_path: Path) -> None:
    path = tmp_path / "note"
    inside, leave = threading.Barrier(4), threading.Event()

    def work(key: str) -> None:
        with current.decoding(f"before {key}"):
            pass
        with current.decoding(key):
            inside.wait()
            leave.wait()

    keys = ["ü.jpg", "two\nlines.jpg", os.fsdecode(b"\xff.jpg")]
    with under_way(path) as current:
        threads = [threading.Thread(target=work, args=[key]) for key in keys]
        for thread in threads:
            thread.start()
        inside.wait()
        left = path.read_bytes()
        leave.set()
        for thread in threads:
            thread.join()
    path.write_bytes(left)
    with under_way(path) as later:
        assert later.suspects == frozenset(keys)
        with later.decoding("another"):
            left = path.read_bytes()
    path.write_bytes(left)
    with under_way(path) as last:
        assert last.suspects == {*keys, "another"}
    with under_way(path) as clean:
        assert clean.suspects == frozenset()


def test_a_run_that_fails_or_is_stopped_leaves_no_note(photos: Collection) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        photos.add([photos.folder / "a.png"], progress=stop)
    assert not note(photos).exists()


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xff" * 10_000, bytes(100_000), os.urandom(9000)])
def test_a_note_of_anything_else_does_no_harm(content: bytes, photos: Collection) -> None:
    note(photos).write_bytes(content)
    assert photos.add(photos.folder, threads=1).added == 3
    assert not note(photos).exists()


def test_a_key_that_is_too_long_for_the_note_is_not_noted(tmp_path: Path) -> None:
    path = tmp_path / "note"
    with under_way(path) as current, current.decoding("x" * 5000):
        left = path.read_bytes()
    path.write_bytes(left)
    with under_way(path) as later:
        assert later.suspects == frozenset()


def test_a_link_in_the_place_of_the_note_is_not_followed(photos: Collection) -> None:
    target = photos.folder / "precious.txt"
    target.write_text("precious")
    note(photos).symlink_to(target)
    with pytest.raises(CorruptError, match="decoding"):
        photos.add(photos.folder)
    assert target.read_text() == "precious"


def test_a_note_that_cannot_be_written_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    done = []
    with under_way(tmp_path / "nowhere" / "note") as current, current.decoding("a"):
        done.append("in a folder that is missing")
    monkeypatch.setattr(os, "pwrite", fail)
    with under_way(tmp_path / "note") as current, current.decoding("a"):
        done.append("on a full disk")
    assert len(done) == 2
