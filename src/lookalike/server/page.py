"""The page for people: its files, which are read once at the start, and the routes that send them.

The files stand in `static/`. Only the names that are there at the start have an address. It changes with the contents
of the files, so that browsers keep them; `/` names the current ones and is asked for again each time. Nothing here
needs the token, since the page itself asks for it.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike.server.problems import not_found

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}
_START, _REVIEW = "index.html", "review.html"  # the pages, which have no address in `static/`
_VERSION = 12  # hexadecimal digits
_KEPT = f"public, max-age={365 * 24 * 3600}, immutable"

router = APIRouter(tags=["about"])


@dataclass(frozen=True)
class File:
    """A file of the page, as it is and compressed."""

    media_type: str
    data: bytes
    gzipped: bytes
    etag: str

    @classmethod
    def of(cls, name: str, data: bytes) -> "File":
        """The file of that name; its ending tells its type."""
        etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        return cls(_TYPES[name.rpartition(".")[2]], data, gzip.compress(data, mtime=0), etag)


@dataclass(frozen=True)
class Page:
    """The pages, the files that they use by their names, and the version that stands in their addresses."""

    version: str
    start: File
    review: File
    files: Mapping[str, File]


@cache
def page() -> Page:
    """Reads the files of the package."""
    folder = resources.files("lookalike.server") / "static"
    found = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.rpartition(".")[2] in _TYPES}
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(f"{name} {len(found[name])} ".encode() + found[name])
    version = digest.hexdigest()[:_VERSION]
    start, review = (
        File.of(name, found.pop(name).replace(b'"static/', f'"static/{version}/'.encode()))
        for name in (_START, _REVIEW)
    )
    return Page(version, start, review, {name: File.of(name, data) for name, data in found.items()})


@router.get("/", summary="The page", response_class=Response, responses={200: {"content": {"text/html": {}}}})
@router.head("/", include_in_schema=False)
async def start(request: Request) -> Response:
    """The page on which people search the collection with a browser."""
    return _sent(request, page().start, "no-cache")


@router.get(
    "/review", summary="The page of copies", response_class=Response, responses={200: {"content": {"text/html": {}}}}
)
@router.head("/review", include_in_schema=False)
async def review(request: Request) -> Response:
    """The page on which people decide which copies to keep."""
    return _sent(request, page().review, "no-cache")


@router.get("/static/{version}/{name}", include_in_schema=False)
@router.head("/static/{version}/{name}", include_in_schema=False)
async def static(request: Request, version: str, name: str) -> Response:
    """A file of the page."""
    file = page().files.get(name)
    if file is None or version != page().version:
        raise not_found()
    return _sent(request, file, _KEPT)


def _sent(request: Request, file: File, cache_control: str) -> Response:
    headers = {"ETag": file.etag, "Cache-Control": cache_control, "Vary": "Accept-Encoding"}
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or file.etag in [each.strip().removeprefix("W/") for each in known.split(",")]:
        return Response(status_code=304, headers=headers)
    if not _takes_gzip(request):
        return Response(file.data, headers=headers, media_type=file.media_type)
    return Response(file.gzipped, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media_type)


def _takes_gzip(request: Request) -> bool:
    given = request.headers.get("accept-encoding", "").replace(" ", "").lower().split(",")
    return "gzip" in given
