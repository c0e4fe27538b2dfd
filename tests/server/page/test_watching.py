"""The browser's complaints do fail a test: a check of the check."""

import pytest
from playwright.sync_api import Page

from tests.support.watched_pages import Complaints, shifts


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("() => console.error('no')", "console error: no"),
        ("() => console.warn('hm')", "console warning: hm"),
        ("() => { setTimeout(() => { throw new Error('thrown'); }) }", "exception: .*thrown"),
        ("() => fetch('/nowhere')", "answer 404: GET"),
        ("() => fetch('http://127.0.0.1:9/').catch(() => 0)", "CSP|Content Security Policy"),
        ("() => document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">')", "Content Security Policy"),
        ("() => document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:9/a.png\">')", "img-src"),
    ],
)
def test_what_a_browser_complains_about_is_noted(page: Page, complaints: Complaints, script: str, said: str) -> None:
    assert complaints.found == []
    page.evaluate(script)
    page.wait_for_timeout(100)
    assert complaints.unexpected() != []
    complaints.announce(said)
    assert complaints.unexpected() != complaints.found
    complaints.announce(".*")


def test_what_jumps_is_noted(page: Page) -> None:
    assert shifts(page) == []
    page.wait_for_timeout(600)
    page.evaluate("() => { const p = document.createElement('p'); p.textContent = 'x'; document.body.prepend(p); }")
    page.wait_for_timeout(200)
    assert shifts(page) != []
