"""A writer in a process of its own gets its turn beside threads and processes that search without a pause."""

from pathlib import Path

import pytest

from tests.campaigns import contention
from tests.campaigns.contention import Searchers


@pytest.mark.parametrize("wal", [False, True], ids=["journal", "wal"])
def test_a_writer_gets_its_turn_and_no_search_fails(tmp_path: Path, wal: bool) -> None:
    """Before readers paused together, the writer came to one image."""
    outcome = contention.run(tmp_path.resolve(), Searchers(8, 1), seconds=2, wal=wal)
    assert outcome.tally.failures == []
    assert outcome.tally.searches > 0
    assert outcome.written.added >= 3
