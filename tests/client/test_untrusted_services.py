"""No answer of a service is trusted: its size is bounded, its form is checked, and its text is shown harmless."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from lookalike import Client
from lookalike.errors import Hint, ImageError, IncompatibleError, LookalikeError, ServiceError, UsageError
from tests.client.test_retries import IMAGE, WRITABLE
from tests.support.project import environment
from tests.support.wrong_services import answering, says, sends, sends_without_end

MATCH = {**IMAGE, "score": 0.5}
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PART = b"10000\r\n" + b" " * 65536 + b"\r\n"


def found(*matches: Any, **more: Any) -> bytes:
    return json.dumps({"matches": matches, **more}).encode()


WRONG: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"<html>",
    "half": b'{"matches": [',
    "a list": b"[]",
    "deep": b'{"matches": ' + b"[" * 100_000,
    "NaN": found({**MATCH, "score": float("nan")}),
    "infinite": b'{"matches": [%s]}' % json.dumps(MATCH).replace("0.5", "1e999").encode(),
    "long number": b'{"matches": [%s]}' % json.dumps(MATCH).replace("0.5", "9" * 4000).encode(),
    "longer number": b'{"matches": [%s]}' % json.dumps(MATCH).replace("0.5", "9" * 5000).encode(),
    "a score of text": found({**MATCH, "score": "0.5"}),
    "a score that is true": found({**MATCH, "score": True}),
    "a score of 2": found({**MATCH, "score": 2}),
    "no score": found(IMAGE),
    "an expected number below 0": found({**MATCH, "expected": -1}),
    "a probability above 1": found({**MATCH, "probability": 1.5}),
    "a probability below 0": found({**MATCH, "probability": -0.1}),
    "a probability of a copy above 1": found({**MATCH, "copy_probability": 1.5}),
    "a probability of a copy of text": found({**MATCH, "copy_probability": "0.5"}),
    "a probability of text": found({**MATCH, "probability": "0.5"}),
    "an expected number of text": found({**MATCH, "expected": "0.5"}),
    "an expected number that is true": found({**MATCH, "expected": True}),
    "an expected number that is infinite": b'{"matches": [%s]}'
    % json.dumps({**MATCH, "expected": 7}).replace("7}", "1e999}").encode(),
    "no id": found({**MATCH, "id": None}),
    "id 0": found({**MATCH, "id": 0}),
    "id of a float": found({**MATCH, "id": 7.0}),
    "a huge id": found({**MATCH, "id": 2**63}),
    "key of bytes": found({**MATCH, "key": 5}),
    "no key": found({**MATCH, "key": ""}),
    "a key with a zero": found({**MATCH, "key": "a\0b"}),
    "half a character": found({**MATCH, "key": "\ud800"}),
    "another key in bytes": found({**MATCH, "key": "x.png", "key_bytes": "eS5wbmc="}),
    "bytes that are none": found({**MATCH, "key": "x.png", "key_bytes": "*"}),
    "bytes that are a number": found({**MATCH, "key": "x.png", "key_bytes": 5}),
    "a label of lists": found({**MATCH, "label": [[]]}),
    "a negative width": found({**MATCH, "width": -1}),
    "attributes of lists": found({**MATCH, "attributes": {"a": [1]}}),
    "attributes that are none": found({**MATCH, "attributes": []}),
    "a short checksum": found({**MATCH, "sha256": "00"}),
    "no checksum": found({**MATCH, "sha256": None}),
    "too many": found(*[MATCH] * 11),
    "out of order": found({**MATCH, "score": 0.1}, MATCH),
    "no matches": b"{}",
    "matches of text": found("x"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_of_another_form_is_refused(name: str) -> None:
    with answering(says(200, WRONG[name])) as asked, Client(asked.address) as client:
        with pytest.raises(ServiceError, match="not as the API describes it") as told:
            client.search_id(1)
        assert len(str(told.value)) < 500


def test_an_answer_of_the_right_form_is_taken_whatever_more_is_in_it() -> None:
    answer = found({**MATCH, "new": [1], "attributes": {"a": None, "b": -1.5}}, {**MATCH, "score": -1}, more={})
    with answering(says(200, answer)) as asked, Client(asked.address) as client:
        assert [match.score for match in client.search_id(1)] == [0.5, -1.0]


CALLS: list[tuple[Callable[[Client], Any], dict[str, Any]]] = [
    (lambda client: client.info(), {**WRITABLE, "images": -1}),
    (lambda client: client.info(), {**WRITABLE, "limits": {}}),
    (lambda client: client.info(), {**WRITABLE, "attributes": [1]}),
    (lambda client: client.info(), {**WRITABLE, "writable": 1}),
    (lambda client: client.facets(), {"total": 1, "facets": {"labels": [{"value": [], "images": 1}]}}),
    (lambda client: client.facets(), {"total": 1, "facets": {"labels": [], "folders": [], "attributes": []}}),
    (lambda client: client.facets(most=1), {"total": 9, "facets": {"labels": [{"value": "a", "images": 1}] * 9}}),
    (lambda client: client.embed_text("a"), {"data": []}),
    (lambda client: client.embed_text("a"), {"data": [{"embedding": [1.0]}]}),
    (lambda client: client.embed_text("a"), {"data": [{"embedding": "AAAAAA=="}]}),
    (lambda client: client.embed_text("a"), {"data": [{"embedding": "AADAfw=="}]}),
    (lambda client: client.embed_text("a"), {"data": [{"embedding": "AACA"}]}),
    (lambda client: client.embed_text("a"), {"data": [{"embedding": "AACAPw=="}] * 2}),
]


@pytest.mark.parametrize("case", range(len(CALLS)))
def test_other_answers_are_checked_as_well(case: int) -> None:
    call, answer = CALLS[case]
    with (
        answering(says(200, json.dumps(answer).encode())) as asked,
        Client(asked.address) as client,
        pytest.raises(ServiceError, match="not as the API describes it"),
    ):
        call(client)


def test_pages_come_to_an_end_whatever_a_service_answers() -> None:
    page = {"images": [IMAGE], "next": 7}
    info = says(200, json.dumps(WRITABLE).encode())
    with (
        answering(info, says(200, json.dumps(page).encode())) as asked,
        Client(asked.address) as client,
        pytest.raises(ServiceError, match="not as the API describes it"),
    ):
        client.images(limit=10**9)
    assert len(asked.heads) == 3


def test_a_batch_has_an_answer_for_each_query() -> None:
    info = says(200, json.dumps(WRITABLE).encode())
    wrong: list[list[Any]] = [[], [{"matches": []}] * 2, [{"matches": [], "problem": []}], [{}]]
    for answer in wrong:
        body = json.dumps({"answers": answer}).encode()
        with (
            answering(info, says(200, body)) as asked,
            Client(asked.address) as client,
            pytest.raises(ServiceError),
        ):
            client.search_many([b"x"])


def test_the_bytes_of_a_file_are_those_that_were_indexed() -> None:
    for data in (b"other", b""):
        with (
            answering(says(200, json.dumps(IMAGE).encode()), says(200, data)) as asked,
            Client(asked.address) as client,
            pytest.raises(ImageError, match=r"x\.png: changed while it was fetched"),
        ):
            client.original(7)
    with (
        answering(says(200, b"<script>")) as asked,
        Client(asked.address) as client,
        pytest.raises(ServiceError, match="no JPEG"),
    ):
        client.thumbnail(7)


HUGE = [
    says(200, b"", "Content-Length: 99999999999"),
    sends(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"),
    sends_without_end(CHUNKED, PART),
    sends_without_end(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536),
    sends_without_end(b"HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n", PART),
    sends_without_end(b"HTTP/1.1 200 OK\r\n", b"X: " + b"x" * 60_000 + b"\r\n"),
    sends_without_end(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536),
    sends_without_end(b"", b"x" * 65536),
    sends(b'HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n{"matches": [' + b"[]," * 19_999_996 + b"1]}"),
]


@pytest.mark.parametrize("case", range(len(HUGE)))
def test_memory_is_bounded_whatever_a_service_sends(case: int) -> None:
    """Each in a process of its own, whose peak is measured."""
    program = f"""
import resource
from lookalike import Client
from tests.client.test_untrusted_services import HUGE
from tests.support.wrong_services import answering
with answering(HUGE[{case}]) as asked, Client(asked.address, timeout=20, retries=0) as client:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        client.search_id(1)
    except Exception as error:
        print(type(error).__name__, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
    )
    kind, grown_kb = done.stdout.split()
    assert kind == "ServiceError"
    assert int(grown_kb) < 250_000


def test_a_packed_answer_is_not_unpacked() -> None:
    with answering(says(200, b"x", "Content-Encoding: gzip")) as asked, Client(asked.address) as client:
        with pytest.raises(ServiceError, match="packed"):
            client.search_id(1)
        assert "Accept-Encoding: identity" in asked.heads[0]


def told_by(status: int, **members: Any) -> LookalikeError:
    """The error for a problem detail."""
    body = json.dumps({"type": "about:blank", "detail": "told", "hints": [], **members}).encode()
    with (
        answering(says(status, body)) as asked,
        Client(asked.address) as client,
        pytest.raises(LookalikeError) as told,
    ):
        client.search_id(1)
    return told.value


def test_errors_are_those_of_the_service_with_their_hints() -> None:
    hint = {"action": "reindex", "arguments": {"path": "photos", "encoder": None}, "purpose": "x"}
    error = told_by(503, type="urn:lookalike:incompatible-error", hints=[hint])
    assert isinstance(error, IncompatibleError)
    assert error.hints == (Hint("reindex", {"path": "photos", "encoder": ...}),)
    assert str(error).endswith("told; to index its images again: lookalike.reindex('photos', encoder=...)")
    assert isinstance(told_by(422, type="urn:lookalike:usage-error"), UsageError)
    assert isinstance(told_by(413), UsageError)
    assert isinstance(told_by(404), ServiceError)
    assert isinstance(told_by(422, type="urn:lookalike:image-error", reason="truncated"), ImageError)
    assert isinstance(told_by(422, type="urn:lookalike:keyboard-interrupt"), UsageError)


HINTS: list[Any] = [
    {"action": "forget_sources", "arguments": {"file": "/etc/passwd"}},
    {"action": "trust", "arguments": {"path": "photos"}},
    {"action": "remove_images", "arguments": {"path": "photos", "image": "."}},
    {"action": "overwrite", "arguments": {}},
    {"action": "install", "arguments": {"extra": 'x]"; rm -rf ~; "'}},
    {"action": "install", "arguments": {}},
    {"action": "create", "arguments": {"path": {"a": 1}}},
    {"action": "create", "arguments": {"path": "x" * 10_000}},
    {"action": "create", "arguments": {"a b": "x"}},
    {"action": "create", "arguments": {str(number): 1 for number in range(1000)}},
    {"action": ["create"], "arguments": {}},
    {"action": "maintain", "arguments": {"all": 1}},
    {"action": "rm -rf"},
    *(5, None, [], "create"),
]


def test_hints_that_harm_or_are_none_are_left_out() -> None:
    for hint in HINTS:
        assert told_by(500, hints=[hint]).hints == (), hint
    assert told_by(500, hints={"action": "create"}).hints == ()
    good = {"action": "create", "arguments": {"path": "a'b\n"}}
    assert len(told_by(500, hints=[good] * 1000).hints) < 10
    assert 'lookalike.create("a\'b\\n")' in str(told_by(500, hints=[good]))


def test_text_of_a_service_cannot_act_on_a_terminal_or_fill_it() -> None:
    for members in ({"detail": "\x1b[2J\r\nTraceback\u202e" * 1000}, {"reason": "\x1b]0;x\x07"}, {"detail": ["\x1b"]}):
        for status in (422, 500, 503):
            text = str(told_by(status, **members))
            assert not {"\x1b", "\r", "\n", "\x07", "\u202e"} & set(text)
            assert len(text) < 1300
    with answering(sends(b"HTTP/1.1 \x1b[2J\r\n\r\n")) as asked, Client(asked.address) as client:
        with pytest.raises(ServiceError) as told:
            client.search_id(1)
        assert "\x1b" not in str(told.value)


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.1:8765", "ftp://a", "http://", "http://a:99999", "http://a:x", "http://[::1", "http://a/?b", "//a",
     "http://a/#b", "http://a b", "http://a\r\nX: y", "http://ä", "file:///etc/passwd", "http://a:0"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="address="):
        Client(address)


def test_secrets_in_an_address_are_refused_and_not_shown() -> None:
    with pytest.raises(UsageError, match="not in the address") as told:
        Client("http://user:password@example.org")
    assert "password@" not in str(told.value)
    with pytest.raises(UsageError) as told:
        Client("http://user:password@example.org:x")
    assert "password" not in str(told.value)


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: y", "ä", "x" * 5000, 5])
def test_a_token_that_a_header_cannot_carry_is_refused(token: Any) -> None:
    with pytest.raises(UsageError, match="token"):
        Client("http://127.0.0.1", token=token)


def test_addresses_may_have_a_path_and_a_port() -> None:
    assert Client("https://example.org/photos/").address == "https://example.org/photos"
    assert Client("http://[::1]:8765").address == "http://[::1]:8765"
    with answering(says(200, found())) as asked, Client(f"{asked.address}/a/b/") as client:
        client.search_id(1)
        assert asked.heads[0].startswith("POST /a/b/v1/search HTTP/1.1\r\n")
