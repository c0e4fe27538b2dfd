"""Pages in a browser that are watched: whatever a browser complains about fails the test, if it was not announced."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

from tests.support.browser import program

SIZE = {"width": 1024, "height": 640}  # pixels of a window
# Collects what moves without the user's doing, as Chromium sees it, and frames that were late.
_OBSERVE = """
window.shifts = [];
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) window.shifts.push({
      at: entry.startTime, value: entry.value,
      moved: entry.sources.map(source => {
        const node = source.node && (source.node.id || source.node.className || source.node.nodeName);
        return `${node} ${JSON.stringify(source.previousRect)} -> ${JSON.stringify(source.currentRect)}`;
      }),
    });
  }
}).observe({type: 'layout-shift', buffered: true});
document.addEventListener('securitypolicyviolation', event =>
  console.error(`CSP: ${event.violatedDirective} of ${event.blockedURI || 'inline'}`));
"""


@dataclass
class Complaints:
    """What a browser has complained about, and what a test has announced.

    Attributes:
        found: errors and warnings of the console, exceptions, requests that failed, answers of 400 and more.
        announced: patterns of those that may be there.
    """

    found: list[str] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)

    def announce(self, *patterns: str) -> None:
        """Complaints that match one of these regular expressions are expected."""
        self.announced.extend(patterns)

    def forget(self) -> None:
        """Forgets everything, for another test."""
        self.found.clear()
        self.announced.clear()

    def unexpected(self) -> list[str]:
        """The complaints that no test has announced."""
        return [each for each in self.found if not any(re.search(pattern, each) for pattern in self.announced)]

    def watch(self, page: Page) -> None:
        """Notes what a page complains about from now on."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.found.append(f"exception: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)
        page.on("crash", lambda _: self.found.append("the page has crashed"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.found.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # which the page itself does with a search that nobody waits for
            self.found.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.found.append(f"answer {response.status}: {response.request.method} {response.url}")


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """The Chromium of this machine, without a window, until the end of the block."""
    path = program()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--disable-gpu", *arguments])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched_page(browser: Browser, base: str, complaints: Complaints, **options: Any) -> Iterator[Page]:
    """A page in a profile of its own, not yet anywhere, that is watched until the end of the block.

    Args:
        browser: the browser.
        base: the address that paths are relative to.
        complaints: where what it complains about is noted.
        options: of Playwright's `new_context`.
    """
    given = {"viewport": SIZE, "reduced_motion": "reduce", "locale": "en-GB", **options}
    context = browser.new_context(base_url=base, **given)
    context.set_default_timeout(20_000)
    context.add_init_script(_OBSERVE)
    try:
        page = context.new_page()
        complaints.watch(page)
        yield page
    finally:
        context.close()


def clean(page: Page) -> None:
    """Leaves nothing of a test in a page but what it has loaded; to load it all anew would take most of the time."""
    page.unroute_all(behavior="ignoreErrors")
    page.context.set_offline(False)
    if page.url.startswith("http"):
        page.evaluate("() => localStorage.clear()")
    page.goto("about:blank")
    page.context.clear_cookies()
    page.context.clear_permissions()


def shifts(page: Page) -> list[Any]:
    """What has moved on the page though nobody did anything."""
    return list(page.evaluate("() => window.shifts"))
