"""The images of the collection over HTTP: pages, facets, thumbnails and files, all by id."""

import hashlib
import io
import socket
import time
from typing import Any

import pytest
from PIL import Image

from lookalike import Collection, Where
from lookalike.server.answers import facets_members
from tests.support.http_service import Running, problem, running
from tests.support.pictures import draw
from tests.support.reindexing import annotate


def test_pages_give_each_image_once(service: Running, photos: Collection) -> None:
    found, after = list[int](), 0
    while True:
        page = service.client.get("/v1/images", params={"limit": 5, "after": after}).json()
        found += [image["id"] for image in page["images"]]
        assert page["facets"] is None
        if page["next"] is None:
            break
        after = page["next"]
    assert found == [image.id for image in photos.images()]


def test_facets_count_what_matches_and_follow_the_collection(service: Running, photos: Collection) -> None:
    def facets() -> object:
        return service.client.get("/v1/images?label=cats&facets=true&limit=1").json()

    first = facets()
    assert first == facets()
    assert first["total"] == 4  # type: ignore[index]
    assert first["facets"] == {  # type: ignore[index]
        "labels": [{"value": "cats", "images": 4}],
        "folders": [{"value": "cats", "images": 4}],
        "attributes": {},
    }
    annotate(photos, "path,colour\ncats/01.png,red\ncats/04.png,red\n")
    assert facets()["facets"]["attributes"] == {"colour": [{"value": "red", "images": 2}]}  # type: ignore[index]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "after=-1", "after=" + "9" * 30, "where=none=1"])
def test_wrong_pages_are_refused(shared: Running, query: str) -> None:
    problem(shared.client.get(f"/v1/images?{query}"), 422)


def test_one_image(service: Running, photos: Collection) -> None:
    image = photos.image(3)
    found = service.client.get("/v1/images/3").json()
    assert (found["id"], found["key"], found["label"]) == (3, image.key, image.label)
    assert "path" not in found


def test_a_thumbnail_is_drawn_anew_and_kept_by_its_version(service: Running, photos: Collection) -> None:
    photo = Image.effect_mandelbrot((640, 400), (-2, -1.5, 1, 1.5), 100).convert("RGB")
    photo.save(photos.folder / "big.jpg", exif=b"Exif\0\0secret", comment=b"secret")
    photos.add(photos.folder)
    own = photos.images()[-1]
    found = service.client.get(f"/v1/images/{own.id}").json()
    response = service.client.get(found["thumbnail"])
    assert response.headers["content-type"] == "image/jpeg"
    assert "immutable" in response.headers["cache-control"]
    assert b"secret" not in response.content
    image = Image.open(io.BytesIO(response.content))
    assert (image.format, image.size) == ("JPEG", (256, 160))
    assert image.resize((1, 1)).getpixel((0, 0)) == pytest.approx(photo.resize((1, 1)).getpixel((0, 0)), abs=6)
    large = service.client.get(f"/v1/images/{own.id}/thumbnail?size=512")
    assert Image.open(io.BytesIO(large.content)).size == (512, 320)
    assert large.headers["cache-control"] == "private, no-cache"
    again = service.client.get(found["thumbnail"], headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("size", ["0", "100", "99999999", "x", "-1"])
def test_only_some_sizes_of_thumbnails_are_drawn(shared: Running, size: str) -> None:
    problem(shared.client.get(f"/v1/images/1/thumbnail?size={size}"), 422)


def test_an_original_is_the_file_in_a_sandbox(service: Running, photos: Collection) -> None:
    image = photos.image(2)
    response = service.client.get("/v1/images/2/original")
    assert response.content == image.path.read_bytes()
    assert response.headers["etag"] == f'"{hashlib.sha256(response.content).hexdigest()}"'
    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-disposition"] == f"inline; filename*=UTF-8''{image.path.name}"
    assert service.client.get(response.url, headers={"If-None-Match": response.headers["etag"]}).status_code == 304


RANGES: list[tuple[str, slice]] = [
    ("bytes=0-9", slice(0, 10)),
    ("bytes=10-", slice(10, None)),
    ("bytes=-7", slice(-7, None)),
    ("bytes=5-5", slice(5, 6)),
    ("Bytes= 0-9", slice(0, 10)),
    ("bytes=20-99999999999", slice(20, None)),
    ("bytes=-99999999999", slice(0, None)),
]


@pytest.mark.parametrize(("header", "part"), RANGES, ids=[header for header, _ in RANGES])
def test_a_part_of_a_file_is_sent(shared: Running, header: str, part: slice) -> None:
    whole = shared.client.get("/v1/images/2/original")
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    for more in ({}, {"If-Range": whole.headers["etag"]}):
        response = shared.client.get("/v1/images/2/original", headers={"Range": header, **more})
        assert response.status_code == 206
        assert response.content == whole.content[part]
        start, stop, _ = part.indices(len(whole.content))
        assert response.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(whole.content)}"
        assert response.headers["content-length"] == str(stop - start)
        assert response.headers["etag"] == whole.headers["etag"]


def test_a_range_that_is_none_or_of_another_file_gets_the_whole_file(shared: Running) -> None:
    whole = shared.client.get("/v1/images/2/original").content
    ignored = ["bytes=9-0", "bytes=-", "bytes=0-1,3-4", "bytes=x-", "items=0-1", "bytes=٣-", "bytes=" + "9" * 30 + "-"]
    headers = [{b"Range": each.encode()} for each in ignored]
    headers += [{b"Range": b"bytes=0-1", b"If-Range": each} for each in (b'"other"', b"Wed, 21 Oct 2015 07:28:00 GMT")]
    for given in headers:
        response = shared.client.get("/v1/images/2/original", headers=given)
        assert (response.status_code, response.content) == (200, whole), given
    for beyond in (f"bytes={len(whole)}-", "bytes=999999-9999999", "bytes=-0"):
        response = shared.client.get("/v1/images/2/original", headers={"Range": beyond})
        problem(response, 416)
        assert response.headers["content-range"] == f"bytes */{len(whole)}"


def test_a_file_that_was_changed_or_swapped_for_a_link_is_not_sent(service: Running, photos: Collection) -> None:
    first, second, third, *_ = photos.images()
    draw(first.path, 99)
    outside = photos.folder.with_name("outside.png")
    second.path.rename(outside)
    second.path.symlink_to(outside)
    third.path.unlink()
    reasons = ("changed since it was indexed", "a link to a file outside of the folder", "vanished")
    for image, reason in zip((first, second, third), reasons, strict=True):
        for what in ("original", "thumbnail"):
            assert problem(service.client.get(f"/v1/images/{image.id}/{what}"), 404)["reason"] == reason


PATHS = [
    "/v1/images/../../etc/passwd",
    "/v1/images/..%2f..%2fetc%2fpasswd/original",
    "/v1/images/%2e%2e%2f%2e%2e%2fetc%2fpasswd/original",
    "/v1/images/%2Fetc%2Fpasswd/original",
    "/v1/images//etc/passwd/original",
    "/v1/images/00.png/original",
    "/v1/images/cats%2F01.png/original",
    "/v1/images/1%00/original",
    "/v1/images/-1/original",
    "/v1/images/1.0/thumbnail",
    "/v1/images/%D9%A1/thumbnail",
    "/v1/images/0/original",
    "/v1/images/999/original",
    "/v1/images/" + "9" * 19,
    "/v1/images/" + "9" * 6000,
    "/v1/images/1/original/x",
    "/v1/images/1/originals",
    "/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/static/../../etc/passwd",
    "//etc/passwd",
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:50])
def test_no_path_of_a_client_names_a_file(shared: Running, path: str) -> None:
    """Sent over a socket as it is, since a good client would tidy it up."""
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 404 "), answer[:200]
    assert b"root:" not in answer
    assert b"\x89PNG" not in answer


def test_the_cache_of_thumbnails_is_bounded() -> None:
    from lookalike.server.thumbnails import ThumbnailCache

    cache = ThumbnailCache(100)
    for number in range(10):
        cache.put(bytes([number]), 256, bytes(30))
        cache.get(b"\0", 256)
    assert [number for number in range(10) if cache.get(bytes([number]), 256)] == [0, 8, 9]
    cache.put(b"\0", 256, bytes(101))
    assert cache.get(b"\0", 256) is None


def test_files_that_are_being_sent_take_bounded_memory(photos: Collection) -> None:
    from lookalike.server.keeping import Files
    from lookalike.server.problems import ProblemError

    files = Files(100)
    files.held = 50
    files.response(bytes(50), None, {}, "image/png")
    with pytest.raises(ProblemError) as refused:
        files.response(bytes(51), None, {}, "image/png")
    assert refused.value.status == 503


def test_after_answers_nothing_is_held(photos: Collection) -> None:
    with running(photos) as service:
        for _ in range(3):
            service.client.get("/v1/images/1/original")
        files = service.server.config.app.state.service.files  # type: ignore[union-attr]
        until = time.monotonic() + 30
        while files.held and time.monotonic() < until:  # the last answer may just have been sent
            time.sleep(0.01)
        assert files.held == 0


def test_a_list_by_a_filter_is_the_page_of_these_images(service: Running, photos: Collection) -> None:
    where = {"ids": [2, 5, 9, 11], "label": ["cats", "dogs"]}
    expected = [image.id for image in photos.images(where=Where(label=["cats", "dogs"], ids=[2, 5, 9, 11]))]
    first = service.client.post("/v1/images/list", json={"where": where, "limit": 1, "facets": 1}).json()
    rest = service.client.post("/v1/images/list", json={"where": where, "after": first["next"]}).json()
    assert [image["id"] for image in first["images"] + rest["images"]] == expected
    assert (first["total"], rest["total"], rest["next"]) == (len(expected), None, None)
    assert first["facets"] == facets_members(photos.facets(Where(label=["cats", "dogs"], ids=[2, 5, 9, 11]), most=1))
    nothing = service.client.post("/v1/images/list", json={"limit": 0, "facets": 3}).json()
    assert (nothing["images"], nothing["next"], nothing["total"]) == ([], None, 12)
    refused: list[Any] = [{"limit": 501}, {"limit": -1}, {"after": -1}, {"facets": 0}, {"facets": True}, {"x": 1}, []]
    for wrong in refused:
        problem(service.client.post("/v1/images/list", json=wrong), 422)
    problem(service.client.post("/v1/images/list", content=b"{}"), 415)


def test_a_random_image_is_any_of_those_that_the_filter_admits(service: Running, photos: Collection) -> None:
    get = service.client.get
    found = {get("/v1/images/random").json()["id"] for _ in range(200)}
    assert found == {image.id for image in photos.images()}
    cats = {get("/v1/images/random?label=cats").json()["key"] for _ in range(60)}
    assert cats == {image.key for image in photos.images() if image.label == "cats"}
    below = get("/v1/images/random?under=dogs").json()
    assert below == get(f"/v1/images/{below['id']}").json()
    problem(get("/v1/images/random?label=none"), 404)
    problem(get("/v1/images/random?where=none=1"), 422)
    problem(get("/v1/images/random?k=1"), 422)
    photos.remove([image.path for image in photos.images() if image.id != 7])
    assert {get("/v1/images/random").json()["id"] for _ in range(20)} == {7}
    photos.remove([photos.image(7).path])
    problem(get("/v1/images/random"), 404)


def test_identical_files_have_the_same_sha256(service: Running, photos: Collection) -> None:
    data = (photos.folder / "00.png").read_bytes()
    (photos.folder / "copy.png").write_bytes(data)
    photos.add(photos.folder)
    found = {image["key"]: image["sha256"] for image in service.client.get("/v1/images").json()["images"]}
    assert found["copy.png"] == found["00.png"] == hashlib.sha256(data).hexdigest()
    assert len(set(found.values())) == 12
