"""What the catalog says of the other files: the index that serves, the file of vectors, its rows after compaction."""

import contextlib
from dataclasses import replace

from lookalike.storage.catalog import Catalog
from lookalike.storage.records import State, StoredGeneration, Totals
from tests.support.catalogs import GivenUpError, add_vector, fill, hash_of, images_of, put, schema_of, set_attributes


def test_the_newest_generation_serves_and_its_number_is_never_reused(catalog: Catalog) -> None:
    assert catalog.state().generation is None
    assert catalog.next_generation() == 1
    for number in (1, 2):
        with catalog.writing() as transaction:
            transaction.put_generation(StoredGeneration(catalog.next_generation(), 0, b"index", b"card"))
        assert catalog.state().generation == StoredGeneration(number, 0, b"index", b"card")
    with catalog.writing() as transaction:
        transaction.drop_generation()
    assert catalog.state().generation is None
    assert catalog.next_generation() == 3


def test_a_generation_that_is_given_up_leaves_the_one_before(catalog: Catalog) -> None:
    with catalog.writing() as transaction:
        transaction.put_generation(StoredGeneration(1, 0, b"index", b"card"))
    with contextlib.suppress(GivenUpError), catalog.writing() as transaction:
        transaction.put_generation(StoredGeneration(2, 0, b"other", b"other"))
        raise GivenUpError
    assert catalog.state().generation == StoredGeneration(1, 0, b"index", b"card")


def test_the_state_names_the_other_files_as_of_the_last_commit(catalog: Catalog) -> None:
    assert replace(catalog.state(), token=0) == State(changes=0, count=0, vectors="vectors.faiss", generation=None)
    fill(catalog, ["a", "b"])
    with catalog.writing() as transaction:
        transaction.put_generation(StoredGeneration(1, 2, b"index", b"card"))
    assert replace(catalog.state(), token=0) == State(2, 2, "vectors.faiss", StoredGeneration(1, 2, b"index", b"card"))
    with catalog.writing() as transaction:
        transaction.remove(["a"])
        transaction.compact("vectors.000001.faiss")
    assert replace(catalog.state(), token=0) == State(
        changes=3, count=1, vectors="vectors.000001.faiss", generation=None
    )


def test_compacting_numbers_the_living_rows_anew_in_their_order(catalog: Catalog) -> None:
    fill(catalog, list("abcdef"))
    with catalog.writing() as transaction:
        put(transaction, "copy of e", 4)
        transaction.remove(["a", "c", "f"])
    set_attributes(catalog, "e", {"price": 7})
    before = {image.key: image for image in images_of(catalog)}
    with catalog.writing() as transaction:
        transaction.compact("vectors.000001.faiss")
    after = {image.key: image for image in images_of(catalog)}
    rows = {"b": 0, "d": 1, "e": 2, "copy of e": 2}
    assert after == {key: replace(image, row=rows[key]) for key, image in before.items()}
    assert catalog.crc32s(list(range(9))) == {0: 1001, 1: 1003, 2: 1004}
    assert catalog.rows_of(map(hash_of, range(6))) == {hash_of(1): 0, hash_of(3): 1, hash_of(4): 2}
    assert catalog.totals() == Totals(images=4, vectors=3, dead=0, skipped=0, missing=0)
    assert catalog.damage() is None


def test_after_compacting_rows_die_and_are_revived_as_before(catalog: Catalog) -> None:
    fill(catalog, list("abc"))
    with catalog.writing() as transaction:
        transaction.remove(["a"])
        transaction.compact("vectors.000001.faiss")
    with catalog.writing() as transaction:
        transaction.remove(["b"])
    assert catalog.dead_rows() == [0]
    with catalog.writing() as transaction:
        put(transaction, "c", 0)
    assert catalog.dead_rows() == [1]
    with catalog.writing() as transaction:
        transaction.compact("vectors.000002.faiss")
        add_vector(transaction, 1, 9)
        put(transaction, "c", 1)
    assert (catalog.dead_rows(), catalog.state().count) == ([0], 2)
    assert catalog.damage() is None


def test_compacting_what_has_nothing_dead_or_nothing_at_all_changes_no_row(catalog: Catalog) -> None:
    with catalog.writing() as transaction:
        transaction.compact("vectors.000001.faiss")
    assert catalog.state().count == 0
    fill(catalog, ["a", "b"])
    with catalog.writing() as transaction:
        transaction.compact("vectors.000002.faiss")
    assert [image.key for image in images_of(catalog)] == ["a", "b"]


def test_compacting_that_is_given_up_leaves_everything_as_it_was(catalog: Catalog) -> None:
    fill(catalog, list("abc"))
    with catalog.writing() as transaction:
        transaction.remove(["a"])
    before = (catalog.state(), catalog.dead_rows(), list(catalog.live_images()), schema_of(catalog))
    for _ in range(2):
        with contextlib.suppress(GivenUpError), catalog.writing() as transaction:
            transaction.compact("vectors.000001.faiss")
            raise GivenUpError
        assert (catalog.state(), catalog.dead_rows(), list(catalog.live_images()), schema_of(catalog)) == before
    with catalog.writing() as transaction:
        transaction.compact("vectors.000001.faiss")
    assert schema_of(catalog) == before[-1]
