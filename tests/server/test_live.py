"""A service notices what happens to its collection, without a restart and without a failed request."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

import lookalike
from lookalike import Collection
from lookalike.collection.reindex import reindex
from lookalike.errors import IncompatibleError
from tests.support import tiny_models
from tests.support.http_service import Running, problem, running, search, search_image
from tests.support.pictures import ColourEncoder, draw


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models, of which one takes text."""
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))
    tiny_models.save("one")
    tiny_models.save("two", version="2", words={"red": 0, "blue": 2})


@pytest.fixture
def tiny(folder: Path, models: None) -> Iterator[Collection]:
    with lookalike.create(folder, model="one") as collection:
        collection.add(folder)
        yield collection


def test_images_that_come_and_go_are_found_and_not_found(
    service: Running, photos: Collection, encoder: ColourEncoder
) -> None:
    """Another process would do the same: it opens the collection by itself."""
    data = draw(photos.folder / "new.png", 100).read_bytes()
    with lookalike.open(photos.folder, encoder=encoder) as writer:
        assert search_image(service.client, data, k=1)[0]["key"] != "new.png"
        writer.add([photos.folder / "new.png"])
        [found] = search_image(service.client, data, k=1)
        assert found["key"] == "new.png"
        writer.remove(["new.png"])
        assert search_image(service.client, data, k=1)[0]["key"] != "new.png"
        problem(service.client.get(f"/v1/images/{found['id']}"), 404)
        assert service.client.get("/v1/info").json()["images"] == 12


def test_a_new_index_is_used(service: Running, photos: Collection, encoder: ColourEncoder) -> None:
    first = service.client.get("/v1/info").json()
    before = search(service.client, positive=[{"id": 5}], k=12)
    with lookalike.open(photos.folder, encoder=encoder) as writer:
        assert writer.build(spec="IVF2,SQ8", recall=0.5)
    second = service.client.get("/v1/info").json()
    assert (first["index"], second["index"]["generation"]) == (None, 1)
    assert first["revision"] != second["revision"]
    assert "lookalike_index_generation 1.0" in service.client.get("/metrics").text
    assert search(service.client, positive=[{"id": 5}], k=12)[0] == before[0]


def test_another_model_is_taken_without_a_failed_request(tiny: Collection) -> None:
    data = (tiny.folder / "00.png").read_bytes()
    with running(tiny) as service:
        address = str(service.client.base_url)
        stop = threading.Event()
        failures: list[str] = []
        uses: list[Callable[[httpx.Client], httpx.Response]] = [
            lambda client: client.post("/v1/search", content=data, headers={"Content-Type": "image/png"}),
            lambda client: client.post("/v1/search", json={"positive": [{"id": 3}]}),
            lambda client: client.get("/v1/images?facets=true"),
            lambda client: client.get("/v1/images/1/original"),
        ]

        def ask(use: Callable[[httpx.Client], httpx.Response]) -> None:
            with httpx.Client(base_url=address, timeout=30) as client:
                while not stop.is_set():
                    if (response := use(client)).status_code != 200:
                        failures.append(response.text)

        threads = [threading.Thread(target=ask, args=[use]) for use in uses]
        for thread in threads:
            thread.start()
        for model in ("two", "one", "two"):
            reindex(tiny.folder, model=model)
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert service.client.get("/v1/info").json()["model"]["name"] == "two"
        made = service.client.post("/v1/embeddings", json={"input": "red"}).json()
        assert made["model"] == "two"
        found = search(service.client, positive=[{"text": "red"}], k=3)
        expected = lookalike.open(tiny.folder).search_text("red", k=3)
        assert [match["id"] for match in found] == [match.id for match in expected]


def test_vectors_are_of_the_new_model_at_once(tiny: Collection) -> None:
    """Making one does not read the collection, so that nothing else would notice."""
    with running(tiny) as service:
        body = {"input": [{"image": draw_base64(tiny.folder / "00.png")}]}
        assert service.client.post("/v1/embeddings", json=body).json()["model"] == "one"
        reindex(tiny.folder, model="two")
        assert service.client.post("/v1/embeddings", json=body).json()["model"] == "two"


def draw_base64(path: Path) -> str:
    from tests.support.http_service import in_base64

    return in_base64(path)


def test_a_collection_that_cannot_be_opened_again_is_told(photos: Collection, encoder: ColourEncoder) -> None:
    """An encoder that was given as an object is not that of the new vectors."""
    with running(photos) as service:
        reindex(photos.folder, encoder=ColourEncoder("another"))
        found = problem(service.client.post("/v1/search", json={"positive": [{"id": 1}]}), 503)
        assert found["type"] == "urn:lookalike:incompatible-error"
        assert found["hints"]
        problem_free = service.client.get("/health")
        assert problem_free.status_code == 200
        assert service.client.get("/ready").status_code == 503


def test_an_error_that_is_no_change_is_not_tried_for_ever(photos: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def refuse(*_: object, **__: object) -> None:
        calls.append(1)
        raise IncompatibleError("not here")

    with running(photos) as service:
        monkeypatch.setattr(Collection, "embed", refuse)
        data = (photos.folder / "00.png").read_bytes()
        response = service.client.post("/v1/search", content=data, headers={"Content-Type": "image/png"})
        problem(response, 503)
        assert len(calls) == 1
