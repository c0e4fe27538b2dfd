"""The API of copies: what is known of them, page after page, and what is decided."""

import hashlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike
from lookalike import Collection
from lookalike.server.keeping import CopyGroupsCache
from lookalike.server.settings import Settings
from tests.server.test_upkeep import wait_until
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


def groups_told(service: Running) -> dict[str, dict[str, str | None]]:
    """The group of each image by its key, as each of the routes tells it that has images."""
    client, ids = service.client, range(1, 9)
    search = {"positive": [{"id": 1}], "k": 20}
    found = {
        "list": client.get("/v1/images").json()["images"],
        "list by a body": client.post("/v1/images/list", json={}).json()["images"],
        "one": [client.get(f"/v1/images/{number}").json() for number in ids],
        "random": [client.post("/v1/images/random", json={"where": {"ids": [number]}}).json() for number in ids],
        "search": client.post("/v1/search", json=search).json()["matches"],
        "batch": client.post("/v1/search/batch", json={"queries": [search]}).json()["answers"][0]["matches"],
    }
    return {route: {image["key"]: image["group"] for image in images} for route, images in found.items()}


def test_images_tell_their_group_wherever_they_are_answered(tmp_path: Path) -> None:
    folder = tmp_path.resolve() / "scenes"
    folder.mkdir()
    for seed in range(4):
        scene(seed).save(folder / f"{seed}.png")
    for name in ("grey", "mirrored"):
        EDITED[name][0](scene(0)).save(folder / f"0-{name}.png")
    shutil.copy(folder / "0.png", folder / "0-again.png")
    shutil.copy(folder / "1.png", folder / "1-again.png")
    with lookalike.create(folder, encoder=DimEncoder()) as collection:
        collection.add(folder)
        with running(collection, Settings(writable=True)) as service:
            assert all(set(told.values()) == {None} for told in groups_told(service).values())
            collection.duplicates()
            of_zero = {"0.png", "0-again.png", "0-grey.png", "0-mirrored.png"}
            [centre] = {each.hex() for each in collection.copy_groups().values()}
            assert centre in {hashlib.sha256((folder / key).read_bytes()).hexdigest() for key in of_zero}
            expected = {image.key: centre if image.key in of_zero else None for image in collection.images()}
            wait_until(lambda: groups_told(service)["list"] == expected)
            for route, told in groups_told(service).items():
                assert told == {key: expected[key] for key in told}, route
                assert len(told) == 7 + (not route.startswith(("search", "batch"))), route
            put = service.client.put(
                "/v1/images/new.png", content=(folder / "0.png").read_bytes(), headers={"Content-Type": "image/png"}
            )
            assert put.json()["group"] == centre
            shown = service.client.get("/v1/duplicates").json()["groups"]
            assert {image["group"] for group in shown for image in (group["keep"], *group["copies"])} == {centre, None}


def test_groups_that_change_all_the_time_are_not_read_all_the_time() -> None:
    class Changing:
        """A collection in which each look finds something new; reading the groups takes 50 ms."""

        looks = reads = 0

        def copies_revision(self) -> str:
            self.looks += 1
            return str(self.looks)

        def copy_groups(self) -> dict[bytes, bytes]:
            self.reads += 1
            time.sleep(0.05)
            return {b"read": str(self.reads).encode()}

    cache, collection = CopyGroupsCache(), Changing()
    first = [cache.of(collection) for _ in range(100)]  # type: ignore[arg-type]
    assert collection.reads == 1
    assert all(each == {b"read": b"1"} for each in first)
    wait_until(lambda: cache.of(collection) == {b"read": b"2"})  # type: ignore[arg-type]
