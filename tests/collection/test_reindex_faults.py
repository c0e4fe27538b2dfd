"""Readers in other processes, kills and failing disks while a collection is indexed again with another model."""

from pathlib import Path

import pytest

import lookalike
from lookalike import Collection
from lookalike.collection.reindex import reindex
from tests.campaigns import reindex_faults
from tests.support.failing_disk import KINDS, shim
from tests.support.reindexing import CoarseEncoder

__all__ = ["shim"]  # a fixture


def test_readers_in_other_processes_see_the_old_model_or_the_new_one(photos: Collection) -> None:
    expected = {"colours": reindex_faults.answer(photos)}
    heard = reindex_faults.answers_meanwhile(photos.folder, lambda: reindex(photos.folder, encoder=CoarseEncoder()))
    with lookalike.open(photos.folder) as again:
        expected["coarse"] = reindex_faults.answer(again)
    assert heard == [list(expected.items())] * 2


def test_kills_at_random_instants_leave_the_old_or_the_new_model(tmp_path: Path) -> None:
    tally = reindex_faults.run_kills(tmp_path.resolve(), kills=10)
    assert tally["kills"] == 10
    assert tally["completed"]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_whichever_write_fails_one_model_serves_and_the_next_run_completes(
    shim: Path,
    tmp_path: Path,
    kind: str,
) -> None:
    ends = []
    for folder, template, said in reindex_faults.attempts(shim, tmp_path.resolve(), KINDS[kind]):
        assert said[-1] == "done" or said[-1].startswith("StorageError "), (folder, said)
        ends.append(said[-1])
        reindex_faults.complete(folder, template)
    assert len(ends) > 5
    assert ends.count("done") < len(ends) / 2
