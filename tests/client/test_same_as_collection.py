"""A client gives what the collection itself gives: the same methods, parameters, results and errors."""

import inspect
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from PIL import Image

from lookalike import Between, Client, Collection, Match, Not, Term, Where
from lookalike.errors import ImageError, LookalikeError, NoImageError, UsageError
from lookalike.images.decode import ImageSource
from lookalike.images.region import cut
from lookalike.results import Region
from lookalike.search.options import SearchKeywords
from lookalike.search.probability import CopyCurve, FittedCurves
from tests.client.conftest import NAMES, Both
from tests.collection.test_signatures import STRANGE, TAKES, methods
from tests.support.crowds import directions
from tests.support.http_service import running
from tests.support.kinds import kinds
from tests.support.pictures import draw, picture

# What a service does not do for a client: what is about the disk of its machine, and what takes minutes.
NOT_REMOTE = {
    *(
        "add",
        "update",
        "remove",
        "prune",
        "annotate",
        "exclude",
        "include",
        "trust",
        "keep_regions",
        "keep_augmented",
        "build",
        "maintain",
        "warm_up",
    ),
    *("check", "find_damage", "evaluate", "skipped", "missing", "other_files", "named", "is_source", "made_of"),
    *("snapshots", "build_on", "missing_shards", "export"),
    *("duplicates", "copies_revision", "copy_groups", "mark_copies", "keep_copies", "unmark_copies", "copy_marks"),
    *("plan_action", "act_on_copies", "action_runs", "undo_action"),
    *("directory", "folder", "made_by", "max_pixels", "is_current", "reopen", "needs_maintenance", "maintain_apart"),
}
ONLY_REMOTE = {"fresh"}  # what only a client has: it asks again


def public(kind: object) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}


def test_every_method_of_a_collection_is_there_with_its_parameters(both: Both) -> None:
    ours, theirs = public(both.client), public(both.collection)
    assert theirs - NOT_REMOTE <= ours
    assert ours & NOT_REMOTE == set()
    assert ours - theirs == {"address", "thumbnail"}
    for name in theirs & ours - {"takes_text"}:
        mine, its = (inspect.signature(getattr(kind, name)).parameters for kind in (Client, Collection))
        assert [each for each in mine if each not in ONLY_REMOTE] == list(its), name
        for parameter, each in its.items():
            assert (mine[parameter].kind, mine[parameter].default) == (each.kind, each.default), (name, parameter)
            assert mine[parameter].annotation == each.annotation, (name, parameter)


def same(found: list[Match], expected: list[Match]) -> None:
    """They are equal but for what is on another machine, and the last bits of the scores."""
    assert [replace(match, path=None, is_query=False, score=0.0) for match in expected] == [
        replace(match, score=0.0) for match in found
    ]
    assert [match.score for match in found] == pytest.approx([match.score for match in expected], abs=1e-6)
    assert [match.sha256 for match in found] == [match.sha256 for match in expected]


FILTERS = [
    None,
    Where(),
    Where(label="cats"),
    Where(label=["dogs", "猫", "caf\udce9"]),
    Where(label=[]),
    Where(under="caf\udce9"),
    Where(under=""),
    Where(under="a b"),
    Where(ids=[1, 3, 5, 2**62, -4]),
    Where(attributes={"colour": "red"}),
    Where(attributes={"colour": ["red", "deep, blue"], "price": [1, 2.5]}),
    Where(attributes={"price": Between(1, 3)}),
    Where(attributes={"price": Between(1, 3, without_low=True, without_high=True)}),
    Where(attributes={"price": Between(low=2.5, without_low=True)}),
    Where(attributes={"price": 9007199254740993}),
    Where(attributes={"colour": Not("red"), "colour_bytes": Not(["x", "none"])}),
]
OPTIONS: list[SearchKeywords] = [
    {},
    {"k": 1},
    {"k": 1000},
    {"k": np.int64(3)},  # type: ignore[typeddict-item]
    {"min_score": 0.2},
    {"min_score": -5},
    {"min_score": 1.5},
    {"min_score": float("-inf")},
    {"exact": True},
    {"refine": True},
    {"confident": True},
    {"recall": 0.5},
    {"regions": True},
]
OPTIONS += [{"where": where, "k": 20} for where in FILTERS]


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))  # the text of a set is never the same
def test_every_search_finds_the_same_with_all_options(both: Both, options: SearchKeywords) -> None:
    collection, client = both.collection, both.client
    file = collection.folder / NAMES[1]
    terms = [Term(file, weight=2), Term(vector=np.arange(1, 26.0), weight=-0.25), Term(id=3, weight=0.5)]
    searches: list[Callable[[Any], Any]] = [
        lambda it: it.search(file, **options),
        lambda it: it.search(picture(3), plus=[file.read_bytes()], minus=[picture(5)], **options),
        lambda it: it.search_id(5, **options),
        lambda it: it.search_vector(np.arange(1, 26.0), **options),
        lambda it: it.search_terms(terms, **options),
    ]
    for search in searches:
        found, expected = search(client), search(collection)
        same(found, expected)
        assert len(found.queries) == len(expected.queries)
    many: list[ImageSource] = [file, picture(4), picture(99)]
    for found, expected in zip(
        client.search_many(many, **options), collection.search_many(many, **options), strict=True
    ):
        same(found, expected)


@pytest.mark.parametrize("options", [{}, {"confident": True}, {"refine": True, "k": 301}, {"where": Where(under="a")}])
def test_as_many_are_expected_by_chance(crowded: Both, options: SearchKeywords) -> None:
    terms = [Term(id=1, weight=2), Term(id=7, weight=-0.5)]
    searches: list[Callable[[Any], Any]] = [
        lambda it: it.search_id(1, **options),
        lambda it: it.search_vector(directions(1, 5), **options),
        lambda it: it.search_terms(terms, **options),
    ]
    for search in searches:
        found, expected = search(crowded.client), search(crowded.collection)
        assert [match.id for match in found] == [match.id for match in expected]
        numbers = [match.expected for match in expected]
        assert None not in numbers
        assert [match.expected for match in found] == pytest.approx(numbers, rel=1e-4)
    assert {match.probability for match in crowded.client.search_id(1)} == {None}
    [copy] = crowded.client.search_id(1, confident=True)
    assert copy.key == "copy.jpg"


def test_probabilities_are_the_same(tmp_path: Path) -> None:
    with kinds(tmp_path.resolve() / "photos", 200) as collection, running(collection) as service:
        collection.evaluate()
        learned = collection.info().probability
        assert learned is not None
        copies = replace(learned, curve=CopyCurve((-3.0, 3.0), (0.1, 0.9)))
        collection._curves.keep(FittedCurves(learned, copies))
        with Client(f"http://127.0.0.1:{service.port}") as client:
            for name in ("probability", "copy_probability"):
                told = [getattr(match, name) for match in collection.search_id(5)]
                assert None not in told
                assert [getattr(match, name) for match in client.search_id(5)] == pytest.approx(told)
                assert {getattr(each, name) for each in client.search_terms([Term(id=5), Term(id=6)])} == {None}


SOURCES: list[Callable[[Path], Any]] = [
    lambda path: path,
    str,
    Path.read_bytes,
    lambda path: bytearray(path.read_bytes()),
    lambda path: io.BytesIO(path.read_bytes()),
    lambda path: np.asarray(Image.open(path)),
    lambda path: np.asarray(Image.open(path).convert("L")),
    Image.open,
    lambda path: Image.open(path).convert("P"),
    lambda path: Image.open(path).convert("CMYK"),
    lambda path: Image.open(path).convert("RGBA").rotate(10),
    lambda path: Image.open(path).convert("L").convert("F"),
]


@pytest.mark.parametrize("make", range(len(SOURCES)))
def test_every_kind_of_image_is_sent(both: Both, make: int) -> None:
    path = both.collection.folder / NAMES[2]
    same(both.client.search(SOURCES[make](path)), both.collection.search(SOURCES[make](path)))
    ours, its = both.client.embed(SOURCES[make](path)), both.collection.embed(SOURCES[make](path))
    assert ours.dtype == its.dtype
    assert ours == pytest.approx(its, abs=1e-6)
    where = Where(label="dogs")
    same(both.client.search(SOURCES[make](path), where=where), both.collection.search(SOURCES[make](path), where=where))


@pytest.mark.parametrize("weights", [(1, 1), (1e300, 1e299), (-3, -1), (5, -1e-9), (2e6, -1e6), (1e-310, 1e-311)])
def test_only_the_proportions_of_weights_count(both: Both, weights: tuple[float, float]) -> None:
    terms = [Term(picture(2), weight=weights[0]), Term(id=4, weight=weights[1])]
    same(both.client.search_terms(terms), both.collection.search_terms(terms))


def test_a_region_is_the_part_of_the_image(both: Both) -> None:
    path, shares = both.collection.folder / NAMES[3], (0.25, 0, 0.5, 1)
    part = both.collection.search(cut(path, Region(*shares)))
    same(both.client.search(path, region=shares), part)
    same(both.client.search(path, region=Region(*shares)), part)
    same(both.client.search_id(part_id(both, NAMES[3]), region=np.array(shares)), part)
    where = Where(label="cats")
    expected = both.collection.search(cut(path, Region(*shares)), where=where)
    same(both.client.search(path, region=shares, where=where), expected)
    for wrong in ((0, 0, 1), (0, 0, 2, 1), (0, 0, 0, 1)):
        with pytest.raises(UsageError):
            both.client.search(path, region=wrong)


@pytest.mark.parametrize("options", [{"crops": True}, {"crops": True, "regions": True, "min_score": 0.1, "k": 4}])
def test_parts_of_queries_and_images_are_told(both: Both, options: SearchKeywords) -> None:
    path = both.collection.folder / NAMES[3]
    searches: list[Callable[[Any], Any]] = [
        lambda it: it.search(path, **options),
        lambda it: it.search(path, region=(0.25, 0, 0.5, 0.75), **options),
        lambda it: it.search_id(part_id(both, NAMES[3]), **options),
        lambda it: it.search_terms([Term(path, region=Region(0, 0, 0.5, 0.5))], **options),
    ]
    for search in searches:
        found = search(both.client)
        same(found, search(both.collection))
        assert any(match.query_region for match in found)
        assert any(match.region for match in found) == ("regions" in options)
    with pytest.raises(UsageError, match="crops cuts"):
        both.client.search_vector(np.ones(25), **options)
    assert both.client.info().regions == 9


def part_id(both: Both, key: str) -> int:
    [found] = [image.id for image in both.collection.images() if image.key == key]
    return found


def test_images_facets_and_counts_are_the_same(both: Both) -> None:
    collection, client = both.collection, both.client
    for where in FILTERS:
        expected = [replace(image, path=None) for image in collection.images(where=where)]
        assert client.images(where=where) == expected
        assert client.images(where=where, after=3, limit=2) == [image for image in expected if image.id > 3][:2]
        assert client.facets(where) == collection.facets(where)
        assert client.facets(where, most=1) == collection.facets(where, most=1)
        assert client.count(where or Where()) == collection.count(where or Where())
    assert [client.image(image.id) for image in expected] == expected
    assert client.attribute_names() == collection.attribute_names()
    assert client.revision() == collection.revision()
    assert client.takes_text == collection.takes_text
    assert [image.key for image in client.images()] == [image.key for image in collection.images()]
    assert set(NAMES) == {image.key for image in client.images(limit=10_000)}


def test_chance_picks_among_the_images_of_a_filter(both: Both) -> None:
    everything = {image.id: replace(image, path=None) for image in both.collection.images()}
    for where in FILTERS[:4]:
        admitted = {image.id for image in both.collection.images(where=where)}
        found = [both.client.random_image(where) for _ in range(20)]
        assert {image.id for image in found} <= admitted
        assert all(image == everything[image.id] for image in found)
    assert len({both.client.random_image().id for _ in range(30)}) > 2
    with pytest.raises(NoImageError):
        both.client.random_image(Where(label="none"))


def test_more_images_than_a_page_has_are_asked_for_page_by_page(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = replace(both.client.info().limits, page=3)
    monkeypatch.setattr(both.client, "_info", replace(both.client.info(), limits=limits))
    assert [image.id for image in both.client.images(limit=8)] == list(range(1, 9))
    assert [image.id for image in both.client.images(after=2, limit=100)] == list(range(3, 11))


def test_files_and_thumbnails_are_those_of_the_images(both: Both) -> None:
    for image in both.collection.images():
        found = both.client.original(image.id)
        assert found.data == both.collection.original(image.id).data
        assert found.image == replace(image, path=None)
    with Image.open(io.BytesIO(both.client.thumbnail(2, size=128))) as small:
        assert (small.format, small.size) == ("JPEG", (16, 16))
    with pytest.raises(UsageError, match="128, 256"):
        both.client.thumbnail(2, size=100)


def test_many_queries_go_out_in_several_requests(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as the service takes, by their number, their bytes, and the matches that they have."""
    queries = [picture(seed) for seed in range(9)]
    expected = both.collection.search_many(queries, k=2)
    usual, sent = both.client.info(), list[int]()
    post = both.client._post

    def note(target: str, body: dict[str, Any], read: Any) -> Any:
        sent.append(len(body["queries"]))
        return post(target, body, read)

    monkeypatch.setattr(both.client, "_post", note)
    for limits, sizes in (
        (usual.limits, [9]),
        (replace(usual.limits, batch=4), [4, 4, 1]),
        (replace(usual.limits, body_bytes=2**16 + 1), [1] * 9),
    ):
        monkeypatch.setattr(both.client, "_info", replace(usual, limits=limits))
        for found, each in zip(both.client.search_many(iter(queries), k=2), expected, strict=True):
            same(found, each)
        assert sent == sizes
        sent.clear()
    monkeypatch.setattr(both.client, "_info", usual)
    assert len(both.client.search_many(queries[:3], k=1000)) == 3
    assert both.client.search_many([]) == []


WRONG: list[Callable[[Any, Path], Any]] = [
    lambda it, folder: it.search(folder / "none.png"),
    lambda it, folder: it.search(folder),
    lambda it, folder: it.search(b"no image"),
    lambda it, folder: it.search((folder / "00.png").read_bytes()[:60]),
    lambda it, folder: it.search(folder.parent / "broken.png"),
    lambda it, folder: it.search(folder.parent / "broken.png", where=Where(label="cats")),
    lambda it, folder: it.search_many([picture(1), folder.parent / "broken.png"]),
    lambda it, folder: it.search_many(picture(1)),
    lambda it, folder: it.embed(folder.parent / "broken.png"),
    lambda it, folder: it.search(picture(1), k=0),
    lambda it, folder: it.search(picture(1), recall=2),
    lambda it, folder: it.search(picture(1), where=Where(attributes={"none": 1})),
    lambda it, folder: it.search(picture(1), minus=[picture(1)]),
    lambda it, folder: it.search_text("a red dress"),
    lambda it, folder: it.embed_text("a red dress"),
    lambda it, folder: it.search_id(999),
    lambda it, folder: it.search_id(-1),
    lambda it, folder: it.search_id(2**70),
    lambda it, folder: it.search_terms([Term(id=999)]),
    lambda it, folder: it.search_terms([Term(id=0), Term(id=1)]),
    lambda it, folder: it.search_vector([1.0, 2.0]),
    lambda it, folder: it.search_vector([0.0] * 25),
    lambda it, folder: it.search_vector([float("nan")] * 25),
    lambda it, folder: it.image(999),
    lambda it, folder: it.original(999),
    lambda it, folder: it.images(where=Where(attributes={"none": 1})),
    lambda it, folder: it.count(Where(attributes={"none": 1})),
]


@pytest.mark.parametrize("case", range(len(WRONG)))
def test_what_a_collection_refuses_is_refused_with_the_same_error(both: Both, case: int) -> None:
    folder = both.collection.folder
    (folder.parent / "broken.png").write_bytes((folder / "00.png").read_bytes()[:70])
    with pytest.raises(LookalikeError) as expected:
        WRONG[case](both.collection, folder)
    with pytest.raises(LookalikeError) as found:
        WRONG[case](both.client, folder)
    assert type(found.value) is type(expected.value)
    assert found.value.hints == expected.value.hints
    if isinstance(expected.value, ImageError | NoImageError):
        assert found.value.message == expected.value.message


def test_a_value_of_another_type_is_refused_before_anything_is_sent(both: Both, photos: Collection) -> None:
    tried = 0
    with Client("http://127.0.0.1:1", token="none") as client:
        client._info = replace(both.client.info(), is_writable=True)
        for name, given in methods(photos, photos.folder).items():
            if name in NOT_REMOTE:
                continue
            method = getattr(client, name)
            for parameter in inspect.signature(method).parameters.values():
                is_many = parameter.kind is inspect.Parameter.VAR_KEYWORD
                for keyword in get_type_hints(SearchKeywords) if is_many else [parameter.name]:
                    for value in STRANGE:
                        if isinstance(value, TAKES.get(keyword, ())) or keyword in ("fresh", "vector"):
                            continue
                        with pytest.raises(UsageError, match=keyword):
                            method(**given | {keyword: value})
                        tried += 1
    assert tried > 250


def test_a_text_that_json_cannot_hold_is_refused(both: Both) -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        both.client.search_id(1, where=Where(attributes={"colour": "caf\udce9"}))


def test_images_are_put_and_deleted_as_in_the_collection(writable: Both, tmp_path: Path) -> None:
    collection, client = writable.collection, writable.client
    data = draw(tmp_path / "new.png", 100).read_bytes()
    added = client.put("2024/ä b/new.png", data)
    assert added == replace(collection.image(added.id), path=None)
    assert added.label == "ä b"
    assert client.put("2024/ä b/new.png", data) == added
    assert client.search(data, k=1)[0].id == added.id
    for key, wrong in (("2024/ä b/new.png", data[:-1]), ("x.png", b"no image"), ("x.txt", data), ("../x.png", data)):
        errors = []
        for it in (client, collection):
            with pytest.raises(LookalikeError) as refused:
                it.put(key, wrong)
            errors.append(type(refused.value))
        assert errors[0] is errors[1]
    assert client.delete(added.id) == added
    assert (collection.folder / added.key).exists()
    again = client.put(added.key, data)
    assert client.delete(again.id, file=True).key == added.key
    assert not (collection.folder / added.key).exists()
    with pytest.raises(NoImageError):
        client.delete(again.id)
    draw(collection.folder / "00.png", 101)
    with pytest.raises(ImageError, match=r"00\.png: changed"):
        client.delete(part_id(writable, "00.png"), file=True)
    assert len(collection) == 12


def test_a_service_that_is_not_writable_says_so(both: Both) -> None:
    with pytest.raises(UsageError, match="takes no changes"):
        both.client.put("x.png", b"x")
    with pytest.raises(UsageError, match="takes no changes"):
        both.client.delete(1)


def test_folded_answers_are_the_same(both: Both) -> None:
    data = next(iter(both.collection.images())).path.read_bytes()
    expected = both.collection.search(data, k=9, fold=True)
    found = both.client.search(data, k=9, fold=True)
    same(*([replace(match, copies=()) for match in matches] for matches in (found, expected)))
    for mine, its in zip(found, expected, strict=True):
        same(list(mine.copies), list(its.copies))
    assert [copy.key for match in found for copy in match.copies] == ["cats/copy of 07.png"]
