"""Collections that are open, or just being opened, while their images are indexed again with another model."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import lookalike
from lookalike import Collection
from lookalike.collection.reindex import reindex
from lookalike.errors import IncompatibleError
from lookalike.filters import Where
from lookalike.storage import directory as directories
from lookalike.storage import layout, manifest
from lookalike.storage.records import State
from tests.support.pictures import picture
from tests.support.reindexing import CoarseEncoder, annotate, begin, names_in


def in_a_thread(use: Callable[[], object]) -> list[object]:
    """The result or the error of a new thread, which has not used the collection before."""
    got: list[object] = []

    def run() -> None:
        try:
            got.append(use())
        except Exception as error:
            got.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return got


USES: dict[str, Callable[[Collection], object]] = {
    "search": lambda photos: photos.search(picture(0)),
    "search_id": lambda photos: photos.search_id(5),
    "search_vector": lambda photos: photos.search_vector(np.ones(25)),
    "filtered": lambda photos: photos.search(picture(0), where=Where(label="cats")),
    "count": lambda photos: photos.count(Where(label="cats")),
    "len": len,
    "info": lambda photos: photos.info(),
    "check": lambda photos: photos.check(),
    "skipped": lambda photos: photos.skipped(),
    "evaluate": lambda photos: photos.evaluate(queries=5),
    "add": lambda photos: photos.add(photos.folder),
    "remove": lambda photos: photos.remove(["00.png"]),
    "build": lambda photos: photos.build(),
    "maintain": lambda photos: photos.maintain(),
    "annotate": lambda photos: annotate(photos, "path,price\n00.png,1\n"),
}
WRITES = {"add", "remove", "build", "maintain", "annotate"}


@pytest.fixture
def indexed(photos: Collection) -> Collection:
    photos.build(spec="Flat")
    photos.close()
    return photos


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("how", ["warm", "cold", "in a thread"])
def test_an_open_collection_goes_on_or_has_to_be_opened_again(indexed: Collection, use: str, how: str) -> None:
    """A missing file is never taken for a damaged one, and no search becomes exact without its index."""
    if how != "cold":
        expected = USES[use](indexed) if use not in WRITES else None
    reindex(indexed.folder, encoder=CoarseEncoder())
    if how == "in a thread":
        [got] = in_a_thread(lambda: USES[use](indexed))
    else:
        try:
            got = USES[use](indexed)
        except Exception as error:
            got = error
    if isinstance(got, Exception):
        assert isinstance(got, IncompatibleError), repr(got)
        assert "open it again" in str(got)
    else:
        assert use not in WRITES
        assert got == expected if use != "info" else got.images == 12  # type: ignore[attr-defined]
    assert names_in(indexed.directory) == {"collection.json", "lock", "sources.json", "data.000001"}


@pytest.mark.parametrize("use", sorted(WRITES))
def test_an_open_collection_does_not_write_to_data_that_no_longer_serve(photos: Collection, use: str) -> None:
    """A crash has left the old files behind."""
    with mock.patch.object(directories, "sweep"):
        reindex(photos.folder, encoder=CoarseEncoder())
    assert len(photos.search(picture(0), k=100)) == 12
    with pytest.raises(IncompatibleError, match="indexed again with coarse; open it again"):
        USES[use](photos)


def test_files_that_vanish_during_a_search_are_not_taken_for_damage(
    indexed: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = indexed._catalog.reading

    @contextmanager
    def then_reindex() -> Iterator[State]:
        with reading() as state:
            monkeypatch.undo()
            reindex(indexed.folder, encoder=CoarseEncoder())
            yield state

    monkeypatch.setattr(indexed._catalog, "reading", then_reindex)
    with pytest.raises(IncompatibleError, match="open it again"):
        indexed.search(picture(0))


def test_opening_at_the_moment_of_the_switch_gives_the_new_one(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = manifest.read
    begin(photos, CoarseEncoder())

    def then_reindex(directory: Path, name: str = layout.MANIFEST) -> manifest.Manifest:
        found = read(directory, name)
        monkeypatch.undo()
        reindex(directory, encoder=CoarseEncoder())
        return found

    monkeypatch.setattr(manifest, "read", then_reindex)
    with lookalike.open(photos.folder) as again:
        assert (again.made_by.model, len(again)) == ("coarse", 12)
