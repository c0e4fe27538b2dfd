"""The orders of a search side by side: their numbers by brute force, and what is said of them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike import Collection, demo
from lookalike.display.advice import order_advice
from lookalike.evaluation import orders
from lookalike.evaluation.edits import edited_copies
from lookalike.evaluation.results import OrderQuality
from tests.support.small_policies import quick_policies
from tests.support.vector_collections import clustered, create, put

ROWS, DIM = 300, 16


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Collection]:
    """Vectors in folders that have something to do with them; there are no files."""
    vectors = clustered(ROWS, DIM, seed=1)
    folders = np.where(vectors[:, 0] > 0, "left", "right")
    with create(tmp_path / "photos", DIM, quick_policies()) as collection:
        put(collection, vectors, [f"{folder}/{number:03}.jpg" for number, folder in enumerate(folders)])
        yield collection


def _by_hand(collection: Collection, *, refine: bool) -> list[float]:
    """Precision@1, precision@10 and mAP of every image as a query."""
    count, found = len(collection), []
    for image in collection.images(limit=count):
        matches = collection.search_id(image.id, k=count - 1, refine=refine)
        right = np.array([match.label == image.label for match in matches])
        at_each = right.cumsum() / np.arange(1, count)
        found.append((right[0], right[:10].mean(), at_each[right].mean()))
    return [float(mean) for mean in np.mean(found, axis=0)]


def test_each_order_is_measured_as_by_hand(photos: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "QUERIES", ROWS)
    found = photos.evaluate(queries=ROWS).orders
    assert [order.name for order in found] == ["cosine", "refined"]
    for order, refine in zip(found, (False, True), strict=True):
        numbers = [order.precision_at_1, order.precision_at_10, order.mean_average_precision]
        assert numbers == pytest.approx(_by_hand(photos, refine=refine))
        assert order.copies_first is None  # there are no files
    assert found[0].mean_average_precision != found[1].mean_average_precision


def test_the_average_is_of_the_best_that_a_thousand_matches_can_be(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "QUERIES", ROWS)
    monkeypatch.setattr(orders, "DEEP", 5)
    averages = []
    for image in photos.images(limit=ROWS):
        right = [match.label == image.label for match in photos.search_id(image.id, k=5)]
        averages.append(sum(sum(right[: rank + 1]) / (rank + 1) for rank in range(5) if right[rank]) / 5)
    assert photos.evaluate(queries=ROWS).orders[0].mean_average_precision == pytest.approx(np.mean(averages))


def test_copies_are_searched_for_with_the_collections_own_encoder(tmp_path: Path) -> None:
    demo.write_gallery(tmp_path / "gallery", per_kind=4)
    with lookalike.create(tmp_path / "gallery", directory=tmp_path / "collection") as collection:
        collection.add(tmp_path / "gallery")
        firsts = []
        for image in collection.images(limit=200):
            copies = edited_copies(image.path.read_bytes())
            assert len(copies) == 4
            for copy in copies:
                [match] = collection.search(copy, k=1)
                firsts.append(match.id == image.id)
        [cosine, refined] = collection.evaluate().orders
        assert cosine.copies_first == pytest.approx(np.mean(firsts), abs=0.02)  # pictures that are drawn twice
        assert refined.copies_first is not None
        next(iter(tmp_path.glob("gallery/**/*.jpg"))).unlink()  # is left out, and nothing else
        assert collection.evaluate().orders[0].copies_first == pytest.approx(cosine.copies_first, abs=0.05)


@pytest.mark.parametrize(
    ("kinds", "copies", "expected"),
    [
        (0.6, 0.9, ["For things of a kind, the refined order is better (--refine): mAP +0.100.", "cosine is better"]),
        (0.5, 0.985, ["both orders are as good", "both orders are as good"]),
        (0.4, 1.0, ["the order by cosine is better: mAP -0.100", "the refined order is better"]),
        (None, 0.5, ["For copies of one picture, the order by cosine is better: copy first -0.480."]),
        (0.5, None, ["For things of a kind"]),
        (None, None, []),
    ],
)
def test_what_is_better_is_said_in_words(kinds: float | None, copies: float | None, expected: list[str]) -> None:
    cosine = OrderQuality("cosine", mean_average_precision=0.5, copies_first=0.98)
    said = order_advice([cosine, OrderQuality("refined", mean_average_precision=kinds, copies_first=copies)])
    assert len(said) == len(expected)
    assert all(part in sentence for part, sentence in zip(expected, said, strict=True))
    assert order_advice([cosine]) == order_advice([]) == []


def test_what_was_found_is_kept_until_it_is_damaged(photos: Collection) -> None:
    assert photos.info().orders is None
    found = photos.evaluate()
    compared = photos.info().orders
    assert compared is not None
    assert (compared.orders, compared.images) == (found.orders, ROWS)
    assert abs((datetime.now(UTC) - compared.date).total_seconds()) < 60
    path = photos.directory / "orders.json"
    facts = json.loads(path.read_text())
    for damaged in (
        b"",
        b"{}",
        b"[" * 5000,
        json.dumps({**facts, "images": True}).encode(),
        json.dumps({**facts, "date": 5}).encode(),
        json.dumps({**facts, "orders": [{**facts["orders"][0], "name": "another"}]}).encode(),
        json.dumps({**facts, "orders": [{**facts["orders"][0], "precision_at_1": "1"}]}).encode(),
        json.dumps({**facts, "orders": [{"name": "cosine"}]}).encode(),
        json.dumps(facts).replace("null", "NaN").encode(),
        json.dumps(facts).encode() + b" " * 20_000,
    ):
        path.write_bytes(damaged)
        assert photos.info().orders is None
    assert photos.check() == []
    path.unlink()
    path.mkdir()  # nothing can be kept there, and nothing is lost
    assert len(photos.evaluate().orders) == 2
    assert photos.info().orders is None
