"""Sends damaged requests to a service that runs as a process: it has to live, have no error of its own, be silent.

    python -m tests.campaigns.fuzz_http --count 20000 --seed 1

A request is a function of the seed and of its number. Requests are sent over sockets as they are, and the client goes
away as soon as it has the first bytes of an answer.
"""

import base64
import random
import re
import socket
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import lookalike
from lookalike.demo import write_gallery
from tests.campaigns import command_line
from tests.support.service_process import ServiceProcess, serving

_PATIENCE_S = 0.6  # for an answer; some damaged requests wait for more of themselves
_MEMORY = 600 * 2**20  # bytes that the process may take at most
_JSON = "Content-Type: application/json\r\n"
_IMAGE = "Content-Type: image/jpeg\r\n"
_WORDS = (
    *(b"NaN", b"1e999", b"-1", b"null", b"true", b"[]", b"{}", b'"', b"\\ud800", b"\0", b"\xff", b"../", b"%00", b"0"),
    *(b"%2e%2e%2f", b"9" * 20, b"\r\n", b'"id"', b'"vector"', b"Content-Length: 5\r\n", b"Expect: 100-continue\r\n"),
    *(b"Upgrade: websocket\r\nConnection: upgrade\r\n", b"Transfer-Encoding: chunked\r\n", b"[" * 300, b"Host: x\r\n"),
)


@dataclass
class Outcome:
    """What has come of the requests.

    Attributes:
        answers: how many had each status; "none" is a connection that was closed or silent.
        problems: what must not be, by the number of the request.
    """

    answers: Counter[str] = field(default_factory=Counter)
    problems: dict[int, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(f"{count} {status}" for status, count in self.answers.most_common())


def requests(image: bytes) -> list[bytes]:
    """A valid request of each kind."""
    text = base64.b64encode(image[:3000])
    search = b'{"positive":[{"id":3},{"image":"%s"}],"negative":[{"vector":[1,2],"weight":0.5}],"k":5,' % text
    search += b'"where":{"label":["mug"],"attributes":{"y":{"low":1}}},"region":[0,0,0.5,1]}'
    form = b'--XX\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n' + image
    form += b'\r\n--XX\r\nContent-Disposition: form-data; name="k"\r\n\r\n3\r\n--XX--\r\n'
    chunked = f"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\n{_IMAGE}Transfer-Encoding: chunked\r\n\r\n".encode()
    return [
        _request("POST", "/v1/search?k=3", _IMAGE, image),
        _request("POST", "/v1/search", _JSON, search),
        _request("POST", "/v1/search", "Content-Type: multipart/form-data; boundary=XX\r\n", form),
        _request("POST", "/v1/search/batch", _JSON, b'{"queries":[{"positive":[{"id":3}]}]}'),
        _request("POST", "/v1/embeddings", _JSON, b'{"input":[{"image":"%s"},"text"]}' % text),
        _request("POST", "/v1/session", _JSON, b'{"token":"xxxxxxxxxxxxxxxxxxxx"}'),
        _request("GET", "/v1/images?limit=3&facets=true&label=mug&where=y%3D1..2"),
        _request("GET", "/v1/images/5/thumbnail?size=256&v=abc", 'If-None-Match: "x"\r\n'),
        _request("GET", "/v1/images/5/original", "Range: bytes=0-10\r\n"),
        _request("GET", "/metrics", "Cookie: lookalike_session=1.2\r\nAuthorization: Bearer x\r\n"),
        _request("PUT", "/v1/images/a/b.jpg", _IMAGE, image[:500]),
        _request("DELETE", "/v1/images/999999?file=true"),
        chunked + f"{len(image):x}\r\n".encode() + image + b"\r\n0\r\n\r\n",
    ]


def _request(method: str, path: str, headers: str = "", body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def damaged(request: bytes, rng: random.Random) -> bytes:
    """A request with one to six damages, half of them in its head."""
    data = bytearray(request)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        head = max(data.find(b"\r\n\r\n"), 1)
        at = rng.randrange(min(max(len(data), 1), head if rng.random() < 0.5 else len(data) + 1))
        match rng.randrange(5):
            case 0:
                data[at : at + 1] = rng.randbytes(1)
            case 1:
                data[at:at] = rng.choice(_WORDS)
            case 2:
                del data[at : at + rng.randrange(1, 40)]
            case 3:
                data[at : at + rng.randrange(1, 10)] = rng.choice(_WORDS)
            case _:
                data[at:at] = data[at : at + rng.randrange(1, 200)]
    return bytes(data)


def run(folder: Path, *, count: int, seed: int) -> Outcome:
    """Sends that many requests to a service of images that are drawn into an empty folder."""
    write_gallery(folder / "photos", per_kind=1)
    with lookalike.create(folder / "photos") as collection:
        collection.add(folder / "photos")
    valid, outcome = requests(next((folder / "photos").rglob("*.jpg")).read_bytes()), Outcome()
    with serving(folder / "photos", "--writable", log=folder / "log") as service:
        for number in range(count):
            rng = random.Random(f"{seed} {number}")
            status = _status(service.port, damaged(rng.choice(valid), rng))
            outcome.answers[status] += 1
            if status.startswith("5") and status != "503":
                outcome.problems[number] = f"answered {status}"
            if not service.is_running:
                outcome.problems[number] = f"ended the service ({service.process.returncode})"
                return outcome
        outcome.problems |= _at_the_end(service, folder / "log", count)
    return outcome


def _status(port: int, request: bytes) -> str:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        if found := re.match(rb"HTTP/1\.1 (\d{3}) ", connection.recv(200)):
            return found[1].decode()
    return "none"


def _at_the_end(service: ServiceProcess, log: Path, count: int) -> Mapping[int, str]:
    """What is wrong with the service after all requests."""
    if (status := service.status("/v1/info")) != 200:
        return {count: f"does not answer any more ({status})"}
    if (peak := service.memory(peak=True)) > _MEMORY:
        return {count: f"took {peak // 2**20} MB"}
    if said := log.read_text():
        return {count: f"said: {said[:2000]}"}
    return {}


def main() -> int:
    """Runs the campaign; the exit code says whether anything is wrong."""
    parser = command_line.parser(sys.modules[__name__])
    parser.add_argument("--count", type=int, default=20_000)
    options = parser.parse_args()
    with command_line.scratch(options) as folder:
        outcome = run(folder, count=options.count, seed=options.seed)
    return command_line.tell(outcome, outcome.problems)


if __name__ == "__main__":
    sys.exit(main())
