"""The probability of a match: kept beside the vectors, told where it holds, and dropped where it does not."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookalike import Collection, Term
from lookalike.search.options import SearchOptions
from lookalike.search.probability import CopyCurve, FittedCurves
from tests.support.kinds import DIM, drawn, keys, kinds
from tests.support.vector_collections import drop, put, reopened

COUNT = 300


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("kinds") / "photos"
    with kinds(folder, COUNT) as collection:
        collection.evaluate()
        yield folder


@pytest.fixture
def photos(evaluated: Path, tmp_path: Path) -> Iterator[Collection]:
    """A collection that has been evaluated, for tests that change it."""
    with kinds(tmp_path / "photos", COUNT) as collection:
        shutil.copy(evaluated / ".lookalike" / "probability.json", collection.directory)
        yield collection


def told(collection: Collection) -> list[float | None]:
    return [match.probability for match in collection.search_id(1, k=20)]


def test_all_searches_tell_the_same_of_an_image(photos: Collection) -> None:
    vector = photos._searcher.vector_of(1)
    of_each = {match.id: match.probability for match in photos.search_id(1, k=COUNT)}
    assert None not in of_each.values()
    for found in (
        photos.search_vector(vector, k=COUNT),
        photos.search_vector(vector, k=5, refine=True),
        photos.search_terms([Term(id=1)], k=3),
        photos._searcher.by_vectors(vector, SearchOptions(4))[0],
    ):
        assert {match.id: match.probability for match in found if match.id != 1} == pytest.approx(
            {match.id: of_each[match.id] for match in found if match.id != 1}
        )


def test_what_is_nearer_is_more_probable(photos: Collection) -> None:
    found = photos.search_id(3, k=COUNT)
    near = sorted(found, key=lambda match: match.expected or 0)
    probable = [match.probability or 0 for match in near]
    assert probable == sorted(probable, reverse=True)


def test_only_one_image_has_probabilities_and_only_what_has_a_label(photos: Collection) -> None:
    query = photos._searcher.vector_of(1)
    put(photos, query, ["bare.jpg"])
    found = photos.search_vector(query, k=6)
    assert {match.key for match in found if match.probability is None} == {"bare.jpg"}
    for terms in ([Term(id=1), Term(id=2)], [Term(id=1), Term(id=2, weight=-0.5)]):
        assert {match.probability for match in photos.search_terms(terms)} == {None}


def test_a_curve_is_told_until_many_images_have_come_or_gone(photos: Collection) -> None:
    vectors, found = drawn(100, 5)
    names = keys(found, first=1000)
    assert not photos.info().is_probability_outdated
    put(photos, vectors[:60], names[:60])
    assert None not in told(photos)
    put(photos, vectors[60:], names[60:])
    assert set(told(photos)) == {None}
    info = photos.info()
    assert info.is_probability_outdated
    assert info.probability is not None
    drop(photos, names)
    assert None not in told(photos)
    drop(photos, [image.key for image in photos.images(limit=61)])
    assert {match.probability for match in photos.search_vector(vectors[0])} == {None}
    photos.evaluate()
    assert None not in {match.probability for match in photos.search_vector(vectors[0])}
    assert not photos.info().is_probability_outdated


def test_every_open_collection_sees_an_evaluation(photos: Collection) -> None:
    (photos.directory / "probability.json").unlink()
    with reopened(photos) as other:
        assert set(told(other)) == {None}
        photos.evaluate()
        assert told(other) == told(photos)
        assert None not in told(other)


def test_what_is_kept_is_what_was_found(photos: Collection) -> None:
    measured = photos.evaluate().calibration
    kept = photos.info().probability
    assert measured is not None
    assert kept is not None
    assert (kept.curve, kept.error, kept.queries) == (measured.curve, measured.error, measured.queries)
    assert (kept.vectors, kept.fingerprint) == (COUNT, photos.made_by.fingerprint)
    photos._curves.keep(FittedCurves())
    assert photos.info().probability is None
    assert not (photos.directory / "probability.json").exists()


def test_a_file_that_is_damaged_or_of_another_model_is_as_good_as_none(photos: Collection) -> None:
    path = photos.directory / "probability.json"
    facts = json.loads(path.read_text())
    curve = facts["curve"]
    many = {"relatives": 0, "evidence": list(range(201)), "probability": np.linspace(0.1, 0.9, 201).tolist()}
    curves = [
        {},
        {**curve, "relatives": 1.5},
        {**curve, "evidence": curve["evidence"][:-1]},
        {**curve, "evidence": curve["evidence"][::-1]},
        {**curve, "probability": curve["probability"][::-1]},
        {**curve, "probability": [*curve["probability"][:-1], 1.5]},
        {**curve, "probability": [-0.1, *curve["probability"][1:]]},
        {**curve, "probability": [True, *curve["probability"][1:]]},
        {"relatives": 0, "evidence": [], "probability": []},
        many,
    ]
    damaged = [{**facts, "curve": each} for each in curves]
    others = ({"vectors": 0}, {"vectors": 1.5}, {"queries": None}, {"error": 2}, {"fingerprint": 5}, {"date": 5})
    damaged += [{**facts, **each} for each in (*others, {"fingerprint": "another"})]
    texts = [json.dumps(each) for each in damaged]
    texts += [
        "",
        "{}",
        "[" * 5000,
        json.dumps(facts).replace(str(facts["error"]), "NaN"),
        json.dumps(facts) + " " * 60_000,
    ]
    for text in texts:
        path.write_text(text)
        assert set(told(photos)) == {None}, text[:300]
        assert photos.info().probability is None
    path.write_text(json.dumps(facts))
    assert None not in told(photos)
    assert photos.check() == []


def test_a_link_or_a_directory_in_its_place_is_not_followed(photos: Collection, tmp_path: Path) -> None:
    path = photos.directory / "probability.json"
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    assert set(told(photos)) == {None}
    path.unlink()
    path.mkdir()
    assert set(told(photos)) == {None}
    assert photos.evaluate().calibration is not None  # nothing can be kept there, and nothing is lost
    assert set(told(photos)) == {None}
    assert (tmp_path / "elsewhere.json").exists()


def test_a_match_can_be_compared_and_replaced(photos: Collection) -> None:
    first = photos.search_id(1, k=1)[0]
    assert first.probability is not None
    assert replace(first, probability=None) != first
    assert photos.made_by.dim == DIM


def test_a_file_of_an_earlier_version_tells_of_labels_only(photos: Collection) -> None:
    """It has no member `copies`; one that is damaged there, or in the rest, tells what it can."""
    path = photos.directory / "probability.json"
    facts = json.loads(path.read_text())
    assert "copies" not in facts  # the images have no files, of which no copies can be made
    found = [match.probability for match in photos.search_id(1)]
    assert {match.copy_probability for match in photos.search_id(1)} == {None}
    curve = {"evidence": [-5.0, 0.0, 5.0], "probability": [0.01, 0.2, 0.95]}
    copies = {**facts, "curve": curve}
    path.write_text(json.dumps({**facts, "copies": copies}))
    matches = photos.search_id(1)
    assert [match.probability for match in matches] == found
    for match in matches:
        assert match.expected is not None
        wanted = np.interp(-np.log(match.expected), curve["evidence"], curve["probability"])
        assert match.copy_probability == pytest.approx(wanted)
    for damaged in ({}, 5, None, {**copies, "curve": {}}, {**copies, "queries": 0}, {**copies, "fingerprint": "other"}):
        path.write_text(json.dumps({**facts, "copies": damaged}))
        assert [match.probability for match in photos.search_id(1)] == found
        assert {match.copy_probability for match in photos.search_id(1)} == {None}
    path.write_text(json.dumps({"copies": copies}))
    assert {match.probability for match in photos.search_id(1)} == {None}
    assert None not in {match.copy_probability for match in photos.search_id(1)}
    assert photos.info().copy_probability is not None
    for terms in ([Term(id=1), Term(id=2)], [Term(id=1), Term(id=2, weight=-0.5)]):
        assert {match.copy_probability for match in photos.search_terms(terms)} == {None}


def test_curves_of_labels_and_of_copies_are_kept_beside_one_another(photos: Collection) -> None:
    labels = photos.info().probability
    assert labels is not None
    copies = replace(labels, curve=CopyCurve((0.0, 2.0), (0.25, 0.75)), queries=8)
    for curves in (FittedCurves(labels, copies), FittedCurves(None, copies), FittedCurves(labels)):
        photos._curves.keep(curves)
        info = photos.info()
        assert (info.probability, info.copy_probability) == (curves.labels, curves.copies)
