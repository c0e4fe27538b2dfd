"""Filters: their values, their text form, and the images that a catalog finds for them."""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.errors import UsageError
from lookalike.filters import Between, Not, Where, parse
from lookalike.storage.catalog import Catalog
from tests.support.catalogs import STATUS
from tests.support.project import THOROUGH

# Compared with a loop over dictionaries


@dataclass(frozen=True)
class Image:
    """An image of the catalog, as the loop knows it."""

    key: str
    row: int
    label: str | None
    attributes: dict[str, Any]


BYTES = st.sampled_from([b"a", b"b", b"\xff", b"\xffa", b"\xc3\xa4", b"7", b"10", b"", b"A", b"'", b"a%"])
TEXTS = BYTES.map(os.fsdecode) | st.text(max_size=3)
NUMBERS = (
    st.integers(-3, 3)
    | st.sampled_from([7, 7.0, -0.0, 0.5, 10.0, 2**53, 2**53 + 1, 2.0**53, -(2**63), 2**63 - 1, 1e300, -1e-300])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**63), 2**63 - 1)
)
VALUES = NUMBERS | TEXTS
NAMES = st.sampled_from(["price", "colour", os.fsdecode(b"\xff")])
FOLDERS = st.sampled_from(
    ["", "2024/", "2024/a/", "20245/", "2024", "2024x/", "ü/", os.fsdecode(b"\xff/"), "/", "/data/"]
)
KEYS = st.builds(lambda folder, name: folder + name, FOLDERS, st.sampled_from(["x.jpg", "y", "0", "z/z"]))
IMAGES = st.lists(
    st.builds(Image, KEYS, st.integers(0, 6), st.none() | TEXTS, st.dictionaries(NAMES, VALUES)),
    unique_by=lambda image: image.key,
    max_size=14,
)


def between(given: tuple[Any, Any, bool, bool]) -> Between:
    """Returns a range, with its ends exchanged if they are in the wrong order, and included if they are the same."""
    low, high, *without = given
    if low is not None and high is not None and order(low) > order(high):
        low, high = high, low
    if low is not None and low == high:
        without = [False, False]
    return Between(low, high, without_low=without[0], without_high=without[1])


def order(value: Any) -> Any:
    return os.fsencode(value) if isinstance(value, str) else value


RANGES = st.one_of(
    *(
        st.tuples(st.none() | values, st.none() | values, st.booleans(), st.booleans()).map(between)
        for values in (NUMBERS, TEXTS.filter(bool))
    ),
    st.just(Between()),
)
EXCLUSIONS = (VALUES | st.lists(VALUES, max_size=4)).map(Not)
CONDITIONS = st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=4) | RANGES | EXCLUSIONS, max_size=2)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "label": TEXTS | st.sets(TEXTS, max_size=3),
        "under": st.sampled_from(
            ["", ".", "2024", "2024/", "2024//a", "./2024", "20", "/", "/data", "ü", "2024/x.jpg"]
        ),
        "ids": st.sets(st.integers(-1, 15) | st.sampled_from([0, 2**63, -(2**70)]), max_size=9),
        "attributes": CONDITIONS,
    },
)


def matches(image: Image, id_: int, wanted: Mapping[str, Any]) -> bool:
    """Returns whether an image passes a filter, as the docstring of Where defines it."""
    labels = wanted.get("label")
    if labels is not None and image.label not in ([labels] if isinstance(labels, str) else labels):
        return False
    if "under" in wanted:
        folder = {"2024//a": "2024/a", "./2024": "2024", ".": ""}.get(wanted["under"], wanted["under"])
        inside = image.key.startswith(folder.rstrip("/") + "/") if folder else not image.key.startswith("/")
        if not inside:
            return False
    if "ids" in wanted and id_ not in wanted["ids"]:
        return False
    conditions = wanted.get("attributes", {})
    return all(fits(image.attributes.get(name), conditions[name]) for name in conditions)


def fits(value: Any, wanted: Any) -> bool:
    """Returns whether a value of an attribute is one of those that are wanted; None is that of an image without it."""
    if isinstance(wanted, Not):
        return not any(fits(value, each) for each in wanted.excluded)
    if value is None:
        return False
    if isinstance(wanted, list):
        return any(fits(value, each) for each in wanted)
    if not isinstance(wanted, Between):
        return isinstance(value, str) == isinstance(wanted, str) and value == wanted
    ends = [end for end in (wanted.low, wanted.high) if end is not None]
    if any(isinstance(end, str) != isinstance(value, str) for end in ends):
        return False
    if (wanted.without_low and value == wanted.low) or (wanted.without_high and value == wanted.high):
        return False
    above = wanted.low is None or order(wanted.low) <= order(value)
    return above and (wanted.high is None or order(value) <= order(wanted.high))


def write(catalog: Catalog, images: list[Image]) -> None:
    """Adds images with the ids 1, 2, 3, ..."""
    with catalog.writing() as transaction:
        for row in range(7):
            transaction.add_vector(row, bytes([row]) * 32, row, width=1, height=1)
        for image in images:
            transaction.put_image(image.key, image.row, STATUS)
            label, key = (None if text is None else os.fsencode(text) for text in (image.label, image.key))
            query = "UPDATE images SET label = CAST(? AS TEXT) WHERE key = CAST(? AS TEXT)"
            transaction._connection.execute(query, (label, key))
            transaction.set_attributes(image.key, image.attributes)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty catalog, to be copied."""
    path = tmp_path_factory.mktemp("catalog") / "empty.sqlite"
    Catalog.create(path)
    return path


@settings(max_examples=3000 if THOROUGH else 100, deadline=None)
@given(images=IMAGES, filters=st.lists(FILTERS, min_size=1, max_size=8))
def test_a_filter_finds_what_a_loop_finds(empty: Path, images: list[Image], filters: list[dict[str, Any]]) -> None:
    path = empty.with_name("catalog.sqlite")
    shutil.copyfile(empty, path)
    with closing(Catalog(path)) as catalog:
        write(catalog, images)
        names = {name for image in images for name in image.attributes}
        for wanted in filters:
            where = Where(**wanted)
            found = [image for id_, image in enumerate(images, 1) if matches(image, id_, wanted)]
            if unknown := set(wanted.get("attributes", {})) - names:
                with pytest.raises(UsageError, match="no image has an attribute"):
                    catalog.rows_where(where)
                conditions = wanted["attributes"]
                assert not found or all(isinstance(conditions[name], Not) for name in unknown)
            else:
                assert catalog.rows_where(where).tolist() == sorted({image.row for image in found})
            for row in range(7):
                keys = sorted((image.key for image in found if image.row == row), key=os.fsencode)
                assert [image.key for image in catalog.images_of_rows([row], where=where)] == keys
                assert [image.key for image in catalog.images_of_rows([row], where=where, limit=1)] == keys[:1]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """Six images, two of which are copies."""
    Catalog.create(tmp_path / "catalog.sqlite")
    with closing(Catalog(tmp_path / "catalog.sqlite")) as catalog:
        write(
            catalog,
            [
                Image("2024/a.jpg", 0, "2024", {"price": 7, "colour": "red"}),
                Image("2024/b.jpg", 1, "2024", {"price": 12.5, "colour": "blue"}),
                Image("2025/a.jpg", 0, "2025", {"price": 3}),
                Image("c.jpg", 2, None, {"price": "7"}),
                Image("/data/d.jpg", 3, "data", {"colour": "red"}),
                Image("20245/e.jpg", 4, "20245", {}),
            ],
        )
        yield catalog


def test_an_unknown_attribute_is_refused_and_the_known_are_named(catalog: Catalog) -> None:
    with pytest.raises(UsageError, match="no image has an attribute 'prize'; there are: colour, price"):
        catalog.rows_where(Where(attributes={"price": 7, "prize": 7}))


def test_names_of_a_stranger_in_a_message_are_few_and_on_one_line(catalog: Catalog) -> None:
    with catalog.writing() as transaction:
        for number in range(30):
            transaction.set_attributes("c.jpg", {f"a\nError: \x1b[31m {number:02}": 1, "x" * 1000: 2})
    with pytest.raises(UsageError) as refused:
        catalog.rows_where(Where(attributes={"a\nb": 1}))
    message = refused.value.message
    assert message.startswith(r"no image has an attribute 'a\nb'; there are: 'a\nError: \x1b[31m 00', ")
    assert message.endswith(", and 13 more")
    assert message.isprintable()


def test_an_attribute_is_refused_if_there_are_none(empty: Path) -> None:
    with closing(Catalog(empty)) as catalog, pytest.raises(UsageError, match="'price'; there are: none"):
        catalog.rows_where(Where(attributes={"price": 7}))


def test_a_label_folder_or_id_that_no_image_has_finds_nothing(catalog: Catalog) -> None:
    for where in (Where(label="cats"), Where(under="2023"), Where(ids=[99]), Where(label=[]), Where(ids=[])):
        assert catalog.rows_where(where).tolist() == []


@pytest.mark.parametrize(
    ("under", "rows"),
    [
        ("", [0, 1, 2, 4]),
        (".", [0, 1, 2, 4]),
        ("2024", [0, 1]),
        ("2024/", [0, 1]),
        ("./2024//", [0, 1]),
        ("202", []),
        ("2024/a.jpg", []),
        ("c.jpg", []),
        ("/", [3]),
        ("/data", [3]),
        ("/data/", [3]),
        ("data", []),
    ],
)
def test_a_folder_contains_the_images_in_it_and_below_it(catalog: Catalog, under: str, rows: list[int]) -> None:
    assert catalog.rows_where(Where(under=under)).tolist() == rows


def test_copies_are_filtered_by_their_own_labels(catalog: Catalog) -> None:
    where = Where(label="2025")
    assert catalog.rows_where(where).tolist() == [0]
    assert [image.key for image in catalog.images_of_rows([0], where=where)] == ["2025/a.jpg"]


def test_rows_are_64_bit_integers(catalog: Catalog) -> None:
    rows = np.asarray(catalog.rows_where(Where(under="")))
    assert rows.dtype == np.int64
    assert rows.tolist() == [0, 1, 2, 4]


def test_a_filter_may_have_a_hundred_thousand_ids(catalog: Catalog) -> None:
    where = Where(ids=range(2, 100_002), label=["2024", "2025"])
    assert catalog.rows_where(where).tolist() == [0, 1]
    assert [image.id for image in catalog.images_of_rows([0], where=where)] == [3]


def test_sqlite_accepts_the_highest_number_of_values(catalog: Catalog) -> None:
    with catalog._database.connection() as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)  # the default of a build of SQLite
    many = Where(label=["2024", "2025"], attributes={"price": range(29_998)}, under="2024", ids=[1, 2, 3])
    assert catalog.rows_where(many).tolist() == [0]
    assert [image.id for image in catalog.images_of_rows([0], where=many)] == [1]
    with pytest.raises(UsageError, match="30,001 labels and values: give at most 30,000"):
        Where(label="2024", attributes={"price": range(30_000)})


# Values


def test_equivalent_filters_are_equal_and_have_the_same_hash() -> None:
    first = Where(label=["a", "b"], under="2024/", ids=[1, 2, 2], attributes={"x": [1, "y"], "z": Between(1, 2)})
    second = Where(label={"b", "a"}, under="2024", ids=(2, 1), attributes={"z": Between(1.0, 2), "x": ("y", 1.0)})
    assert first == second
    assert hash(first) == hash(second)
    assert len({first, second, Where(), Where(label=[]), Where(ids=[]), Where(under="")}) == 5
    assert Where(label="a") == Where(label=["a"])
    assert Where(attributes={"x": 1}) != Where(attributes={"x": "1"})


def test_numpy_numbers_are_numbers() -> None:
    half: Any = np.float32(0.5)
    one: Any = np.float16(1)
    given_ = Where(ids=np.array([1, 2]), attributes={"x": np.array([1, 2]), "y": half, "z": Between(one)})
    assert given_ == Where(ids=[1, 2], attributes={"x": [1, 2], "y": 0.5, "z": Between(1)})


def test_a_field_of_a_filter_can_be_replaced() -> None:
    where = Where(label="a", ids=[1, 2], attributes={"x": [1], "y": Between(1)})
    assert replace(where, ids=[2]) == Where(label="a", ids=[2], attributes={"x": 1, "y": Between(1)})


def test_a_filter_does_not_change_with_its_arguments() -> None:
    labels, attributes = ["a"], {"x": 1}
    where = Where(label=labels, attributes=attributes)
    labels.append("b")
    attributes["y"] = 2
    assert where == Where(label="a", attributes={"x": 1})


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"label": 7}, "label=7: a label is text"),
        ({"label": [None]}, "label=None: a label is text"),
        ({"label": b"a"}, "a label is text"),
        ({"under": 2024}, "under=2024: give a folder as text"),
        ({"under": "\ud800"}, "under: .* half a character"),
        ({"ids": 7}, "ids=7: give a list of integers"),
        ({"ids": "7"}, "ids='7': give a list of integers"),
        ({"ids": ["7"]}, "ids: '7' is not an integer"),
        ({"ids": [1.0]}, "ids: 1.0 is not an integer"),
        ({"ids": [True]}, "ids: True is not an integer"),
        ({"attributes": {"x": None}}, r"attributes\['x'\]: None is of the type NoneType; give text or a number"),
        ({"attributes": {"x": True}}, "True is of the type bool"),
        ({"attributes": {"x": np.True_}}, "is of the type bool"),
        ({"attributes": {"x": b"y"}}, "b'y' is of the type bytes"),
        ({"attributes": {"x": np.float32("nan")}}, "nan is not finite"),
        ({"attributes": {"x": Fraction(10**400)}}, "inf is not finite"),
        ({"attributes": {"x": np.array(None)}}, "is of the type ndarray"),
        ({"label": np.array(5)}, r"label=array\(5\): a label is text"),
        ({"ids": np.array(5)}, r"ids=array\(5\): give a list of integers"),
        ({"ids": {1: 2}}, "ids={1: 2}: give a list of integers"),
        ({"attributes": {"x": {"y": 1}}}, "is of the type dict"),
        ({"attributes": {"x": [1, None]}}, "None is of the type NoneType"),
        ({"attributes": {"x": float("nan")}}, "nan is not finite"),
        ({"attributes": {"x": [float("inf")]}}, "inf is not finite"),
        ({"attributes": {"x": 2**63}}, "9223372036854775808 has more than 64 bits"),
        ({"attributes": {"": 1}}, "'' is not a name of an attribute"),
        ({"attributes": {7: 1}}, "7 is not a name of an attribute"),
        ({"attributes": {"label": "a"}}, "the label is a filter of its own; give label="),
    ],
)
def test_invalid_filters_are_refused(wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Where(**wanted)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ((2, 1), r"^Between\(low=2, high=1\): the low end is above the high end"),
        (("b", "a"), "the low end is above the high end"),
        ((1, "b"), "one end is a number and the other a text"),
        ((None, True), r"Between\(high=...\): True is of the type bool"),
        ((float("nan"), None), r"Between\(low=...\): nan is not finite"),
    ],
)
def test_invalid_ranges_are_refused(ends: tuple[Any, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Between(*ends)


def test_a_range_of_nothing_is_refused() -> None:
    for without in ({"without_low": True}, {"without_high": True}, {"without_low": True, "without_high": True}):
        with pytest.raises(UsageError, match=r"^Between\(low=1, high=1.0, without_.*=True\): nothing is in this range"):
            Between(1, 1.0, **without)
    with pytest.raises(UsageError, match="without_low='yes': give True or False"):
        Between(1, 2, without_low="yes")  # type: ignore[arg-type]


def test_an_end_that_there_is_not_cannot_be_left_out() -> None:
    assert Between(None, 2, without_low=True) == Between(None, 2)
    assert Between(1, 2, without_low=np.True_) != Between(1, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [None, True, [None], b"a", {"a": 1}])
def test_values_to_be_left_out_are_texts_or_numbers(values: Any) -> None:
    with pytest.raises(UsageError, match=r"^Not\(values=...\): .* is of the type .*; give text or a number"):
        Not(values)


def test_filters_with_exclusions_can_be_compared_and_hashed() -> None:
    assert Where(attributes={"x": Not([1, "a"])}) == Where(attributes={"x": Not(("a", 1.0))})
    assert hash(Where(attributes={"x": Not(1)})) == hash(Where(attributes={"x": Not([1])}))
    assert Where(attributes={"x": Not(1)}) != Where(attributes={"x": 1})
    with pytest.raises(UsageError, match="30,001 labels and values"):
        Where(label="a", attributes={"x": Not(range(30_000))})


# The text form


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], {}),
        (["colour=red"], {"colour": ["red"]}),
        (["colour=red,blue"], {"colour": ["red", "blue"]}),
        ([" colour = red , dark blue "], {"colour": ["red", "dark blue"]}),
        (["size=7"], {"size": [7, "7"]}),
        (["size=7,red,-0.5"], {"size": [7, "7", "red", -0.5, "-0.5"]}),
        (["code=007"], {"code": [7, "007"]}),
        (["code=1e3"], {"code": [1000.0, "1e3"]}),
        (["code=1_000"], {"code": ["1_000"]}),
        (["code=nan,inf,1e999"], {"code": ["nan", "inf", "1e999"]}),
        (["code=9223372036854775808"], {"code": [2.0**63, "9223372036854775808"]}),
        (['colour="red"'], {"colour": ["red"]}),
        (['size="7"'], {"size": ["7"]}),
        (['colour="red, light", blue'], {"colour": ["red, light", "blue"]}),
        (['colour="say ""red"""'], {"colour": ['say "red"']}),
        (['colour="a..b"'], {"colour": ["a..b"]}),
        (['colour=""'], {"colour": [""]}),
        (["price>=10"], {"price": Between(10)}),
        (["price <= 20.5"], {"price": Between(None, 20.5)}),
        (["price>=-1"], {"price": Between(-1)}),
        (["price=10..20"], {"price": Between(10, 20)}),
        (["price=10.."], {"price": Between(10)}),
        (["price=.. 20"], {"price": Between(None, 20)}),
        (["price=.5...75"], {"price": Between(0.5, 0.75)}),
        (["taken=2024-05-01..2024-06"], {"taken": Between("2024-05-01", "2024-06")}),
        (["taken=2024..2025-06"], {"taken": Between("2024", "2025-06")}),
        (['code>="10"'], {"code": Between("10")}),
        (["price>=10", "price<=20"], {"price": Between(10, 20)}),
        (["price<=20", "colour=red", "price>=10"], {"price": Between(10, 20), "colour": ["red"]}),
        (["price>10"], {"price": Between(10, without_low=True)}),
        (["price < 20.5"], {"price": Between(None, 20.5, without_high=True)}),
        (["price>10", "price<20"], {"price": Between(10, 20, without_low=True, without_high=True)}),
        (["price<=20", "price>10"], {"price": Between(10, 20, without_low=True)}),
        (["code>m"], {"code": Between("m", without_low=True)}),
        (["colour==red"], {"colour": ["red"]}),
        (["price==10..20"], {"price": Between(10, 20)}),
        (["colour!=red"], {"colour": Not("red")}),
        (["colour != red, blue"], {"colour": Not(["red", "blue"])}),
        (["size!=7"], {"size": Not([7, "7"])}),
        (["colour!=red", "colour!=blue"], {"colour": Not(["red", "blue"])}),
        (['name!="a..b"'], {"name": Not("a..b")}),
        (["name with spaces=x"], {"name with spaces": ["x"]}),
        (["colour=" + "9" * 5000], {"colour": ["9" * 5000]}),
        (["a=b=c"], {"a": ["b=c"]}),
        (["a=" + os.fsdecode(b"\xff")], {"a": [os.fsdecode(b"\xff")]}),
    ],
)
def test_conditions_in_text_form_are_parsed(conditions: list[str], expected: dict[str, Any]) -> None:
    assert Where(attributes=parse(conditions)) == Where(attributes=expected)


@pytest.mark.parametrize(
    "conditions",
    [
        *([text] for text in ("", "colour", "=", "=red", "colour=", "colour= ", "colour===red", "price>", "price<")),
        *([text] for text in ("price!10", "price=>10", "price=<10", "price<>10", "price>=", "price..20", " =red")),
        *([text] for text in ("price!=", "!=red", "price!=10..20", "colour!=red,", "price>5,6", "price<")),
        *(
            [text]
            for text in ("colour=red,", "colour=,red", "colour=red,,blue", "colour=,", 'colour="red', 'colour=r"e"d')
        ),
        *(
            [text]
            for text in ('colour="red"x', "price=..", "price=5,10..20", "price>=5,6", "price=a,b..c", "price=20..10")
        ),
        ["price>=20", "price<=10"],
        ["price>=10", "price<=b"],
        ["price>=10", "price>=20"],
        ["price=1", "price=2"],
        ["price=1..2", "price>=1"],
        ["price>=1", "price=2"],
        ["price>10", "price<10"],
        ["price>1", "price!=2"],
        ["price=1", "price!=2"],
        ["price>=1", "price<=2", "price<=3"],
    ],
)
def test_invalid_conditions_are_refused_and_named(conditions: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        parse(conditions)
    assert str(refused.value).startswith(f"{conditions[-1]}: ")


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("price=7", [0, 2]),
        ('price="7"', [2]),
        ("price>=7", [0, 1]),
        ("price<=7", [0]),
        ("price=7..12", [0]),
        ("price>=a", []),
        ("price=3,12.5", [0, 1]),
        ("price>7", [1]),
        ("price<7", [0]),
        ("price!=7", [0, 1, 3, 4]),
        ("colour!=red", [0, 1, 2, 4]),
        ("colour==red", [0, 3]),
        ("colour=a..c", [1]),
        ("colour=red,blue", [0, 1, 3]),
    ],
)
def test_a_condition_in_text_form_finds_rows(catalog: Catalog, condition: str, rows: list[int]) -> None:
    assert catalog.rows_where(Where(attributes=parse([condition]))).tolist() == rows
