"""Collections of a stranger's: every kind of attack, a few times."""

from pathlib import Path

from tests.campaigns.hostile import campaign
from tests.campaigns.hostile.attacks import ATTACKS


def test_no_crafted_collection_reaches_outside_hangs_or_shows_a_traceback(tmp_path: Path) -> None:
    report = campaign.run(tmp_path.resolve(), count=6, processes=1)
    assert not report.problems, "\n".join(report.problems.values())
    assert sum(report.outcomes.values()) == 6 * campaign.OPERATIONS
    refused = {name.rpartition(": ")[2] for name in report.outcomes}
    assert {"done", "CorruptError"} <= refused


def test_every_attack_is_drawn() -> None:
    assert {campaign.attack_of(0, number, "")[1] for number in range(100)} == set(ATTACKS)
