"""Probabilities of copies: rates that are known, copies that are held out, and copies that are there already."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

import lookalike
from lookalike import Collection
from lookalike.evaluation import calibration, copy_calibration, orders
from lookalike.evaluation.calibration import Asked, calibration_bins, calibration_error
from lookalike.evaluation.copied_images import Copied, CopiedImages
from lookalike.evaluation.copy_calibration import FEWEST, IsCopy
from lookalike.evaluation.edits import edited_copies
from lookalike.evaluation.results import Calibration
from lookalike.search.chance import Judged
from lookalike.search.probability import CopyCurve, FittedCurve, FittedCurves, beyond_chance
from lookalike.storage.vectors import Vectors, unit
from tests.support.crowds import DIM, directions
from tests.support.edited_pictures import scene
from tests.support.pictures import ColourEncoder
from tests.support.vector_collections import create, put

COUNT, SPREAD = 400, 0.12
NONE: IsCopy = lambda _copied, _id: False  # noqa: E731


def copies_of(vectors: Vectors, seed: int) -> Vectors:
    """Vectors near others, as of edited copies: some so near that nothing else is, some not."""
    random = np.random.default_rng(seed)
    return unit(vectors + random.uniform(0.3, 3, (len(vectors), 1)) * SPREAD * random.normal(size=vectors.shape))


def copied(vectors: Vectors, ids: Sequence[int], start: int = 30_000) -> list[Copied]:
    """Four copies of each image."""
    return [
        Copied(
            number,
            b"",
            [copies_of(vectors[number - 1 : number], start + 4 * number + i) for i in range(4)],
            b"",
        )
        for number in ids
    ]


def measured(collection: Collection, found: Sequence[Copied], is_copy: IsCopy = NONE) -> Calibration | None:
    with collection._snapshots.current() as snapshot:
        rows = {image_id: row for image_id, row, _ in snapshot.catalog.live_images()}
        return copy_calibration.measure(snapshot, rows, found, is_copy, lambda: None)


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    return directions(COUNT, seed=1)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory, vectors: Vectors) -> Iterator[Collection]:
    with create(tmp_path_factory.mktemp("crowd") / "photos", DIM) as collection:
        put(collection, vectors, [f"{number}.jpg" for number in range(COUNT)])
        yield collection


def test_probabilities_hold_for_copies_that_were_held_out(crowd: Collection, vectors: Vectors) -> None:
    """Of other images, and of images that are not there; half of the queries have their original."""
    found = measured(crowd, copied(vectors, range(1, 201)))
    assert found is not None
    assert found.queries == 2 * 4 * 200
    assert found.error < 0.06
    assert found.auroc is not None
    assert found.auroc > 0.8
    assert sum(each.matches for each in found.bins) == found.queries
    fitted = calibration.fitted(found, crowd.made_by.fingerprint)
    crowd._curves.keep(FittedCurves(copies=fitted))
    told, right = [], []
    others = directions(200, seed=5)
    for number, query in enumerate(np.concatenate([copies_of(vectors[200:], 6), copies_of(others, 7)])):
        [match] = crowd.search_vector(query, k=1)
        assert match.copy_probability is not None
        told.append(match.copy_probability)
        right.append(match.id == number + 201)
    assert calibration_error(calibration_bins(np.array(told), np.array(right))) < 0.08
    assert 0 < min(told) < 0.2 < 0.9 < max(told) < 1


def test_what_is_further_beyond_chance_is_rather_a_copy(crowd: Collection, vectors: Vectors) -> None:
    crowd._curves.keep(
        FittedCurves(copies=calibration.fitted(measured(crowd, copied(vectors, range(1, 60))), "91fe0001"))
    )
    found = crowd.search_id(7, k=50)
    told = [match.copy_probability or 0 for match in sorted(found, key=lambda match: -(match.expected or 0))]
    assert told == sorted(told)
    assert {match.probability for match in found} == {None}  # nothing has been learned of labels


def test_copies_that_are_there_already_count_neither_way(tmp_path: Path, vectors: Vectors) -> None:
    """With another copy of each image there, those are told as surely as if they were not there; not if they count."""
    again = unit(vectors + 0.03 * np.random.default_rng(9).normal(size=vectors.shape))
    with create(tmp_path / "twice", DIM) as collection:
        put(collection, np.concatenate([vectors, again]), [f"{number}.jpg" for number in range(2 * COUNT)])
        mine = copied(vectors, range(1, 60))
        asked: list[tuple[int, int]] = []

        def is_copy(one: Copied, other: int) -> bool:
            asked.append((one.image_id, other))
            return other == one.image_id + COUNT

        known, counted = measured(collection, mine, is_copy), measured(collection, mine)
        assert known is not None
        assert counted is not None
        assert known.curve.probability[-1] > 0.95
        assert counted.curve.probability[-1] < 0.8
        assert len(asked) == len(set(asked))  # each pair is compared once
        assert all(one != other for one, other in asked)


def test_few_images_tell_nothing(crowd: Collection, vectors: Vectors, tmp_path: Path) -> None:
    few = copied(vectors, range(1, FEWEST + 1))
    assert measured(crowd, few) is not None
    assert measured(crowd, few[1:]) is None
    with create(tmp_path / "small", DIM) as collection:  # of so few, nobody can tell what is near by chance
        put(collection, vectors[:60], [f"{number}.jpg" for number in range(60)])
        assert measured(collection, few) is None


def test_known_rates_are_found() -> None:
    def drawn(seed: int) -> list[Asked]:
        random = np.random.default_rng(seed)
        beyond = np.sort(random.uniform(-3, 3, (800, 100)))[:, ::-1]
        rights = random.random(beyond.shape) < 1 / (1 + np.exp(-beyond))
        pairs = zip(beyond, rights, strict=True)
        return [Asked(Judged(np.exp(-each), each, 0.0), each, right) for each, right in pairs]

    found = calibration.calibration(drawn(1), 1000, calibration.fit_copies, shown=1)
    held_out = drawn(2)
    told = np.concatenate([found.curve.of(each.near)[:10] for each in held_out])
    bins = calibration_bins(told, np.concatenate([each.is_right[:10] for each in held_out]))
    assert calibration_error(bins) < 0.03
    assert beyond_chance(held_out[0].near) == pytest.approx(held_out[0].scores)
    assert beyond_chance(Judged(np.zeros(1), np.ones(1), 0.0)) == pytest.approx(-np.log(1e-12))
    assert dataclasses.asdict(found.curve).keys() == {"evidence", "probability"}


def test_queries_of_one_image_are_held_out_together() -> None:
    evidence = np.linspace(-3, 3, 240)
    asked = [Asked(Judged(np.exp(-each), each, 0.0), each, each > 0) for each in evidence[:, None]]
    groups = np.arange(240) // 6
    group_of = {id(each): group for each, group in zip(asked, groups.tolist(), strict=True)}
    taught = []

    def fit(queries: Sequence[Asked]) -> CopyCurve:
        taught.append([group_of[id(each)] for each in queries])
        return calibration.fit_copies(queries)

    calibration.calibration(asked, 1000, fit, groups, shown=1)
    first, second, whole = taught
    assert set(first).isdisjoint(second)
    assert sorted(first + second) == sorted(whole) == groups.tolist()


# Files


def test_whether_an_image_is_a_copy_is_seen_by_their_pictures(tmp_path: Path) -> None:
    ImageOps.mirror(scene(1)).save(tmp_path / "mirrored.jpg")
    files = dict(enumerate([scene(1), scene(2)]))
    for number, image in files.items():
        image.save(tmp_path / f"{number}.png")
    data = [path.read_bytes() for path in sorted(tmp_path.iterdir())] + [b"no image"]
    encoder = ColourEncoder()
    images = CopiedImages(data.__getitem__, lambda image: encoder.encode(np.asarray(image.resize((8, 8)))[None]))
    found = images.of(0)
    assert found is not None
    assert found.sha256 == hashlib.sha256(data[0]).digest()
    assert [images.is_copy(found, number) for number in (0, 1, 2, 3)] == [True, False, True, False]
    assert len(found.vectors) == len(edited_copies(data[0]))
    assert images.of(3) is None


def test_evaluate_keeps_what_it_learns_of_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "COPIED", 24)
    random = np.random.default_rng(3)
    for number in range(120):
        pixels = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number:03}.png")
    with lookalike.create(tmp_path, encoder=ColourEncoder()) as collection:
        collection.add(tmp_path)
        steps: list[tuple[int, int]] = []
        evaluation = collection.evaluate(progress=lambda *done: steps.append(done))
        assert steps[-1][0] == steps[-1][1]
        assert evaluation.calibration is None  # there are no labels
        assert evaluation.copy_calibration is not None
        assert evaluation.copy_calibration.queries == 2 * 4 * 24
        told = collection.info().copy_probability
        assert isinstance(told, FittedCurve)
        assert isinstance(told.curve, CopyCurve)
        assert (told.curve, told.queries) == (evaluation.copy_calibration.curve, evaluation.copy_calibration.queries)
        assert None not in {match.copy_probability for match in collection.search(tmp_path / "005.png")}
        for path in list(tmp_path.glob("*.png"))[:110]:
            path.unlink()
        few = collection.evaluate(progress=lambda *done: steps.append(done))
        assert few.copy_calibration is None  # too few can be edited
        assert steps[-1][0] == steps[-1][1]
        assert collection.info().copy_probability is None
