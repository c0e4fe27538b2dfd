"""A service that takes uploads keeps the index current by itself, and is never in a request's way with it."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest

import lookalike
from lookalike import Collection
from lookalike.errors import CorruptError, ModelError
from lookalike.server.settings import Limits, Settings
from lookalike.storage import layout
from tests.support.http_service import Running, problem, running, search_image
from tests.support.pictures import ColourEncoder, draw
from tests.support.small_policies import small_policies

QUICK = Settings(writable=True, limits=Limits(quiet_s=0.3))
PNG = {"Content-Type": "image/png"}


@pytest.fixture
def growing(folder: Path) -> Iterator[Collection]:
    """The twelve pictures; from twenty on there is an index, into which five new ones go."""
    policies = small_policies(exact=20, young=5, growth=100)
    with lookalike.create(folder, encoder=ColourEncoder(), policies=policies) as collection:
        collection.add(folder)
        yield collection


def wait_until(holds: Callable[[], object], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def put(service: Running, folder: Path, seeds: range) -> None:
    """Uploads pictures, again if an index is just being built."""
    for seed in seeds:
        data = draw(folder.parent / "new.png", seed).read_bytes()
        while (response := service.client.put(f"/v1/images/new/{seed}.png", content=data, headers=PNG)).is_error:
            assert problem(response, 503)["type"] == "urn:lookalike:locked-error"
            time.sleep(int(response.headers["retry-after"]))


def index(service: Running) -> Any:
    return service.client.get("/v1/info").json()["index"]


def test_uploads_get_an_index_and_more_of_them_go_into_it(growing: Collection) -> None:
    with running(growing, QUICK) as service:
        put(service, growing.folder, range(100, 110))
        wait_until(lambda: index(service))
        assert (index(service)["vectors"], index(service)["younger"]) == (22, 0)
        put(service, growing.folder, range(110, 116))
        wait_until(lambda: index(service)["vectors"] == 28)
        for seed in (100, 115):
            data = draw(growing.folder.parent / "new.png", seed).read_bytes()
            assert search_image(service.client, data, k=1)[0]["key"] == f"new/{seed}.png"
        wait_until(lambda: 'lane_running{lane="building"} 0.0' in service.client.get("/metrics").text)
    assert growing.check() == []


def test_what_is_due_when_it_starts_is_done(growing: Collection) -> None:
    for seed in range(100, 110):
        draw(growing.folder / f"{seed}.png", seed)
    growing.add(growing.folder)
    with running(growing, QUICK) as service:
        wait_until(lambda: index(service))


def test_without_writable_it_writes_nothing(growing: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Collection, "maintain_apart", lambda *_: pytest.fail("it wrote"))
    for seed in range(100, 110):
        draw(growing.folder / f"{seed}.png", seed)
    growing.add(growing.folder)
    assert growing.needs_maintenance()
    with running(growing, Settings(limits=Limits(quiet_s=0.1))) as service:
        time.sleep(0.5)
        assert index(service) is None


def test_while_another_process_writes_it_is_tried_again(growing: Collection) -> None:
    with running(growing, QUICK) as service:
        put(service, growing.folder, range(100, 110))
        with filelock.FileLock(layout.lock_file(growing.directory)):
            time.sleep(2)
            assert index(service) is None
        wait_until(lambda: index(service))


def test_a_pause_of_the_clients_is_awaited_and_searches_go_on(
    growing: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = list[float](), threading.Event()

    def slow(_: Collection, stopped: threading.Event) -> None:
        begun.append(time.monotonic())
        go_on.wait(20)

    monkeypatch.setattr(Collection, "maintain_apart", slow)
    with running(growing, QUICK) as service:
        put(service, growing.folder, range(100, 110))
        last = time.monotonic()
        wait_until(lambda: begun)
        assert begun[0] - last > 0.25
        for _ in range(5):
            assert service.client.post("/v1/search", json={"positive": [{"id": 1}]}).status_code == 200
        go_on.set()


def test_a_build_that_is_under_way_ends_with_the_service(growing: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = list[bool]()

    def endless(_: Collection, stopped: threading.Event) -> None:
        ended.append(stopped.wait(30))
        raise ModelError("it was stopped")

    monkeypatch.setattr(Collection, "maintain_apart", endless)
    monkeypatch.setattr(Collection, "needs_maintenance", lambda _: True)
    with running(growing, QUICK) as service:
        wait_until(lambda: 'lane_running{lane="building"} 1.0' in service.client.get("/metrics").text)
        begun = time.monotonic()
    wait_until(lambda: ended)
    assert ended == [True]
    assert time.monotonic() - begun < 10


def test_an_index_that_cannot_be_kept_is_told_in_the_log(
    growing: Collection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise CorruptError("photos: damaged")

    monkeypatch.setattr(Collection, "maintain_apart", fail)
    monkeypatch.setattr(Collection, "needs_maintenance", lambda _: True)
    with running(growing, QUICK):
        wait_until(lambda: caplog.records)
    assert [record.getMessage() for record in caplog.records] == ["the index cannot be kept current: photos: damaged"]
