"""A short campaign of damaged requests."""

from pathlib import Path

from tests.support.optional_packages import needs

needs("fastapi", "uvicorn", "prometheus_client", "python_multipart")

from tests.campaigns import fuzz_http


def test_damaged_requests_do_no_harm(tmp_path: Path) -> None:
    outcome = fuzz_http.run(tmp_path, count=500, seed=3)
    assert outcome.problems == {}
    assert outcome.answers["200"] > 5
    assert outcome.answers["422"] > 20
    assert outcome.answers["400"] > 50
