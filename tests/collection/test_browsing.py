"""Looking through a collection: images by id, page after page, counts, and the bytes that were indexed."""

import os
from pathlib import Path

import pytest

from lookalike import Collection, Where
from lookalike.collection.browsing import Facets, ValueCount
from lookalike.errors import ImageError, NoImageError, UsageError
from lookalike.filters import Between
from tests.support.pictures import draw, everything
from tests.support.reindexing import annotate

TABLE = "path,colour,price\n00.png,red,1\n03.png,red,2\ncats/01.png,blue,2.5\ndogs/02.png,blue,3\ncats/04.png,red,1\n"


def pairs(counts: tuple[ValueCount, ...]) -> list[tuple[object, int]]:
    return [(count.value, count.images) for count in counts]


def test_an_image_by_its_id_is_the_one_that_a_search_finds(photos: Collection) -> None:
    annotate(photos, TABLE)
    for key, match in everything(photos).items():
        image = photos.image(match.id)
        assert (image.id, image.key, image.path, image.label) == (match.id, key, photos.folder / key, match.label)
        assert (image.width, image.height, image.attributes) == (16, 16, match.attributes)
        assert image.sha256 == match.sha256


@pytest.mark.parametrize("image_id", [0, -1, 999, 2**63, 2**70])
def test_an_id_that_no_image_has_is_an_error_of_its_own(photos: Collection, image_id: int) -> None:
    for use in (photos.image, photos.original, photos.search_id):
        with pytest.raises(NoImageError, match=str(image_id)):
            use(image_id)


@pytest.mark.parametrize("where", [None, Where(label="cats"), Where(under="dogs"), Where(ids=[2, 9, 400])])
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_pages_give_each_image_once_by_id(photos: Collection, where: Where | None, limit: int) -> None:
    found, after = list[int](), 0
    while page := photos.images(where=where, after=after, limit=limit):
        assert len(page) <= limit
        found += [image.id for image in page]
        after = found[-1]
    matches = photos.search_vector([1.0] * 25, k=100, where=where)
    assert found == sorted(match.id for match in matches)
    assert photos.images(after=2**80) == []


def test_pages_go_on_while_images_come_and_go(photos: Collection) -> None:
    first = photos.images(limit=4)
    photos.remove(["cats", first[-1].path])
    photos.add([draw(photos.folder / "new.png", 77)])
    rest = photos.images(after=first[-1].id, limit=100)
    assert rest[-1].key == "new.png"
    assert {image.id for image in rest}.isdisjoint(image.id for image in first)


def test_facets_count_labels_folders_and_attributes(photos: Collection) -> None:
    annotate(photos, TABLE)
    assert photos.facets() == Facets(
        images=12,
        labels=(ValueCount(None, 4), ValueCount("cats", 4), ValueCount("dogs", 4)),
        folders=(ValueCount("", 4), ValueCount("cats", 4), ValueCount("dogs", 4)),
        attributes={
            "colour": (ValueCount("red", 3), ValueCount("blue", 2)),
            "price": (ValueCount(1, 2), ValueCount(2, 1), ValueCount(2.5, 1), ValueCount(3, 1)),
        },
    )


def test_facets_of_a_filter_count_what_it_admits(photos: Collection) -> None:
    annotate(photos, TABLE)
    found = photos.facets(Where(attributes={"price": Between(1, 2)}), most=1)
    assert found.images == 3
    assert pairs(found.labels) == [(None, 2)]
    assert {name: pairs(counts) for name, counts in found.attributes.items()} == {
        "colour": [("red", 3)],
        "price": [(1, 2)],
    }
    with pytest.raises(UsageError, match="weight"):
        photos.facets(Where(attributes={"weight": 1}))


def test_folders_are_whole_paths_and_absolute_elsewhere(photos: Collection) -> None:
    draw(photos.folder / "a" / "b" / "deep.png", 50)
    elsewhere = draw(photos.folder.with_name("other") / "far.png", 51)
    photos.add(photos.folder)
    photos.add([elsewhere])
    folders = dict(pairs(photos.facets().folders))
    assert folders == {"": 4, "cats": 4, "dogs": 4, "a/b": 1, str(elsewhere.parent): 1}


def test_a_folder_that_is_not_utf8_is_counted_by_its_name(photos: Collection) -> None:
    name = os.fsdecode(b"caf\xe9")
    draw(photos.folder / name / "x.png", 60)
    photos.add(photos.folder)
    assert dict(pairs(photos.facets(Where(label=name)).folders)) == {name: 1}
    assert photos.images(where=Where(label=name))[0].key == f"{name}/x.png"


def test_the_revision_changes_with_every_commit_and_only_then(photos: Collection) -> None:
    seen = [photos.revision()]
    assert photos.revision() == seen[0]
    photos.remove(["00.png"])
    seen.append(photos.revision())
    photos.add(photos.folder)
    seen.append(photos.revision())
    assert len(set(seen)) == 3


# The bytes of files


def test_an_original_is_the_file_that_was_indexed(photos: Collection) -> None:
    for image in photos.images():
        original = photos.original(image.id)
        assert (original.image, original.data) == (image, image.path.read_bytes())


def test_a_file_that_has_changed_or_gone_is_not_given(photos: Collection) -> None:
    first, second, *_ = photos.images()
    draw(first.path, 99)
    second.path.unlink()
    with pytest.raises(ImageError, match="changed since it was indexed"):
        photos.original(first.id)
    with pytest.raises(ImageError, match="vanished"):
        photos.original(second.id)


@pytest.mark.parametrize("how", ["file", "folder"])
def test_a_symlink_that_leaves_the_folder_is_refused(photos: Collection, how: str) -> None:
    """Its bytes were indexed through the link, so that only the place tells."""
    outside = draw(photos.folder.with_name("outside") / "secret.png", 70)
    inside = photos.folder / "cats" / "secret.png"
    draw(inside, 70)
    photos.add(photos.folder)
    [image] = [each for each in photos.images() if each.key == "cats/secret.png"]
    assert photos.original(image.id).data == outside.read_bytes()
    if how == "file":
        inside.unlink()
        inside.symlink_to(outside)
    else:
        (photos.folder / "cats").rename(photos.folder / "kept")
        (photos.folder / "cats").symlink_to(outside.parent)
    with pytest.raises(ImageError, match="outside of the folder"):
        photos.original(image.id)


def test_a_symlink_within_the_folder_is_followed(photos: Collection) -> None:
    (photos.folder / "link.png").symlink_to(photos.folder / "cats" / "01.png")
    photos.add(photos.folder)
    [image] = [each for each in photos.images() if each.key == "link.png"]
    assert photos.original(image.id).data == (photos.folder / "cats" / "01.png").read_bytes()


def test_an_image_from_elsewhere_is_given_unless_a_symlink_leads_away(photos: Collection, tmp_path: Path) -> None:
    file = draw(photos.folder.with_name("other") / "far.png", 51)
    photos.add([file])
    [image] = [each for each in photos.images() if each.key == str(file)]
    assert photos.original(image.id).data == file.read_bytes()
    file.rename(photos.folder.with_name("moved.png"))
    file.symlink_to(photos.folder.with_name("moved.png"))
    with pytest.raises(ImageError, match="outside of the folder"):
        photos.original(image.id)


# Opening it again


def test_a_collection_is_current_until_it_is_indexed_again_or_gone(photos: Collection) -> None:
    from lookalike.collection.reindex import reindex
    from tests.support.reindexing import CoarseEncoder

    photos.remove(["00.png"])
    assert photos.is_current()
    again = photos.reopen()
    assert [image.key for image in again.images()] == [image.key for image in photos.images()]
    reindex(photos.directory, encoder=CoarseEncoder())
    assert not photos.is_current()
