"""What shards are: which collections, with which ids and keys, and what happens when one of them is gone or damaged."""

import inspect
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import lookalike
from lookalike import Collection, ShardedCollection, Where
from lookalike.cluster.numbering import parts_of
from lookalike.errors import (
    CollectionError,
    CorruptError,
    IncompatibleError,
    NoCollectionError,
    NoImageError,
    UsageError,
)
from lookalike.storage import layout
from tests.support.pictures import ColourEncoder, draw

YEARS = ("2020", "2021", "2022")


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A directory of three collections, each in the folder of its images."""
    big = tmp_path.resolve() / "big"
    for place, year in enumerate(YEARS):
        for seed in range(6):
            draw(big / year / ("cats", "dogs")[seed % 2] / f"{seed}.png", 10 * place + seed)
        with lookalike.create(big / year, encoder=ColourEncoder()) as shard:
            shard.add(big / year)
    return big


@pytest.fixture
def photos(big: Path) -> Iterator[ShardedCollection]:
    with lookalike.combine(big, encoder=ColourEncoder()) as photos:
        yield photos


def opened(big: Path, *, partial: bool = False) -> ShardedCollection:
    return cast("ShardedCollection", lookalike.open(big, encoder=ColourEncoder(), partial=partial))


def ids(photos: ShardedCollection) -> dict[str, int]:
    return {image.key: image.id for image in photos.images(limit=1000)}


def rewrite(big: Path, **changed: Any) -> None:
    """Changes members of the manifest."""
    path = big / layout.SHARDS
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def test_an_image_is_found_by_its_path_in_whichever_shard(photos: ShardedCollection, big: Path) -> None:
    for year in YEARS:
        path = big / year / "cats/2.png"
        first = photos.search(path, k=3)[0]
        assert (first.key, first.path, first.label, first.is_query) == (f"{year}/cats/2.png", path, "cats", True)
        assert first.score == pytest.approx(1, abs=1e-3)
        assert photos.original(first.id).data == path.read_bytes()
        assert photos.search_id(first.id, k=20)[0].id != first.id


def test_many_queries_and_terms_go_over_all_shards(photos: ShardedCollection, big: Path) -> None:
    paths = [big / year / "dogs/1.png" for year in YEARS]
    assert [matches[0].path for matches in photos.search_many(paths, k=2)] == paths
    own = [photos.search(path, k=1)[0].id for path in paths]
    left = photos.search_terms([lookalike.Term(id=each) for each in own], k=100)
    assert len(left) == 18 - 3


@pytest.mark.parametrize(
    ("under", "count"), [("", 18), ("2021", 6), ("2021/", 6), ("2021/cats", 3), ("202", 0), ("2021/cats/2.png", 0)]
)
def test_a_folder_of_the_whole_is_one_of_a_shard(photos: ShardedCollection, big: Path, under: str, count: int) -> None:
    where = Where(under=under)
    assert photos.count(where) == count
    found = photos.search(big / "2021/cats/2.png", k=100, where=where)
    assert {match.key for match in found} == {image.key for image in photos.images(where=where)}
    assert len(found) == count


def test_folders_are_counted_under_the_keys_of_the_whole(photos: ShardedCollection) -> None:
    assert {each.value: each.images for each in photos.facets().folders} == {
        f"{year}/{folder}": 3 for year in YEARS for folder in ("cats", "dogs")
    }


def test_ids_stay_when_shards_come_and_go(photos: ShardedCollection, big: Path) -> None:
    before = ids(photos)
    assert len(set(before.values())) == 18
    draw(big / "1999" / "cats" / "0.png", 77)
    with lookalike.create(big / "1999", encoder=ColourEncoder()) as shard:
        shard.add(big / "1999")
    with lookalike.combine(big, encoder=ColourEncoder()) as more:
        assert more.shard_names[0] == "1999/.lookalike"
        assert before.items() < ids(more).items()
    without = [big / year for year in ("2020", "2022")]
    with lookalike.combine(big, without, encoder=ColourEncoder()) as fewer:
        assert ids(fewer).items() == {key: id_ for key, id_ in before.items() if not key.startswith("2021")}.items()
    with lookalike.combine(big, [*without, big / "1999", big / "2021"], encoder=ColourEncoder()) as again:
        numbers = {parts_of(id_)[0] for key, id_ in ids(again).items() if key.startswith("2021")}
        assert numbers == {5}  # a shard that had left is a new one, and nothing has an id that another one had


def test_directory_and_folder_can_be_moved_together(photos: ShardedCollection, big: Path) -> None:
    before = ids(photos)
    photos.close()
    moved = big.rename(big.parent / "moved")
    with opened(moved) as there:
        assert ids(there) == before
        assert there.search(moved / "2022/dogs/3.png", k=1)[0].path == moved / "2022/dogs/3.png"


def test_a_shard_is_still_a_collection_of_its_own(photos: ShardedCollection, big: Path) -> None:
    with lookalike.open(big / "2021", encoder=ColourEncoder()) as shard:
        assert type(shard) is Collection
        assert shard.search(big / "2021/cats/4.png", k=1)[0].key == "cats/4.png"
    assert type(photos) is ShardedCollection


def test_files_are_added_to_the_shard_that_they_belong_to(photos: ShardedCollection, big: Path) -> None:
    draw(big / "2021/cats/new.png", 55)
    assert photos.add(big / "2021/cats/new.png").added == 1
    assert photos.search(big / "2021/cats/new.png", k=1)[0].key == "2021/cats/new.png"
    draw(big / "2022/cats/newer.png", 56)
    draw(big / "2020/cats/newer.png", 57)
    report = photos.update()
    assert (report.added, report.unchanged) == (2, 19)
    with pytest.raises(UsageError, match="holds the folders of 3 shards"):
        photos.add(big)


def test_a_folder_from_elsewhere_goes_to_the_smallest_shard(photos: ShardedCollection, tmp_path: Path) -> None:
    photos.remove(["2022/cats"])
    elsewhere = tmp_path.resolve() / "elsewhere"
    draw(elsewhere / "a.png", 91)
    assert photos.add(elsewhere).added == 1
    found = photos.search(elsewhere / "a.png", k=1)[0]
    assert (found.key, found.path) == (str(elsewhere / "a.png"), elsewhere / "a.png")
    assert parts_of(found.id)[0] == 2
    assert photos.add(elsewhere).unchanged == 1


@pytest.mark.parametrize(
    ("names", "count"),
    [(["2021/cats/2.png"], 1), (["2021/cats", "2020/dogs/1.png"], 4), (["2022"], 6), (["nothing"], 0)],
)
def test_images_and_folders_are_removed_by_path_or_key(
    photos: ShardedCollection, big: Path, names: list[str], count: int
) -> None:
    assert photos.named(names) == photos.named([big / name for name in names]) == count
    assert photos.remove([big / name for name in names[:1]] + names[1:]) == count  # type: ignore[operator]
    assert len(photos) == 18 - count


def test_an_image_is_put_and_deleted(photos: ShardedCollection, big: Path) -> None:
    drawn = draw(big.parent / "drawn.png", 60)
    put = photos.put("2021/birds/new.png", drawn.read_bytes() if drawn else (big.parent / "drawn.png").read_bytes())
    assert (put.key, put.label, put.path) == ("2021/birds/new.png", "birds", big / "2021/birds/new.png")
    assert photos.search_id(put.id, k=1)
    photos.delete(put.id, file=True)
    assert not (big / "2021/birds/new.png").exists()
    with pytest.raises(NoImageError):
        photos.image(put.id)
    with pytest.raises(UsageError, match="in the folder of no shard"):
        photos.put("1999/new.png", b"")


# Shards that cannot be used


def damage_gone(shard: Path) -> None:
    shutil.rmtree(shard)


def damage_manifest(shard: Path) -> None:
    (shard / layout.MANIFEST).write_text("{")


def damage_catalog(shard: Path) -> None:
    (shard / layout.CATALOG).write_bytes(b"no database" * 500)


@pytest.mark.parametrize("damage", [damage_gone, damage_manifest, damage_catalog])
def test_a_shard_that_cannot_be_used_is_named(big: Path, photos: ShardedCollection, damage: Any) -> None:
    query, name = big / "2020/cats/2.png", "2021/.lookalike"
    photos.close()
    damage(big / name)
    with pytest.raises(CollectionError, match=rf"shard {name}: "):
        opened(big)
    with opened(big, partial=True) as rest:
        found = rest.search(query, k=100)
        assert (found.partial, found.missing_shards) == (True, (name,))
        assert found[:3].missing_shards == (name,)
        assert {match.key[:4] for match in found} == {"2020", "2022"}
        assert [each.problem is None for each in rest.info().shards] == [True, False, True]
        assert any(name in sentence for sentence in rest.check())
        with pytest.raises(CollectionError, match="in a shard that is missing"):
            rest.image(2**32 + 1)


def test_nothing_is_missing_where_nothing_is(photos: ShardedCollection, big: Path) -> None:
    found = opened(big, partial=True).search(big / "2020/cats/2.png")
    assert (found.partial, found.missing_shards) == (False, ())
    assert photos.check() == []


@pytest.mark.parametrize("where", [None, Where(label="cats")])
def test_a_shard_that_goes_away_while_it_is_open_is_noticed(big: Path, where: Where | None) -> None:
    query = big / "2020/cats/2.png"
    with lookalike.combine(big, encoder=ColourEncoder()) as photos, opened(big, partial=True) as rest:
        for collection in (photos, rest):
            assert len(collection.search(query, k=100, where=where)) in (9, 18)
        (big / "2021/.lookalike").rename(big / "away")
        with pytest.raises(CollectionError, match=r"2021/\.lookalike"):
            photos.search(query, k=100, where=where)
        found = rest.search(query, k=100, where=where)
        assert found.missing_shards == ("2021/.lookalike",)
        assert {match.key[:4] for match in found} == {"2020", "2022"}


def test_all_shards_gone_is_an_error_even_if_some_may_be(big: Path, photos: ShardedCollection) -> None:
    photos.close()
    for year in YEARS:
        shutil.rmtree(big / year)
    with pytest.raises(CollectionError, match="shard 2020"):
        opened(big, partial=True)


def test_a_shard_of_another_model_is_refused(big: Path, photos: ShardedCollection) -> None:
    photos.close()
    shutil.rmtree(big / "2021/.lookalike")
    lookalike.create(big / "2021", encoder=ColourEncoder("07e40000")).close()
    with pytest.raises(IncompatibleError, match=r"2021/\.lookalike"):
        opened(big)
    with pytest.raises(IncompatibleError, match="2021"):
        lookalike.combine(big, encoder=ColourEncoder())


# Manifests


@pytest.mark.parametrize("name", ["../other/.lookalike", "/etc", "2020/../../other", "", ".", "2020//.lookalike", 7])
def test_a_manifest_cannot_lead_out_of_its_directory(big: Path, photos: ShardedCollection, name: object) -> None:
    shutil.copytree(big / "2020", big.parent / "other")
    rewrite(big, shards=[{"number": 0, "name": name}])
    with pytest.raises(CorruptError, match=r"shards\.json"):
        opened(big)
    assert not photos.is_current()


def test_a_link_is_not_followed_out_of_the_directory(big: Path, photos: ShardedCollection) -> None:
    photos.close()
    (big / "2020").rename(big.parent / "other")
    (big / "2020").symlink_to(big.parent / "other")
    with pytest.raises(CorruptError, match="a link leads out"):
        opened(big)


@pytest.mark.parametrize(
    "changed",
    [
        {"shards": []},
        {"shards": [{"number": 0, "name": "2020/.lookalike"}, {"number": 0, "name": "2021/.lookalike"}]},
        {"shards": [{"number": 0, "name": "2020/.lookalike"}, {"number": 1, "name": "2020/.lookalike"}]},
        {"shards": [{"number": 2**21, "name": "2020/.lookalike"}], "next": 2**21 + 1},
        {"shards": [{"number": 5, "name": "2020/.lookalike"}], "next": 5},
        {"shards": {"number": 0}},
        {"next": True},
        {"dim": 0},
        {"folder": "a/../b"},
        {"format": "1"},
    ],
)
def test_a_damaged_manifest_is_refused(big: Path, photos: ShardedCollection, changed: dict[str, Any]) -> None:
    photos.close()
    rewrite(big, **changed)
    with pytest.raises(CorruptError, match=r"shards\.json: the file is damaged"):
        opened(big)


def test_a_manifest_that_is_no_file_is_refused(big: Path, photos: ShardedCollection) -> None:
    photos.close()
    (big / layout.SHARDS).unlink()
    os.mkfifo(big / layout.SHARDS)
    with pytest.raises(CorruptError, match=r"shards\.json"):
        opened(big)


def test_a_newer_format_asks_for_an_upgrade(big: Path, photos: ShardedCollection) -> None:
    photos.close()
    rewrite(big, format=2)
    with pytest.raises(IncompatibleError, match="upgrade Lookalike"):
        opened(big)


def test_only_collections_in_the_directory_are_combined(big: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    lookalike.create(elsewhere, encoder=ColourEncoder()).close()
    for given, match in (([elsewhere], "not in"), ([big / "2020", big / "2020"], "twice")):
        with pytest.raises(UsageError, match=match):
            lookalike.combine(big, given, encoder=ColourEncoder())
    with pytest.raises(UsageError, match="a collection, which cannot"):
        lookalike.combine(elsewhere, encoder=ColourEncoder())
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoCollectionError):
        lookalike.combine(tmp_path / "empty")


# The same methods


def test_it_has_the_methods_of_a_collection_with_the_same_parameters(photos: ShardedCollection) -> None:
    """`lookalike.open` promises it: what is written for a collection works with many, or is told what does not."""
    for name, method in inspect.getmembers(Collection, inspect.isfunction):
        if name.startswith("_"):
            continue
        own = getattr(ShardedCollection, name, None)
        if own is None:
            with pytest.raises(UsageError, match=f"{name}: a sharded collection cannot"):
                getattr(photos, name)
            continue
        theirs, ours = (inspect.signature(each).parameters for each in (method, own))
        assert set(ours) <= set(theirs), name
        assert set(theirs) - set(ours) <= {"take_over"}, name


def test_what_no_collection_has_is_an_attribute_error(photos: ShardedCollection) -> None:
    assert not hasattr(photos, "colour")


def test_it_can_be_pickled(photos: ShardedCollection, big: Path) -> None:
    with pickle.loads(pickle.dumps(photos)) as copy:
        assert copy.search(big / "2020/cats/2.png", k=1)[0].key == "2020/cats/2.png"
        assert copy.reopen().shard_names == photos.shard_names


def test_what_evaluate_learns_is_told_by_later_searches(photos: ShardedCollection, big: Path) -> None:
    found = photos.evaluate(queries=10)
    assert (found.images, found.recall) == (18, 1.0)
    assert found.precision_at_1 is not None
    assert photos.info().orders is not None
