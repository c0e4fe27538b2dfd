"""Who may use the service: rows 35 and 36 of the table of faults, the token, and the session of a page."""

import asyncio
import http.client
from pathlib import Path

import httpx
import pytest

from lookalike import Collection
from lookalike.errors import UsageError
from lookalike.server.access import Token
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from tests.support.http_service import TOKEN, Running, problem, running
from tests.support.pictures import draw

PUBLIC = {"/", "/review", "/health", "/ready", "/v1/session"}


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.0.2.1", "2001:db8::1"])
def test_other_machines_are_let_in_only_with_a_token(host: str) -> None:
    with pytest.raises(UsageError, match="give a token as well, or listen on"):
        Settings(host=host)
    Settings(host=host, token=TOKEN)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_token(host: str) -> None:
    Settings(host=host)


@pytest.mark.parametrize("token", ["", "short", "x" * 513, "a token of some length", "ä" * 20, "x" * 16 + "\n"])
def test_a_token_that_is_weak_or_cannot_be_sent_is_refused(token: str) -> None:
    with pytest.raises(UsageError, match="token"):
        Settings(token=token)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="no such address"):
        Settings(host="no such host")


def test_every_route_but_a_few_wants_the_token(photos: Collection) -> None:
    """Asked over HTTP, so that no other way of declaring it counts."""
    with running(photos, Settings(token=TOKEN, writable=True)) as service:
        description = service.client.get("/openapi.json").json()
        asked, bare = set(), httpx.Client(base_url=service.client.base_url)
        for path, methods in description["paths"].items():
            for method in methods:
                address = path.format(image_id="1", key="x.png")
                response = bare.request(method, address)
                asked.add(path)
                if path in PUBLIC:
                    assert response.status_code != 401 or path == "/v1/session"
                else:
                    assert problem(response, 401)["type"] == "urn:lookalike:unauthorized"
                    assert response.headers["www-authenticate"].startswith("Bearer")
        bare.close()
        assert {"/v1/search", "/v1/images/{image_id}/original", "/v1/images/{key}", "/metrics", "/v1/info"} < asked


WRONG = [
    "",
    "Bearer",
    "Bearer x",
    f"Bearer {TOKEN}x",
    f"Bearer {TOKEN[:-1]}",
    f"Basic {TOKEN}",
    TOKEN,
    f"Bearer {TOKEN} x",
]


def test_a_wrong_token_is_refused(photos: Collection) -> None:
    with running(photos, Settings(token=TOKEN)) as service:
        assert service.client.get("/v1/info").status_code == 200
        for header in WRONG:
            problem(service.client.get("/v1/info", headers={"Authorization": header}), 401)


def test_the_token_is_never_taken_from_the_address(photos: Collection) -> None:
    with running(photos, Settings(token=TOKEN)) as service:
        bare = httpx.Client(base_url=service.client.base_url)
        for query in (f"token={TOKEN}", f"access_token={TOKEN}", f"lookalike_session={TOKEN}"):
            problem(bare.get(f"/v1/info?{query}"), 401)
        bare.close()


def test_a_page_gets_a_cookie_for_the_token_with_which_images_load(photos: Collection) -> None:
    with (
        running(photos, Settings(token=TOKEN)) as service,
        httpx.Client(base_url=service.client.base_url) as page,
    ):
        problem(page.post("/v1/session", json={"token": f"{TOKEN}x"}), 401)
        problem(page.get("/v1/images/1/thumbnail"), 401)
        response = page.post("/v1/session", json={"token": TOKEN})
        cookie = response.headers["set-cookie"]
        assert response.status_code == 204
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/"))
        assert TOKEN not in cookie
        assert page.get("/v1/images/1/thumbnail").status_code == 200
        page.delete("/v1/session")
        problem(page.get("/v1/images/1/thumbnail"), 401)


FORWARDED: list[tuple[dict[str, str], bool]] = [
    ({"X-Forwarded-Proto": "https"}, True),
    ({"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}, True),
    ({"X-Forwarded-Proto": "http"}, False),
    ({"X-Forwarded-Proto": "https; x"}, False),
    ({}, False),
]


def test_the_cookie_is_for_https_if_the_proxy_was_asked_so(photos: Collection) -> None:
    with running(photos, Settings(token=TOKEN)) as service:
        for headers, is_secure in FORWARDED:
            response = service.client.post("/v1/session", json={"token": TOKEN}, headers=headers)
            assert ("Secure" in response.headers["set-cookie"]) == is_secure, headers


async def _session(proxies: tuple[str, ...], peer: str, photos: Collection) -> str:
    """The cookie that a peer gets who says that it was asked by https."""
    settings = Settings(token=TOKEN, proxies=proxies)
    transport = httpx.ASGITransport(create_app(photos, settings), client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        sent = await client.post("/v1/session", json={"token": TOKEN}, headers={"X-Forwarded-Proto": "https"})
    return sent.headers["set-cookie"]


@pytest.mark.parametrize(
    ("proxies", "peer", "is_secure"),
    [
        ((), "127.0.0.1", True),
        ((), "::1", True),
        ((), "10.0.0.5", False),
        (("10.0.0.5",), "10.0.0.5", True),
        (("10.0.0.0/24",), "10.0.0.77", True),
        (("10.0.0.0/24",), "10.0.1.7", False),
    ],
)
def test_only_trusted_proxies_say_how_they_were_asked(
    photos: Collection, proxies: tuple[str, ...], peer: str, is_secure: bool
) -> None:
    assert ("Secure" in asyncio.run(_session(proxies, peer, photos))) == is_secure


@pytest.mark.parametrize("proxy", ["", "proxy.example.org", "10.0.0.5/8", "10.0.0.0/99", "*"])
def test_a_proxy_without_an_address_is_refused(proxy: str) -> None:
    with pytest.raises(UsageError, match="no address of a proxy"):
        Settings(proxies=(proxy,))


def test_a_session_cannot_be_made_up_or_prolonged() -> None:
    token = Token(TOKEN)
    session = token.new_session()
    until, _, seal = session.partition(".")
    assert token._is_session(session)
    for other in (f"{int(until) + 1}.{seal}", f"{until}.{seal[:-1]}0", until, "", ".", f".{seal}", f"{until}.é"):
        assert other == session or not token._is_session(other)
    assert not Token(TOKEN + "x")._is_session(session)
    past = "1000000000"
    assert not token._is_session(f"{past}.{token._seal(past)}")


def ask(service: Running, method: str, path: str, headers: list[tuple[str, str]]) -> http.client.HTTPResponse:
    connection = service.connection()
    connection.putrequest(method, path, skip_host=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


HOSTS = [
    *("example.org", "127.0.0.1.example.org", "localhost.example.org", "user@127.0.0.1", "127.0.0.1/x", "", "a b"),
    *("[x]", "127.0.0.1:x", "127.0.0.1:8765:1"),
]


def test_a_foreign_host_is_refused_and_nothing_is_changed(photos: Collection) -> None:
    with running(photos, Settings(writable=True)) as service:
        for headers in ([], [("Host", "127.0.0.1"), ("Host", "example.org")], *([("Host", host)] for host in HOSTS)):
            for method, path in (("GET", "/v1/info"), ("DELETE", "/v1/images/1?file=true"), ("GET", "/")):
                assert 400 <= ask(service, method, path, headers).status < 500, headers
        assert len(photos) == 12


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1234", "localhost", "LOCALHOST:80", "[::1]:8765", "10.0.0.1"])
def test_its_own_names_and_addresses_are_answered(shared: Running, host: str) -> None:
    assert ask(shared, "GET", "/v1/info", [("Host", host)]).status == 200


def test_the_names_of_a_reverse_proxy_are_answered_if_they_were_given(photos: Collection) -> None:
    with running(photos, Settings(hosts=("photos.example.org",))) as service:
        assert ask(service, "GET", "/v1/info", [("Host", "photos.example.org")]).status == 200
        own = [("Host", "photos.example.org"), ("Origin", "https://photos.example.org")]
        assert ask(service, "GET", "/v1/info", own).status == 200
        assert ask(service, "GET", "/v1/info", [("Host", "example.org")]).status == 421


FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://example.org"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://127.0.0.1.example.org"},
    {"Origin": "file://"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
]


def test_another_sites_page_is_refused_and_nothing_is_changed(photos: Collection, tmp_path: Path) -> None:
    data = draw(tmp_path / "new.png", 100).read_bytes()
    with running(photos, Settings(writable=True)) as service:
        client = service.client
        for headers in FOREIGN:
            problem(client.delete("/v1/images/1?file=true", headers=headers), 403)
            typed = {**headers, "Content-Type": "image/png"}
            problem(client.put("/v1/images/new.png", content=data, headers=typed), 403)
            problem(client.post("/v1/search", content=data, headers=typed), 403)
            problem(client.get("/v1/images/1/thumbnail", headers=headers), 403)
            assert "access-control-allow-origin" not in client.options("/v1/search", headers=headers).headers
    assert len(photos) == 12
    assert not (photos.folder / "new.png").exists()


def test_a_cookie_that_another_site_of_the_domain_has_added_does_no_harm(photos: Collection) -> None:
    with running(photos, Settings(token=TOKEN)) as service:
        bare = httpx.Client(base_url=service.client.base_url)
        good = f"lookalike_session={Token(TOKEN).new_session()}"
        for cookie, status in (
            (f"lookalike_session=1.2; {good}", 200),
            (f"{good}; lookalike_session=1.2", 200),
            ("a=b; lookalike_session=1.2;; =; lookalike_session", 401),
            (good.replace("_session", "_sessions"), 401),
        ):
            assert bare.get("/v1/info", headers={"Cookie": cookie}).status_code == status, cookie
        bare.close()


def test_a_form_of_another_sites_page_is_refused(photos: Collection) -> None:
    """A link to the service is followed, a form that is sent there is not, whatever the browser says of its origin."""
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    with running(photos, Settings(writable=True)) as service:
        for path in ("/", "/v1/images/1/thumbnail"):
            assert service.client.get(path, headers=link).status_code == 200
        data = (photos.folder / "00.png").read_bytes()
        problem(service.client.post("/v1/search", files={"image": data}, headers=link), 403)
        problem(service.client.delete("/v1/images/1", headers=link), 403)


def test_its_own_page_is_answered(service: Running) -> None:
    own = {"Origin": f"http://127.0.0.1:{service.port}", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    assert service.client.get("/v1/info", headers=own).status_code == 200
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert service.client.get("/", headers=link).status_code == 200


def test_every_answer_has_the_safe_headers(service: Running) -> None:
    get = service.client.get
    for response in (get("/"), get("/v1/info"), get("/none"), get("/v1/images/1/thumbnail"), get("/v1/images?limit=x")):
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
        assert not [name for name in response.headers if name.startswith("access-control")]
