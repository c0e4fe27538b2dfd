"""A collection that an earlier version made opens, gives the same answers, and can be written to.

tests/fixtures holds the collection's directory and the answers of the version that made it. Its images are drawn anew.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lookalike
from lookalike import Between, Collection, Match, Where
from lookalike.demo import write_gallery
from tests.support.project import ROOT

FIXTURES = ROOT / "tests" / "fixtures"
ANSWERS = json.loads((FIXTURES / "collection-0.1.0-answers.json").read_text())
AT_HOME = Where(attributes={"place": "home", "year": Between(2005, None)})


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery") / "photos"
    write_gallery(folder, per_kind=2)
    return folder


@pytest.fixture
def photos(gallery: Path, tmp_path: Path) -> Iterator[Collection]:
    folder = tmp_path / "photos"
    shutil.copytree(gallery, folder)
    shutil.copytree(FIXTURES / "collection-0.1.0", folder / ".lookalike")
    with lookalike.open(folder) as collection:
        yield collection


def assert_same(matches: Sequence[Match], answer: Sequence[Sequence[Any]]) -> None:
    found = [[each.id, each.key, each.label, each.width, each.height, dict(each.attributes)] for each in matches]
    assert found == [[*fields[:2], *fields[3:]] for fields in answer]
    np.testing.assert_allclose([each.score for each in matches], [fields[2] for fields in answer], atol=1.5e-4)


def test_nothing_of_it_is_damaged_and_its_index_serves(photos: Collection) -> None:
    index = photos.info().index
    assert photos.check() == []
    assert index is not None
    assert (index.spec, index.target_recall, index.asked_spec, index.rows) == ("IVF2,SQ8", 0.85, "IVF2,SQ8", 23)
    assert index.chosen is not None
    assert photos._snapshots.index_card() == index


@pytest.mark.parametrize("image_id", ANSWERS["ids"])
def test_it_gives_the_same_answers_by_id(photos: Collection, image_id: int) -> None:
    assert_same(photos.search_id(image_id, k=5), ANSWERS["search_id"][str(image_id)])


def test_it_gives_the_same_answers_exactly_filtered_and_by_vector(photos: Collection) -> None:
    assert_same(photos.search_id(2, k=100, exact=True), ANSWERS["exact"])
    assert_same(photos.search_id(2, k=100, where=AT_HOME), ANSWERS["filtered"])
    assert_same(photos.search_vector(np.cos(np.arange(1280)), k=5), ANSWERS["vector"])


def test_its_model_still_makes_the_same_vectors(photos: Collection) -> None:
    """The images are drawn anew, and JPEG files may differ a little between versions of Pillow."""
    for image_id, key, *_ in ANSWERS["exact"][:6]:
        best = photos.search(photos.folder / key, k=1)[0]
        assert (best.id, best.score > 0.99) == (image_id, True)


def test_it_can_be_brought_up_to_date_and_built_anew(photos: Collection) -> None:
    """The image that was removed comes back; all others keep their ids, labels and attributes."""
    report = photos.add(photos.folder, threads=1)
    assert (report.added, report.missing, report.unchanged, report.skipped) == (1, 0, 23, ())
    assert len(photos) == 24
    built = photos.build(spec="IVF2,SQ8", recall=0.85)
    assert built is not None
    assert built.rows == photos.info().vectors
    known = {match.id: dict(match.attributes) for match in photos.search_id(1, k=100)}
    for image_id, _, _, _, _, _, attributes in ANSWERS["exact"]:
        assert known.get(image_id, attributes) == attributes
    assert photos.check() == []
