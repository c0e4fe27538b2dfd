"""Uploads above the cap, and more requests than can be answered: rows 31 and 33 of the table of faults."""

import asyncio
import http.client
import io
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import lookalike
from lookalike import Collection
from lookalike.server.lanes import Lane
from lookalike.server.problems import ProblemError
from lookalike.server.settings import Limits, Settings
from tests.support.http_service import Running, problem, running
from tests.support.pictures import ColourEncoder

SMALL = Limits(body_bytes=100_000, all_bodies_bytes=250_000)


class SlowEncoder(ColourEncoder):
    """Takes a while for each image once it is told to, or stands still for as long as its gate is shut."""

    delay_s = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        time.sleep(self.delay_s)
        self.gate.wait()
        return super().encode(pixels)


@pytest.fixture
def encoder() -> SlowEncoder:
    return SlowEncoder()


def held(service: Running) -> int:
    """The bytes of bodies that the service still counts as held."""
    app = service.server.config.loaded_app
    while not hasattr(app, "_held"):
        app = getattr(app, "app", None) or getattr(app, "_app", None) or app.middleware_stack
    return int(app._held)


FORM = b'--x\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'


def chunks(count: int, size: int) -> Iterator[bytes]:
    yield FORM
    for _ in range(count):
        yield bytes(size)


@pytest.mark.parametrize(
    "path", ["/v1/search", "/v1/search/batch", "/v1/embeddings", "/v1/session", "/v1/images/x.png"]
)
@pytest.mark.parametrize("kind", ["image/png", "application/json", "multipart/form-data; boundary=x"])
def test_a_body_above_the_cap_is_refused_also_in_chunks(photos: Collection, path: str, kind: str) -> None:
    taken = {"/v1/search": True, "/v1/images/x.png": kind == "image/png"}.get(path, kind == "application/json")
    with running(photos, Settings(limits=SMALL, writable=True)) as service:
        method = "PUT" if "images" in path else "POST"
        for content in (FORM + bytes(100_001), chunks(20, 10_000)):
            response = service.client.request(method, path, content=content, headers={"Content-Type": kind})
            if taken:
                assert problem(response, 413)["limit_bytes"] == 100_000
            else:
                problem(response, 415)
        assert service.client.get("/health").status_code == 200
        assert held(service) == 0


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(photos: Collection) -> None:
    with running(photos, Settings(limits=SMALL)) as service:
        connection = service.connection(timeout=5)
        connection.putrequest("POST", "/v1/search")
        connection.putheader("Content-Type", "image/png")
        connection.putheader("Content-Length", "10000000000")
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()


def test_a_body_at_the_cap_is_taken(photos: Collection) -> None:
    data = (photos.folder / "00.png").read_bytes()
    limits = replace(SMALL, body_bytes=len(data))
    with running(photos, Settings(limits=limits)) as service:
        headers = {"Content-Type": "image/png"}
        assert service.client.post("/v1/search", content=data, headers=headers).status_code == 200
        problem(service.client.post("/v1/search", content=data + b"\0", headers=headers), 413)


def test_the_bodies_of_all_requests_take_bounded_memory(photos: Collection) -> None:
    """Three clients send most of a body each, and a fourth is told to come back; then there is room again."""
    with running(photos, Settings(limits=SMALL)) as service:
        held_up = [begin_upload(service, announced=90_000, sent=80_000) for _ in range(3)]
        wait_until(lambda: held(service) == 3 * 80_000)
        data = bytes(50_000)
        response = service.client.post("/v1/search", content=data, headers={"Content-Type": "image/png"})
        assert problem(response, 503)["type"] == "urn:lookalike:busy"
        assert response.headers["retry-after"] == "1"
        for connection in held_up:
            connection.close()
        wait_until(lambda: held(service) == 0)
        good = (photos.folder / "00.png").read_bytes()
        assert service.client.post("/v1/search", content=good, headers={"Content-Type": "image/png"}).is_success


def begin_upload(service: Running, *, announced: int, sent: int) -> http.client.HTTPConnection:
    connection = service.connection()
    connection.putrequest("POST", "/v1/search")
    connection.putheader("Content-Type", "image/png")
    connection.putheader("Content-Length", str(announced))
    connection.endheaders()
    connection.send(bytes(sent))
    return connection


def wait_until(holds: object, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.02)


def test_ten_times_the_load_gets_only_503_and_other_searches_go_on(photos: Collection, encoder: SlowEncoder) -> None:
    limits = Limits(encoding=2, waiting=4, patience_s=0.5)
    data = (photos.folder / "00.png").read_bytes()
    with running(photos, Settings(limits=limits)) as service:
        encoder.delay_s = 0.1  # so it takes 20 a second

        def upload(_: int) -> int:
            headers = {"Content-Type": "image/png"}
            response = service.client.post("/v1/search", content=data, headers=headers)
            if response.status_code == 503:
                assert response.headers["retry-after"] == "1"
                assert problem(response, 503)["type"] == "urn:lookalike:busy"
            return response.status_code

        with ThreadPoolExecutor(40) as pool:
            uploads = pool.map(upload, range(120))
            times = []
            for _ in range(20):
                begun = time.monotonic()
                assert service.client.post("/v1/search", json={"positive": [{"id": 1}]}).status_code == 200
                times.append(time.monotonic() - begun)
            statuses = list(uploads)
        assert set(statuses) == {200, 503}
        assert statuses.count(503) > 20
        assert sorted(times)[10] < 1
        encoder.delay_s = 0
        begun = time.monotonic()
        assert upload(0) == 200
        assert time.monotonic() - begun < 5
        text = service.client.get("/metrics").text
        assert 'lookalike_lane_refused_total{lane="encoding"} 0.0' not in text
        assert 'lookalike_lane_running{lane="encoding"} 0.0' in text


def test_a_request_that_takes_too_long_is_given_up(photos: Collection, encoder: SlowEncoder) -> None:
    """The encoder stands still, so that the first answer is the deadline's; its place is then not given to others."""
    with running(photos, Settings(limits=Limits(deadline_s=3, encoding=1, patience_s=0.1))) as service:
        data, kind = (photos.folder / "00.png").read_bytes(), {"Content-Type": "image/png"}
        encoder.gate.clear()
        try:
            response = service.client.post("/v1/search", content=data, headers=kind)
            assert "took longer than" in problem(response, 503)["detail"]
            again = service.client.post("/v1/search", content=data, headers=kind)
            assert "did not begin" in problem(again, 503)["detail"]
        finally:
            encoder.gate.set()
        wait_until(lambda: service.client.post("/v1/search", content=data, headers=kind).is_success)


def test_a_lane_lets_some_in_has_some_wait_and_refuses_the_rest() -> None:
    async def scenario() -> Sequence[object]:
        lane = Lane("testing", at_once=2, waiting=3, patience_s=5)
        go_on = threading.Event()
        begun = [asyncio.ensure_future(lane.run(lambda: go_on.wait(5))) for _ in range(10)]
        await asyncio.sleep(0.1)
        assert (lane.running, lane.waiting, lane.refused) == (2, 3, 5)
        go_on.set()
        results = await asyncio.gather(*begun, return_exceptions=True)
        await asyncio.sleep(0.05)
        assert (lane.running, lane.waiting) == (0, 0)
        assert await lane.run(lambda: 7) == 7
        lane.close()
        return results

    results = asyncio.run(scenario())
    assert results[:5] == [True] * 5
    assert all(isinstance(result, ProblemError) and result.status == 503 for result in results[5:])


def test_a_lane_passes_errors_on_and_goes_on() -> None:
    async def scenario() -> None:
        lane = Lane("testing", at_once=1, waiting=1, patience_s=1)
        for _ in range(5):
            with pytest.raises(lookalike.LookalikeError):
                await lane.run(fail)
        assert await lane.run(lambda: 7) == 7
        lane.close()

    asyncio.run(scenario())


def fail() -> None:
    raise lookalike.LookalikeError("wrong")


def test_a_large_form_needs_no_place_for_files(
    service: Running, photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may have nothing but what it reads."""

    def refuse(*_: object, **__: object) -> str:
        raise FileNotFoundError("there is no place for temporary files")

    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).save(data, "PNG")
    assert len(data.getvalue()) > 2 * 2**20
    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", refuse)
    monkeypatch.setattr(tempfile, "tempdir", None)
    response = service.client.post("/v1/search", files={"image": data.getvalue()}, data={"k": 1})
    assert response.status_code == 200
    assert [match["id"] for match in response.json()["matches"]] == [photos.search(noise, k=1)[0].id]
