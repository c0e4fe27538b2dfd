"""A short campaign of too many requests, and of clients that are slow."""

from pathlib import Path

from tests.support.optional_packages import needs

needs("fastapi", "uvicorn", "prometheus_client", "python_multipart")

from tests.campaigns import overload


def test_an_overload_and_slow_clients_leave_the_service_well(tmp_path: Path) -> None:
    outcome = overload.run(tmp_path, seconds=2)
    assert outcome.problems == [], str(outcome)
    assert outcome.answers[503] > 100
    assert outcome.answers[200] > 10
