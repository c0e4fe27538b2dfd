"""The API of copies: what is known of them, page after page, and what is decided."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike
from lookalike import Collection
from lookalike.server.settings import Settings
from tests.support.edited_pictures import EDITED, DimEncoder, scene
from tests.support.http_service import Running, problem, running


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """Five scenes, three of them with a copy."""
    folder = tmp_path_factory.mktemp("copies").resolve() / "scenes"
    folder.mkdir()
    for seed in range(5):
        scene(seed).save(folder / f"{seed}.png")
    for seed, edit in enumerate(("grey", "mirrored", "darker")):
        EDITED[edit][0](scene(seed)).save(folder / f"{seed}-{edit}.png")
    with lookalike.create(folder, encoder=DimEncoder()) as collection:
        collection.add(folder)
        yield collection


@pytest.fixture(scope="module")
def service(copies: Collection) -> Iterator[Running]:
    copies.duplicates()
    with running(copies, Settings(writable=True)) as made:
        yield made


def test_groups_come_with_the_one_to_keep_and_reasons(service: Running, copies: Collection) -> None:
    answer = service.client.get("/v1/duplicates").json()
    expected = copies.duplicates()
    assert [group["keep"]["id"] for group in answer["groups"]] == [group.keep.id for group in expected.groups]
    assert [copy["reason"] for group in answer["groups"] for copy in group["copies"]] == [
        copy.reason for group in expected.groups for copy in group.copies
    ]
    facts = {name: answer[name] for name in ("total", "copies", "images", "pending", "marked", "writable")}
    assert facts == {"total": 3, "copies": 3, "images": 8, "pending": 0, "marked": 0, "writable": True}
    assert {copy["grade"] for group in answer["groups"] for copy in group["copies"]} == {"edited copy"}


def test_groups_come_page_after_page(service: Running) -> None:
    whole = service.client.get("/v1/duplicates").json()["groups"]
    parts = [service.client.get("/v1/duplicates", params={"offset": at, "limit": 2}).json()["groups"] for at in (0, 2)]
    assert parts == [whole[:2], whole[2:]]
    assert service.client.get("/v1/duplicates", params={"offset": 9}).json()["groups"] == []
    assert service.client.get("/v1/duplicates", params={"grade": "same bytes"}).json()["total"] == 0
    for wrong in ({"grade": "twins"}, {"limit": 0}, {"limit": 501}, {"offset": -1}):
        problem(service.client.get("/v1/duplicates", params=wrong), 422)


def test_decisions_are_kept_and_can_be_taken_back(service: Running, copies: Collection) -> None:
    ids = [image.id for image in copies.images()][:3]

    def decide(chosen: list[int], decision: str | None) -> None:
        answer = service.client.post("/v1/duplicates/decisions", json={"ids": chosen, "decision": decision})
        assert (answer.status_code, answer.content) == (204, b"")

    decide(ids[:2], "marked")
    decide(ids[1:], "kept")
    assert copies.copy_marks() == {ids[0]: "marked", ids[1]: "kept", ids[2]: "kept"}
    answer = service.client.get("/v1/duplicates").json()
    decided = {
        image["id"]: image["decision"] for group in answer["groups"] for image in (group["keep"], *group["copies"])
    }
    assert answer["marked"] == 1
    assert {id_: decided[id_] for id_ in ids if id_ in decided} == {
        id_: decision for id_, decision in copies.copy_marks().items() if id_ in decided
    }
    decide(ids, None)
    assert copies.copy_marks() == {}


def test_wrong_decisions_are_refused(service: Running, copies: Collection) -> None:
    post = service.client.post
    problem(post("/v1/duplicates/decisions", json={"ids": [10**6], "decision": "marked"}), 404)
    for wrong in ({"ids": [], "decision": "kept"}, {"ids": [1], "decision": "deleted"}, {"ids": [1]}, {"ids": ["x"]}):
        problem(post("/v1/duplicates/decisions", json=wrong), 422)
    assert copies.copy_marks() == {}


def test_nothing_is_decided_where_nothing_may_be_written(copies: Collection) -> None:
    with running(copies) as service:
        assert service.client.get("/v1/duplicates").json()["writable"] is False
        problem(service.client.post("/v1/duplicates/decisions", json={"ids": [1], "decision": "kept"}), 404)


def test_what_comes_later_is_pending_until_it_is_compared(tmp_path: Path) -> None:
    scene(1).save(tmp_path / "1.png")
    EDITED["grey"][0](scene(1)).save(tmp_path / "1-grey.png")
    with lookalike.create(tmp_path, encoder=DimEncoder()) as collection:
        collection.add(tmp_path)
        with running(collection) as service:
            before = service.client.get("/v1/duplicates").json()
            collection.duplicates()
            after = service.client.get("/v1/duplicates").json()
    assert (before["total"], before["pending"]) == (0, 2)
    assert (after["total"], after["pending"]) == (1, 0)
