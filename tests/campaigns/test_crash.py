"""Processes that are killed at work: nothing that they had acknowledged is lost, and nothing is torn."""

from pathlib import Path

from tests.campaigns.crash import killer


def test_kills_at_random_instants_lose_nothing_and_the_next_run_carries_on(tmp_path: Path) -> None:
    tally = killer.run(tmp_path.resolve() / "photos", kills=12, most=200)
    assert tally.kills >= 12
    assert tally.completed
    assert tally.missing == []


def test_kills_with_the_bundled_model_lose_nothing(tmp_path: Path) -> None:
    tally = killer.run(tmp_path.resolve() / "photos", kills=3, encoder="bundled")
    assert tally.kills == 3
    assert tally.completed
