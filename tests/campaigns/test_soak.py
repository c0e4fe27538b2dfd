"""Searches while another thread writes: each answer is right for one of the committed states."""

from pathlib import Path

import pytest

from tests.campaigns.soak import campaign


@pytest.mark.parametrize("wal", [False, True], ids=["journal", "write-ahead log"])
def test_every_answer_is_right_while_the_collection_is_written_to(tmp_path: Path, wal: bool) -> None:
    outcome = campaign.run(tmp_path.resolve(), seconds=1, least=15, processes=2, wal=wal)
    assert outcome.work.done["build"] + outcome.work.done["maintain"]
    for tally in (outcome.threads, outcome.processes):
        assert tally.searches > 20
        assert tally.during_writes
