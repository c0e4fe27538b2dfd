"""Adding and deleting images over HTTP, which only a service that was started for it does."""

from pathlib import Path

import filelock
import pytest

from lookalike import Collection
from lookalike.server.settings import Settings
from lookalike.storage import layout
from tests.support.http_service import Running, problem, running, search_image
from tests.support.pictures import draw

PNG = {"Content-Type": "image/png"}


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    return draw(tmp_path / "new.png", 100).read_bytes()


def test_without_leave_nothing_is_written(service: Running, photos: Collection, data: bytes) -> None:
    for name in ("new.png", "a/new.png"):
        assert service.client.put(f"/v1/images/{name}", content=data, headers=PNG).status_code in (404, 405)
    problem(service.client.delete("/v1/images/1?file=true"), 405)
    assert len(photos) == 12
    assert service.client.get("/v1/info").json()["writable"] is False
    assert set(service.client.get("/openapi.json").json()["paths"]["/v1/images/{image_id}"]) == {"get"}


def test_an_upload_is_found_as_soon_as_it_is_answered(photos: Collection, data: bytes) -> None:
    with running(photos, Settings(writable=True)) as service:
        response = service.client.put("/v1/images/2024/May%20trip/n%C3%A9w.png", content=data, headers=PNG)
        assert response.status_code == 201
        image = response.json()
        assert (image["key"], image["label"]) == ("2024/May trip/néw.png", "May trip")
        assert response.headers["location"] == f"/v1/images/{image['id']}"
        assert (photos.folder / "2024/May trip/néw.png").read_bytes() == data
        assert search_image(service.client, data, k=1)[0]["id"] == image["id"]
        assert service.client.get(image["thumbnail"]).status_code == 200
        again = service.client.put("/v1/images/2024/May%20trip/n%C3%A9w.png", content=data, headers=PNG)
        assert again.json()["id"] == image["id"]


UNSAFE = [
    *("%2e%2e/x.png", "..%2fx.png", "%2Fetc%2Fx.png", "a/%2e%2e/x.png", ".lookalike/x.png", ".x.png", "x.svg", "x"),
    *("a%5Cx.png", "x%00.png", "x%0A.png", "x.png%20", "%FF.png", "%ED%A0%80.png"),
]


def test_an_unsafe_name_is_refused_and_nothing_is_written(photos: Collection, data: bytes) -> None:
    def files() -> list[Path]:
        return [path for path in sorted(photos.folder.parent.rglob("*")) if "sqlite" not in path.name]

    before = files()
    with running(photos, Settings(writable=True)) as service:
        for name in UNSAFE:
            connection = service.connection()  # which sends the path as it is
            connection.request("PUT", f"/v1/images/{name}", body=data, headers=PNG)
            assert connection.getresponse().status in (404, 405, 422), name
            connection.close()
    assert files() == before


def test_another_file_of_that_name_is_a_conflict(photos: Collection, data: bytes) -> None:
    with running(photos, Settings(writable=True)) as service:
        found = problem(service.client.put("/v1/images/00.png", content=data, headers=PNG), 409)
        assert found["type"] == "urn:lookalike:name-taken-error"
    assert (photos.folder / "00.png").read_bytes() != data


@pytest.mark.parametrize("bad", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_image_leaves_nothing(photos: Collection, bad: bytes) -> None:
    with running(photos, Settings(writable=True)) as service:
        problem(service.client.put("/v1/images/bad.png", content=bad, headers=PNG), 422)
        problem(service.client.put("/v1/images/bad.png", content=b"", headers=PNG), 422)
        problem(service.client.put("/v1/images/bad.png", content=bad, headers={"Content-Type": "text/html"}), 415)
    assert not (photos.folder / "bad.png").exists()


def test_while_another_process_writes_clients_are_told_to_come_back(photos: Collection, data: bytes) -> None:
    with running(photos, Settings(writable=True)) as service:
        with filelock.FileLock(layout.lock_file(photos.directory)):
            for response in (
                service.client.put("/v1/images/new.png", content=data, headers=PNG),
                service.client.delete("/v1/images/1"),
            ):
                assert problem(response, 503)["type"] == "urn:lookalike:locked-error"
                assert response.headers["retry-after"] == "1"
            assert not (photos.folder / "new.png").exists()
        assert service.client.put("/v1/images/new.png", content=data, headers=PNG).status_code == 201


def test_deleting_forgets_the_image_and_its_file_only_if_told(photos: Collection) -> None:
    first, second, third, *_ = photos.images()
    draw(third.path, 99)
    with running(photos, Settings(writable=True)) as service:
        assert service.client.delete(f"/v1/images/{first.id}").status_code == 204
        assert service.client.delete(f"/v1/images/{second.id}?file=true").status_code == 204
        changed = problem(service.client.delete(f"/v1/images/{third.id}?file=true"), 409)
        assert changed["reason"] == "changed since it was indexed"
        problem(service.client.delete(f"/v1/images/{first.id}"), 404)
        problem(service.client.delete("/v1/images/00.png"), 404)
    assert (first.path.exists(), second.path.exists(), third.path.exists()) == (True, False, True)
    assert len(photos) == 10
