"""Searches over HTTP give what the collection gives in Python."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from lookalike import Collection, Match, Term, Where
from lookalike.filters import Between, Not
from tests.support.crowds import DIM, crowd
from tests.support.http_service import Running, in_base64, problem, running, search, search_image
from tests.support.kinds import kinds
from tests.support.pictures import draw, picture, unit_of
from tests.support.reindexing import annotate

PAIRS = list[tuple[int, float]]


def pairs(found: list[dict[str, Any]]) -> PAIRS:
    return [(match["id"], match["score"]) for match in found]


def close(found: list[dict[str, Any]], expected: list[Match]) -> None:
    assert [match["id"] for match in found] == [match.id for match in expected]
    assert [match["score"] for match in found] == pytest.approx([match.score for match in expected], abs=1e-5)


def test_an_uploaded_image_is_searched_as_it_is(service: Running, photos: Collection) -> None:
    file = photos.folder / "cats" / "04.png"
    found = search_image(service.client, file.read_bytes(), k=5)
    close(found, list(photos.search(file, k=5)))
    assert found[0] == {
        "id": photos.search(file, k=1)[0].id,
        "key": "cats/04.png",
        "score": pytest.approx(1, abs=1e-3),
        "expected": None,
        "probability": None,
        "copy_probability": None,
        "label": "cats",
        "width": 16,
        "height": 16,
        "attributes": {},
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "group": None,
        "thumbnail": f"/v1/images/{found[0]['id']}/thumbnail?v={photos.search(file, k=1)[0].sha256.hex()[:16]}",  # type: ignore[union-attr]
    }


def test_what_is_expected_by_chance_is_told_and_cut(tmp_path: Path) -> None:
    with crowd(tmp_path.resolve() / "photos") as collection, running(collection) as service:
        found = search(service.client, positive=[{"id": 1}], k=3)
        told = [match.expected for match in collection.search_id(1, k=3)]
        assert [match["expected"] for match in found] == pytest.approx(told, rel=1e-4)
        [copy] = search(service.client, positive=[{"id": 1}], confident=True)
        assert copy["key"] == "copy.jpg"
        assert search(service.client, positive=[{"vector": [1.0] * DIM}], confident=True) == []


def test_the_probability_of_a_label_is_told_for_one_image(tmp_path: Path) -> None:
    with kinds(tmp_path.resolve() / "photos", 200) as collection, running(collection) as service:
        assert {match["probability"] for match in search(service.client, positive=[{"id": 1}], k=5)} == {None}
        collection.evaluate()
        found = search(service.client, positive=[{"id": 1}], k=5)
        told = [match.probability for match in collection.search_id(1, k=5)]
        assert None not in told
        assert [match["probability"] for match in found] == pytest.approx(told)
        two = search(service.client, positive=[{"id": 1}, {"id": 2}], k=5)
        assert {match["probability"] for match in two} == {None}


def test_an_uploaded_image_may_ask_for_what_is_beyond_chance(service: Running, photos: Collection) -> None:
    """Of twelve pictures, nobody can tell."""
    image = (photos.folder / "cats" / "04.png").read_bytes()
    assert search_image(service.client, image, confident="false")
    assert search_image(service.client, image, confident="true") == []


def test_a_form_is_searched_like_a_raw_body(service: Running, photos: Collection) -> None:
    file = photos.folder / "00.png"
    response = service.client.post("/v1/search", files={"image": file.read_bytes()}, data={"k": 3, "label": ["cats"]})
    close(response.json()["matches"], list(photos.search(file, k=3, where=Where(label="cats"))))
    assert set(response.json()["took_ms"]) == {"receive", "encode", "search", "total"}


def test_json_mixes_examples_as_python_does(service: Running, photos: Collection) -> None:
    some = np.random.default_rng(3).normal(size=25)
    found = search(
        service.client,
        positive=[{"id": 2, "weight": 2}, {"image": in_base64(photos.folder / "00.png")}],
        negative=[{"vector": some.tolist(), "weight": 0.5}],
        k=6,
        min_score=-0.5,
    )
    terms = [Term(id=2, weight=2), Term(photos.folder / "00.png"), Term(vector=some, weight=-0.5)]
    close(found, list(photos.search_terms(terms, k=6, min_score=-0.5)))


@pytest.mark.parametrize(
    ("sent", "where"),
    [
        ({"label": "cats"}, Where(label="cats")),
        ({"label": ["cats", "dogs"], "ids": [1, 5, 9, 400]}, Where(label=["cats", "dogs"], ids=[1, 5, 9])),
        ({"under": "dogs"}, Where(under="dogs")),
        ({"attributes": {"colour": {"not": ["red"]}}}, Where(attributes={"colour": Not(["red"])})),
        ({"attributes": {"price": {"low": 1.5}}}, Where(attributes={"price": Between(1.5)})),
        (
            {"attributes": {"price": {"low": 1, "high": 2.5, "without_low": True}}},
            Where(attributes={"price": Between(1, 2.5, without_low=True)}),
        ),
        ({"attributes": {"colour": "red", "price": [1, 2]}}, Where(attributes={"colour": "red", "price": [1, 2]})),
    ],
)
def test_filters_are_those_of_python(service: Running, photos: Collection, sent: dict[str, Any], where: Where) -> None:
    annotate(photos, "path,colour,price\n00.png,red,1\n03.png,red,2\ncats/01.png,blue,2.5\n")
    found = search(service.client, positive=[{"id": 12}], where=sent, k=20)
    close(found, list(photos.search_id(12, where=where, k=20)))
    assert found


def test_negative_examples_alone_are_a_search_for_what_is_least_like_them(service: Running, photos: Collection) -> None:
    found = search(service.client, negative=[{"id": 3}], k=4)
    close(found, list(photos.search_terms([Term(id=3, weight=-1)], k=4)))
    assert found[0]["score"] > 0


def test_labels_and_folders_that_are_not_utf8_are_given_in_base64(photos: Collection) -> None:
    draw(photos.folder / "caf\udce9" / "x.png", 200)
    photos.add(photos.folder)
    name = {"bytes": base64.b64encode(b"caf\xe9").decode()}
    with running(photos) as service:
        for where in ({"label": name}, {"label": ["none", name]}, {"under": name}):
            assert [match["id"] for match in search(service.client, positive=[{"id": 1}], where=where)] == [13]
        facets = service.client.post("/v1/images/list", json={"limit": 0, "facets": 50}).json()["facets"]
        assert {"value": r"caf\xe9", "value_bytes": name["bytes"], "images": 1} in facets["labels"]
        body: dict[str, Any] = {"positive": [{"id": 1}], "where": {"label": {"bytes": "*"}}}
        assert "bytes: not base64" in problem(service.client.post("/v1/search", json=body), 422)["detail"]


def test_filters_in_the_address_are_those_of_the_command_line(service: Running, photos: Collection) -> None:
    annotate(photos, "path,colour,price\n00.png,red,1\n03.png,red,2\ncats/01.png,blue,2.5\n")
    data = (photos.folder / "00.png").read_bytes()
    found = search_image(service.client, data, where=["colour=red", "price=2..3"])
    assert [match["key"] for match in found] == ["03.png"]
    assert found[0]["attributes"] == {"colour": "red", "price": 2}


def test_a_region_is_a_search_for_that_part(service: Running, photos: Collection) -> None:
    """The left half of a picture is another picture's left half twice as wide."""
    wide = np.hstack([picture(100).repeat(8, 0).repeat(8, 1), picture(101).repeat(8, 0).repeat(8, 1)])
    part = draw(photos.folder / "part.png", 101)
    whole = photos.folder / "whole.png"
    Image.fromarray(wide).save(whole)
    photos.add(photos.folder)
    right = [0.5, 0, 0.5, 1]
    by_upload = search_image(service.client, whole.read_bytes(), region="0.5,0,0.5,1", k=1)
    own = next(image.id for image in photos.images() if image.key == "whole.png")
    by_id = search(service.client, positive=[{"id": own}], region=right, k=1)
    assert by_upload[0]["key"] == by_id[0]["key"] == part.name
    assert by_upload[0]["score"] > 0.99
    sent = {"positive": [{"vector": [1.0] * 25}], "region": right}
    assert "region" in problem(service.client.post("/v1/search", json=sent), 422)["detail"]


def test_each_example_may_have_a_region_of_its_own(service: Running, photos: Collection) -> None:
    """Images whose halves are two pictures: the part that counts decides which of the two is found."""
    halves = np.hstack([picture(seed).repeat(8, 0).repeat(8, 1) for seed in (100, 101)])
    whole = photos.folder / "whole.png"
    Image.fromarray(halves).save(whole)
    draw(photos.folder / "left.png", 100)
    photos.add(photos.folder)
    own = next(image.id for image in photos.images() if image.key == "whole.png")
    left, right = [0, 0, 0.5, 1], [0.5, 0, 0.5, 1]
    found = search(
        service.client,
        positive=[{"id": own, "region": left}, {"id": 2, "weight": 0.5}],
        negative=[{"image": in_base64(whole), "region": right, "weight": 0.25}],
        k=5,
    )
    terms = [Term(vector=unit_of(100)), Term(id=2, weight=0.5), Term(vector=unit_of(101), weight=-0.25)]
    expected = photos.search_terms(terms, k=5)
    assert [match["id"] for match in found] == [match.id for match in expected]
    assert [match["score"] for match in found] == pytest.approx([match.score for match in expected], abs=2e-3)
    for example in (
        {"vector": [1.0] * 25, "region": left},
        {"text": "x", "region": left},
        {"id": 1, "region": [0, 0, 2, 1]},
    ):
        problem(service.client.post("/v1/search", json={"positive": [example]}), 422)
    twice = {"positive": [{"id": own, "region": left}], "region": right}
    assert "each its own region" in problem(service.client.post("/v1/search", json=twice), 422)["detail"]


def test_a_batch_answers_each_query_and_tells_which_is_wrong(service: Running, photos: Collection) -> None:
    bad = {"positive": [{"image": base64.b64encode(b"no image").decode()}]}
    queries = [{"positive": [{"id": 1}], "k": 2}, bad, {"positive": [{"id": 999}]}, {"positive": [{"id": 3}]}]
    answers = service.client.post("/v1/search/batch", json={"queries": queries}).json()["answers"]
    close(answers[0]["matches"], list(photos.search_id(1, k=2)))
    close(answers[3]["matches"], list(photos.search_id(3)))
    assert answers[0]["problem"] is None
    assert [answer["problem"]["status"] for answer in answers[1:3]] == [422, 422]
    assert answers[1]["problem"]["reason"] == "not an image"
    assert answers[1]["matches"] == []


def test_an_id_in_a_body_that_names_nothing_is_a_mistake_in_the_body(shared: Running) -> None:
    """404 would say that there is no search at this address."""
    bodies: list[dict[str, Any]] = [
        {"positive": [{"id": 999}]},
        {"positive": [{"id": 1}], "negative": [{"id": 999}]},
        {"positive": [{"id": 999}], "region": [0, 0, 0.5, 1]},
    ]
    for body in bodies:
        found = problem(shared.client.post("/v1/search", json=body), 422)
        assert (found["type"], found["title"]) == ("urn:lookalike:no-image-error", "There is no such image")


def test_base64_may_have_line_breaks(service: Running, photos: Collection) -> None:
    text = base64.encodebytes((photos.folder / "00.png").read_bytes()).decode()
    assert "\n" in text
    for form in (text, text.replace("\n", "\r\n"), f"data:image/png;base64,{text}"):
        assert search(service.client, positive=[{"image": form}], k=1)[0]["key"] == "00.png"


def test_text_is_refused_with_the_reason_where_the_model_takes_none(shared: Running) -> None:
    found = problem(shared.client.post("/v1/search", json={"positive": [{"text": "a red dress"}]}), 422)
    assert found["type"] == "urn:lookalike:usage-error"
    assert "colours does not take text" in found["detail"]


def test_an_image_that_cannot_be_used_is_told_with_its_reason(service: Running, photos: Collection) -> None:
    truncated = (photos.folder / "00.png").read_bytes()[:60]
    for data, reason in ((truncated, "truncated"), (b"<svg/>", "not an image")):
        response = service.client.post("/v1/search", content=data, headers={"Content-Type": "image/png"})
        found = problem(response, 422)
        assert (found["type"], found["reason"]) == ("urn:lookalike:image-error", reason)


def test_a_name_that_is_not_utf8_is_given_twice(photos: Collection) -> None:
    name = "caf\udce9.png"
    draw(photos.folder / name, 200)
    photos.add(photos.folder)
    with running(photos) as service:
        [best] = search_image(service.client, (photos.folder / name).read_bytes(), k=1)
        assert (best["key"], best["key_bytes"]) == (r"caf\xe9.png", base64.b64encode(b"caf\xe9.png").decode())
        thumbnail = service.client.get(best["thumbnail"])
        assert thumbnail.status_code == 200
        original = service.client.get(f"/v1/images/{best['id']}/original")
        assert original.headers["content-disposition"] == "inline; filename*=UTF-8''caf%5Cxe9.png"


WRONG_JSON = [
    b"",
    b"{",
    b"nonsense",
    b'{"positive": []}',
    b"[" * 100_000,
    b'{"positive": [{"id": 1}], "k": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"positive": [{"id": "1"}]}',
    b'{"positive": [{"id": 1.0}]}',
    b'{"positive": [{"id": true}]}',
    b'{"positive": [{"id": 0}]}',
    b'{"positive": [{"id": ' + b"9" * 5000 + b"}]}",
    b'{"positive": [{"id": 1, "text": "x"}]}',
    b'{"positive": [{}]}',
    b'{"positive": [{"id": 1, "weight": 0}]}',
    b'{"positive": [{"id": 1, "weight": NaN}]}',
    b'{"positive": [{"id": 1, "weight": 1e999}]}',
    b'{"positive": [{"vector": [1, NaN]}]}',
    b'{"positive": [{"vector": [1, 2]}]}',
    b'{"positive": [{"vector": [' + b"1," * 600_000 + b"1]}]}",
    b'{"positive": [{"image": "https://example.org/x.jpg"}]}',
    b'{"positive": [{"id": 1}], "k": 0}',
    b'{"positive": [{"id": 1}], "k": 1001}',
    b'{"positive": [{"id": 1}], "k": 1e3}',
    b'{"positive": [{"id": 1}], "k": "5"}',
    b'{"positive": [{"id": 1}], "exact": 1}',
    b'{"positive": [{"id": 1}], "min_score": 2}',
    b'{"positive": [{"id": 1}], "recall": 0}',
    b'{"positive": [{"id": 1}], "unknown": 1}',
    b'{"positive": [{"id": 1}], "region": [0, 0, 2, 1]}',
    b'{"positive": [{"id": 1}], "region": [0.5, 0, 0.6, 1]}',
    b'{"positive": [{"id": 1}], "where": {"attributes": {"none": 1}}}',
    b'{"positive": [{"id": 1}], "where": {"attributes": {"x": true}}}',
    b'{"positive": [{"id": 1}], "where": {"label": 5}}',
    b'{"positive": [{"id": 1}], "where": {"attributes": {"x": {"low": 2, "high": 1}}}}',
    b'{"positive": [{"id": 1}], "where": {"label": "\\ud800"}}',
    b"\xff\xfe",
]


@pytest.mark.parametrize("sent", WRONG_JSON, ids=lambda sent: repr(sent[:50]))
def test_what_is_not_as_described_is_refused(shared: Running, sent: bytes) -> None:
    response = shared.client.post("/v1/search", content=sent, headers={"Content-Type": "application/json"})
    problem(response, 422)


@pytest.mark.parametrize(
    "options", ["k=0", "k=1001", "k=x", "min_score=nan", "min_score=inf", "recall=2", "region=1", "region=nan,0,1,1",
                "unknown=1", "where=x", "exact=maybe", "region=0,0,1", "k=" + "9" * 5000],
)  # fmt: skip
def test_wrong_options_of_an_upload_are_refused(shared: Running, tmp_path: Path, options: str) -> None:
    data = draw(tmp_path / "00.png", 0).read_bytes()
    response = shared.client.post(f"/v1/search?{options}", content=data, headers={"Content-Type": "image/png"})
    problem(response, 422)


def test_a_body_of_another_type_or_a_form_without_an_image_is_refused(shared: Running) -> None:
    post = shared.client.post
    problem(post("/v1/search", content=b"x", headers={"Content-Type": "text/plain"}), 415)
    problem(post("/v1/search", content=b"x"), 415)
    problem(post("/v1/search", data={"k": "1"}), 415)
    problem(post("/v1/search", files={"other": b"x"}), 422)
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    problem(post("/v1/search", content=b"--x\r\nnonsense", headers=broken), 422)
    problem(post("/v1/search", content=b"x", headers={"Content-Type": "multipart/form-data"}), 422)
    problem(post("/v1/search?k=1", json={"positive": [{"id": 1}]}), 422)


def test_an_empty_collection_has_no_matches(photos: Collection) -> None:
    photos.remove([image.path for image in photos.images()])
    with running(photos) as service:
        data = (photos.folder / "00.png").read_bytes()
        assert search_image(service.client, data) == []
        assert service.client.get("/v1/images?facets=true").json()["images"] == []


def test_the_score_is_the_true_cosine(service: Running, photos: Collection) -> None:
    data = (photos.folder / "dogs" / "05.png").read_bytes()
    for match in search_image(service.client, data, k=12):
        seed = int(match["key"][-6:-4])
        assert match["score"] == pytest.approx(float(unit_of(5) @ unit_of(seed)), abs=1e-3)


def test_answers_are_strict_json_that_nothing_keeps(shared: Running) -> None:
    response: httpx.Response = shared.client.post("/v1/search", json={"positive": [{"id": 1}]})
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "application/json"
    assert b"NaN" not in response.content
