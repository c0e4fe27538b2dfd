"""The benchmark of the page measures what it says, on a small collection."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from tests.support.optional_packages import needs
from tests.support.project import ROOT

needs("playwright", "fastapi", "uvicorn")

from tests.support.http_service import running
from tests.support.watched_pages import chromium


@pytest.fixture
def page_speed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the benchmark."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("page_speed")


def test_the_page_is_opened_and_scrolled_to_its_end(tmp_path: Path, page_speed: Any) -> None:
    with (
        page_speed.prepared(tmp_path.resolve() / "pictures", 60) as collection,
        running(collection) as service,
        chromium() as browser,
    ):
        assert len({image.sha256 for image in collection.images()}) == 60
        measured = page_speed.measure(browser, f"http://127.0.0.1:{service.port}", opened=1, tiles=100)
    assert measured.scrolled == 60
    facts = measured.facts()
    assert 0 < facts["first_tiles_ms"]["worst"] <= facts["first_images_ms"]["worst"] < 20_000
    assert facts["frames"] > 10
    assert facts["frame_ms"]["median"] <= facts["frame_ms"]["worst"]
    assert len(measured.tasks) > 100
    assert facts["worst_task_cpu_ms"] > 0
