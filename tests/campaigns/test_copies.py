"""Processes that are ended while they act on copies: nothing is lost, and everything can be undone."""

from pathlib import Path

from tests.campaigns.copies import campaign
from tests.support.preloaded import needs_compiler


def test_acting_on_copies_loses_nothing_and_can_be_undone(tmp_path: Path) -> None:
    needs_compiler()
    report = campaign.run(tmp_path.resolve(), count=16, seed=7)
    assert report.lost == []
    assert report.trials == 16
    for what in ("killed", "another disk", "no links", "move", "link", "trash", "undoing: done"):
        assert report.total(what), f"{what} was not tried"
