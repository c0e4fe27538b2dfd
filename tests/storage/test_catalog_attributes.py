"""Attributes of images, and their labels: the folder's name unless one is given."""

from typing import Any

import pytest

from lookalike.errors import UsageError
from lookalike.filters import Where
from lookalike.sources.keys import folder_label
from lookalike.storage.catalog import Catalog
from tests.support.catalogs import (
    add_vector,
    attributes_of,
    fill,
    label_of,
    labels_of,
    move,
    put,
    set_attributes,
    typed,
)


def test_attributes_are_set_and_deleted_one_by_one_and_keep_their_types(catalog: Catalog) -> None:
    fill(catalog, ["a", "b"])
    with catalog.writing() as transaction:
        assert transaction.set_attributes("a", {"price": 7, "weight": 7.0, "colour": "7"})
        assert transaction.set_attributes("a", {"price": None, "colour": "red", "new": -1, "never there": None})
        assert not transaction.set_attributes("c", {"price": 7})
    assert typed(attributes_of(catalog, "a")) == typed({"weight": 7.0, "colour": "red", "new": -1})
    assert attributes_of(catalog, "b") == {}
    assert catalog.attribute_names() == ["colour", "new", "weight"]


def test_copies_of_a_file_have_attributes_of_their_own(catalog: Catalog) -> None:
    fill(catalog, ["one"])
    with catalog.writing() as transaction:
        put(transaction, "two", 0)
        put(transaction, "three", 0)
        transaction.set_attributes("one", {"shop": "north", "price": 1})
        transaction.set_attributes("two", {"shop": "south"})
    found = {image.key: dict(image.attributes) for image in catalog.images_of_rows([0])}
    assert found == {"one": {"shop": "north", "price": 1}, "three": {}, "two": {"shop": "south"}}
    assert [image.key for image in catalog.images_of_rows([0], limit=2)] == ["one", "three"]
    assert [image.key for image in catalog.images_of_rows([0], where=Where(attributes={"shop": "south"}))] == ["two"]


def test_attributes_outlive_a_change_or_a_new_name_but_not_the_image(catalog: Catalog) -> None:
    fill(catalog, ["a", "b"])
    with catalog.writing() as transaction:
        for key in ("a", "b"):
            transaction.set_attributes(key, {"price": 7})
        put(transaction, "a", 1)  # the file is another image now
    assert attributes_of(catalog, "a") == {"price": 7}
    with catalog.writing() as transaction:
        move(transaction, "a", "new")
        transaction.remove(["b"])
    assert attributes_of(catalog, "new") == {"price": 7}
    with catalog.writing() as transaction:
        transaction.remove(["new"])
        put(transaction, "b", 1)
    assert attributes_of(catalog, "b") == {}
    assert catalog.attribute_names() == []


def test_a_label_that_is_given_wins_over_the_folder_until_it_is_taken_away(catalog: Catalog) -> None:
    with catalog.writing() as transaction:
        add_vector(transaction, 0)
        put(transaction, "cats/a", 0)
        transaction.set_attributes("cats/a", {"label": "lion"})
    assert label_of(catalog, "cats/a") == "lion"
    with catalog.writing() as transaction:
        put(transaction, "cats/a", 0)
    assert label_of(catalog, "cats/a") == "lion"
    with catalog.writing() as transaction:
        move(transaction, "cats/a", "pets/a")
    assert label_of(catalog, "pets/a") == "lion"
    assert labels_of(catalog) == {"lion": 1}
    with catalog.writing() as transaction:
        transaction.set_attributes("pets/a", {"label": None})
    assert label_of(catalog, "pets/a") == "pets"


def test_a_label_is_text_whatever_was_given(catalog: Catalog) -> None:
    fill(catalog, ["a"])
    with catalog.writing() as transaction:
        transaction.set_attributes("a", {"label": 7})
    assert label_of(catalog, "a") == "7"
    assert attributes_of(catalog, "a") == {"label": "7"}


@pytest.mark.parametrize(
    ("key", "label"),
    [("a.jpg", None), ("a/b.jpg", "a"), ("a/b/c.jpg", "b"), ("/a/b.jpg", "a"), ("/a.jpg", None), ("ü/ä/x", "ä")],
)
def test_the_label_of_an_image_is_the_name_of_its_folder(catalog: Catalog, key: str, label: str | None) -> None:
    assert folder_label(key) == label
    fill(catalog, [key])
    assert label_of(catalog, key) == label


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"price": float("nan")}, "attribute 'price': nan is not finite"),
        ({"price": float("inf")}, "attribute 'price': inf is not finite"),
        ({"price": 2**63}, "attribute 'price': 9223372036854775808 has more than 64 bits"),
        ({"price": True}, "attribute 'price': True is of the type bool"),
        ({"price": b"7"}, "attribute 'price': b'7' is of the type bytes"),
        ({"price": "\ud800"}, "attribute 'price': .* half a character"),
        ({"": 7}, "'' is not a name of an attribute"),
        ({7: 7}, "7 is not a name of an attribute"),
    ],
)
def test_what_cannot_be_the_value_of_an_attribute_is_refused(
    catalog: Catalog, values: dict[Any, Any], message: str
) -> None:
    fill(catalog, ["a"])
    with pytest.raises(UsageError, match=message):
        set_attributes(catalog, "a", {"fine": 1} | values)
    assert catalog.attribute_names() == []
