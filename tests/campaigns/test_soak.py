"""Searches while another thread writes: each answer is right for one of the committed states."""

from pathlib import Path

import pytest

from tests.campaigns.soak import campaign
from tests.support.optional_packages import needs


@pytest.mark.parametrize("wal", [False, True], ids=["journal", "write-ahead log"])
def test_every_answer_is_right_while_the_collection_is_written_to(tmp_path: Path, synced: None, wal: bool) -> None:
    """A writer that waited for no disk would change the collection during every search."""
    outcome = campaign.run(tmp_path.resolve(), seconds=1, least=15, processes=2, wal=wal)
    assert outcome.work.done["build"] + outcome.work.done["maintain"]
    for tally in (outcome.threads, outcome.processes):
        assert tally.searches > 20
        assert tally.during_writes


def test_every_answer_of_a_service_is_right_while_the_collection_is_written_to(tmp_path: Path, synced: None) -> None:
    needs("fastapi", "uvicorn", "prometheus_client", "python_multipart")
    from tests.campaigns.soak import over_http

    outcome = over_http.run(tmp_path.resolve(), seconds=1, generations=2, clients=8)
    assert outcome.generations >= 2
    assert outcome.clients.searches > 20
    assert outcome.clients.during_writes
