"""Fixtures of the tests that use the page of the service in a browser, as a person would."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from lookalike import Collection
from tests.support.optional_packages import needs

needs("playwright", "axe_playwright_python")

from playwright.sync_api import Browser, Page, expect

from tests.support.gallery import make_gallery
from tests.support.http_service import Running, running
from tests.support.watched_pages import SIZE, Complaints, chromium, clean, watched_page

_PATIENCE_MS = 20_000  # for a machine that has more to do
OpenPage = Callable[..., Page]
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}


@dataclass(frozen=True)
class Gallery:
    """The drawn gallery, which nothing changes, and the service of it."""

    collection: Collection
    service: Running

    @property
    def address(self) -> str:
        """Where the page is."""
        return address_of(self.service)


def address_of(service: Running) -> str:
    """The address of a service for a browser."""
    return f"http://127.0.0.1:{service.port}"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A browser for all tests of the page in this process.

    It ends before other tests begin: as long as it runs, its event loop keeps them from running one of their own.
    """
    expect.set_options(timeout=_PATIENCE_MS)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """240 pictures and two copies, served with the usual settings."""
    folder = tmp_path_factory.mktemp("gallery").resolve() / "pictures"
    folder.mkdir()
    with make_gallery(folder) as collection, running(collection) as service:
        yield Gallery(collection, service)


@pytest.fixture(scope="package")
def all_complaints() -> Complaints:
    """What the browser complains about."""
    return Complaints()


@pytest.fixture(scope="package")
def desktop(browser: Browser, gallery: Gallery, all_complaints: Complaints) -> Iterator[Page]:
    """The page that most tests use one after the other."""
    with watched_page(browser, gallery.address, all_complaints) as page:
        yield page


@pytest.fixture(scope="package")
def handset(browser: Browser, gallery: Gallery, all_complaints: Complaints) -> Iterator[Page]:
    """A page on a phone."""
    with watched_page(browser, gallery.address, all_complaints, **PHONE) as page:
        yield page


@pytest.fixture
def complaints(all_complaints: Complaints) -> Iterator[Complaints]:
    """What the browser complains about during a test, which fails for anything that it has not announced."""
    all_complaints.forget()
    yield all_complaints
    assert all_complaints.unexpected() == []


@pytest.fixture
def open_page(desktop: Page, complaints: Complaints, gallery: Gallery) -> Iterator[OpenPage]:
    """Leads to an address of the gallery's service, or of another one, in light or dark, in a window of a size."""

    def open_page(
        path: str = "/",
        *,
        base: str = gallery.address,
        scheme: Literal["light", "dark"] = "light",
        size: tuple[int, int] = (SIZE["width"], SIZE["height"]),
    ) -> Page:
        desktop.emulate_media(color_scheme=scheme)
        desktop.set_viewport_size({"width": size[0], "height": size[1]})
        desktop.goto(path if path.startswith("about:") else base + path)
        return desktop

    yield open_page
    clean(desktop)


@pytest.fixture
def open_phone(handset: Page, complaints: Complaints) -> Iterator[OpenPage]:
    """Leads to an address of the gallery's service on a phone."""

    def open_phone(path: str = "/") -> Page:
        handset.set_viewport_size(PHONE["viewport"])
        handset.goto(path)
        return handset

    yield open_phone
    clean(handset)


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """The page as it begins, with the first images of the collection."""
    page = open_page()
    page.locator(".tile").first.wait_for()
    return page
