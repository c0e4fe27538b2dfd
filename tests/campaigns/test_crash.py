"""Processes that are killed at work: nothing that they had acknowledged is lost, and nothing is torn."""

from pathlib import Path

import pytest

from tests.campaigns.crash import killer


@pytest.mark.parametrize(("encoder", "kills"), [("colours", 15), ("bundled", 5)])
def test_kills_at_random_instants_lose_nothing_and_the_next_run_carries_on(
    tmp_path: Path, encoder: str, kills: int
) -> None:
    tally = killer.run(tmp_path.resolve() / "photos", kills=kills, encoder=encoder)
    assert tally.kills == kills
    assert tally.completed
    if kills >= 20:  # enough for each of these to happen
        assert tally.acknowledged
        assert tally.changes
        assert tally.while_committing
        assert tally.while_changing
        assert tally.indexed
        assert tally.compacted
        assert tally.searches
