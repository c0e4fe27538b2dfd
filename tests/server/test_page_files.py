"""The files of the page: what is sent, how browsers keep it, and that nothing needs another host or `unsafe-*`."""

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import lookalike.server
from lookalike import Collection
from lookalike.server.page import page
from lookalike.server.settings import Settings
from tests.support.http_service import TOKEN, Running, problem, running

FOLDER = Path(lookalike.server.__file__).parent / "static"
FILES = sorted(path for path in FOLDER.iterdir() if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
PAGES = {"/": (FOLDER / "index.html").read_text(), "/review": (FOLDER / "review.html").read_text()}


class Elements(HTMLParser):
    """The elements of a page with their attributes, and what stands in its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in ("script", "style") and data.strip():
            self.inline.append(data)


def addresses(text: str) -> list[str]:
    """The addresses of the page's own files in its start page."""
    return re.findall(r'(?:href|src)="(static/[^"]+)"', text)


def used(page: str) -> set[str]:
    """The names of the files that a page loads, and of the modules that those import."""
    names = {Path(address).name for address in addresses(page)}
    waiting = [name for name in names if name.endswith(".js")]
    while waiting:
        found = set(re.findall(r'from "\./([^"]+)"', (FOLDER / waiting.pop()).read_text())) - names
        names |= found
        waiting += found
    return names


@pytest.mark.parametrize(("place", "least"), [("/", 30), ("/review", 12)])
def test_a_page_names_files_that_are_sent_with_their_types(shared: Running, place: str, least: int) -> None:
    start = shared.client.get(place)
    assert start.headers["content-type"] == "text/html; charset=utf-8"
    assert start.headers["cache-control"] == "no-cache"
    found = addresses(start.text)
    assert len(found) > least
    for address in found:
        response = shared.client.get(f"/{address}")
        path = FOLDER / Path(address).name
        assert response.content == path.read_bytes(), address
        assert response.headers["content-type"] == TYPES[path.suffix]
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["x-content-type-options"] == "nosniff"


def test_every_file_has_an_address_and_nothing_else_has(shared: Running) -> None:
    version = page().version
    for path in FILES:
        expected = 404 if path.suffix == ".html" else 200
        assert shared.client.get(f"/static/{version}/{path.name}").status_code == expected, path.name
    others = [f"{version}/none.js", "0123456789ab/app.js", f"{version}/../page.py", f"{version}/%2e%2e%2fpage.py",
              f"{version}/app.js/", f"{version}/..%5cpage.py", f"{version}//etc/passwd", version, ""]  # fmt: skip
    for other in others:
        problem(shared.client.get(f"/static/{other}"), 404)


def test_the_version_changes_with_the_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import resources

    before = page()
    static = tmp_path / "static"
    static.mkdir()
    for path in FILES:
        (static / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(resources, "files", lambda _: tmp_path)
    assert page.__wrapped__() == before
    (static / "app.js").write_bytes(b"// another one")
    (static / "app.js~").write_bytes(b"an editor's copy")
    after = page.__wrapped__()
    assert after.version != before.version
    assert set(after.files) == set(before.files)
    assert after.files["app.js"].etag != before.files["app.js"].etag


@pytest.mark.parametrize("address", ["/", "/review", f"/static/{page().version}/app.js"])
def test_a_browser_that_has_a_file_gets_it_only_once(shared: Running, address: str) -> None:
    etag = shared.client.get(address).headers["etag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        again = shared.client.get(address, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert shared.client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("address", ["/", "/review", f"/static/{page().version}/app.js"])
def test_head_has_the_headers_of_get(shared: Running, address: str) -> None:
    got, head = shared.client.get(address), shared.client.head(address)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "content-length", "cache-control"):
        assert head.headers[name] == got.headers[name]


def test_files_are_compressed_for_browsers_that_take_it(shared: Running) -> None:
    address = f"/static/{page().version}/app.js"
    with shared.client.stream("GET", address, headers={"Accept-Encoding": "br, gzip"}) as response:
        assert response.headers["content-encoding"] == "gzip"
        sent = b"".join(response.iter_raw())
    assert gzip.decompress(sent) == (FOLDER / "app.js").read_bytes()
    for refused in ("identity", "gzip;q=0", ""):
        plain = shared.client.get(address, headers={"Accept-Encoding": refused})
        assert "content-encoding" not in plain.headers
        assert plain.headers["vary"] == "Accept-Encoding"


def test_the_policy_is_strict_and_the_page_keeps_to_it(shared: Running) -> None:
    policy = shared.client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for elements in map(Elements, PAGES.values()):
        assert not elements.inline
        for tag, attributes in elements.found:
            assert "style" not in attributes, tag
            assert not [name for name in attributes if name.startswith("on")], tag
    for path in SCRIPTS:
        text = path.read_text()
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "cssText",
        ):
            assert way not in text, path.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_names_another_host(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")  # a name, which nothing is loaded from
    assert not re.search(r"https?:|[\"'(]//", text)


def test_modules_that_are_imported_exist_and_have_what_is_imported() -> None:
    names = re.compile(r'import (?:\{([^}]*)\} from )?"([^"]+)";')
    for path in SCRIPTS:
        for wanted, module in names.findall(path.read_text()):
            assert module.startswith("./"), path.name
            text = (FOLDER / module).read_text()
            for name in filter(None, (each.partition(" as ")[0].strip() for each in wanted.split(","))):
                assert re.search(rf"^export (?:async )?(?:function|const|class) {name}\b", text, re.MULTILINE), (
                    path,
                    name,
                )


def test_every_module_is_announced_so_that_none_waits_for_another() -> None:
    for each in PAGES.values():
        assert {Path(address).name for address in addresses(each)} == used(each)
    assert set.union(*map(used, PAGES.values())) == {path.name for path in FILES if path.suffix != ".html"}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_every_element_that_a_script_asks_for_is_there(page: str) -> None:
    found = Elements(page).found
    there = {attributes["id"] for _, attributes in found if "id" in attributes}
    for name in used(page):
        for asked in re.findall(r'byId\("([^"]+)"\)', (FOLDER / name).read_text()):
            assert asked in there, (name, asked)
    labels = [attributes["for"] for tag, attributes in found if tag in ("label", "output") and "for" in attributes]
    icons = re.findall(r'href="#([^"]+)"', page)
    assert {*labels, *icons} <= there


def test_the_page_needs_no_token_and_the_rest_does(photos: Collection) -> None:
    with running(photos, Settings(token=TOKEN)) as service:
        bare = {"Authorization": ""}
        start = service.client.get("/", headers=bare)
        assert start.status_code == 200
        for address in addresses(start.text):
            assert service.client.get(f"/{address}", headers=bare).status_code == 200
        problem(service.client.get("/v1/info", headers=bare), 401)
        problem(service.client.get("/v1/images/random", headers=bare), 401)
