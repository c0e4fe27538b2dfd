"""Inspects pages in headless Chromium, with a web server that records the requests."""

import html
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from PIL import Image

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# Inspects each frame and writes the results into the page, as JSON.
_INSPECT = """
const inspect = frame => {
  const page = frame.contentDocument, view = frame.contentWindow;
  const all = selector => [...page.querySelectorAll(selector)];
  return {
    title: page.title,
    language: page.documentElement.lang,
    tags: [...new Set(all('*').map(element => element.localName))],
    headings: all('h1, h2').map(heading => heading.innerText),
    text: page.body.innerText,
    rows: all('tbody tr').map(row => row.innerText.split('\\t').map(cell => cell.trim())),
    drawn: all('svg title').map(title => title.textContent),
    marks: all('.area .point, .area .exact').map(mark => {
      const box = mark.getBoundingClientRect(), area = mark.closest('.area').getBoundingClientRect();
      return [box.x + box.width / 2 - area.x, box.y + box.height / 2 - area.y].map(
        (position, axis) => position / (axis ? area.height : area.width));
    }),
    cards: all('ol > li').map(card => card.innerText),
    names: all('ol .name').map(name => name.innerText),
    links: all('a').map(link => link.getAttribute('href')),
    images: all('img').map(image => ({
      alt: image.alt, width: image.naturalWidth, scheme: image.src.split(':')[0],
      box: image.getBoundingClientRect().toJSON(),
    })),
    roles: all('.query .role').map(role => {
      const image = role.closest('li').querySelector('.image');
      return {text: role.innerText, outlined: view.getComputedStyle(image).outlineStyle != 'none'};
    }),
    bars: all('.bar i').map(bar => bar.getBoundingClientRect().width / bar.parentNode.clientWidth),
    ink: all('.score').map(score => view.getComputedStyle(score).color),
    paper: view.getComputedStyle(page.documentElement).backgroundColor,
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    loaded: view.performance.getEntriesByType('resource').map(entry => entry.name),
    hacked: 'hacked' in view,
  };
};
window.onload = () => {
  const frames = [...document.querySelectorAll('iframe')];
  const seen = Object.fromEntries(frames.map(frame => [frame.name, inspect(frame)]));
  document.getElementById('seen').textContent = JSON.stringify(seen);
};
"""


@dataclass(frozen=True)
class Inspection:
    """What a browser displayed.

    Attributes:
        frames: by name, what `_INSPECT` found in each frame.
        requests: the paths that the browser requested, in order.
    """

    frames: dict[str, Any]
    requests: list[str]


def inspect(pages: Mapping[str, str], frames: Mapping[str, tuple[str, int]]) -> Inspection:
    """Opens pages in frames of a browser, all in one start, and inspects them.

    Args:
        pages: HTML by path.
        frames: by name, the path of the page in the frame and the width of the frame in pixels.
    """
    inner = "".join(
        f'<iframe name="{name}" src="{address}" width="{width}" height="900"></iframe>'
        for name, (address, width) in frames.items()
    )
    outer = f'<!doctype html><link rel="icon" href="data:,">{inner}<pre id="seen"></pre><script>{_INSPECT}</script>'
    with _site({"/": outer, **pages}) as (base, requests):
        dom = _chromium("--dump-dom", base + "/")
    found = re.search('<pre id="seen">(.*?)</pre>', dom, re.DOTALL)
    assert found, dom
    return Inspection(json.loads(html.unescape(found[1])), requests)


def screenshot(page: Path, size: tuple[int, int], *, dark: bool) -> Image.Image:
    """Takes a screenshot of an HTML file in a window of this size, with the dark or the light theme."""
    with TemporaryDirectory() as folder:
        shot = Path(folder, "shot.png")
        theme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        _chromium(f"--screenshot={shot}", f"--window-size={size[0]},{size[1]}", theme, page.as_uri())
        with Image.open(shot) as image:
            return image.convert("RGB")


def program() -> str:
    """The path of the Chromium of this machine; without one, the test is skipped, and fails in CI."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium is installed: CI has to inspect the pages")
        pytest.skip("no Chromium is installed")
    return found


def _chromium(*arguments: str) -> str:
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [program(), *_OPTIONS, f"--user-data-dir={profile}", *arguments]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=True)
    return done.stdout


@contextmanager
def _site(pages: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            body = pages.get(self.path, "").encode("utf-8")
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_ORDER = """
const order = name => {
  const text = name.firstChild, at = [...text.data].map((letter, place) => {
    const range = document.createRange();
    range.setStart(text, place);
    range.setEnd(text, place + 1);
    return range.getBoundingClientRect().x;
  });
  return [...at.keys()].sort((a, b) => at[a] - at[b]);
};
document.getElementById('seen').textContent = JSON.stringify([...document.querySelectorAll('bdi')].map(order));
"""


def from_left(names: Sequence[str]) -> list[str]:
    """The letters of each name in the order in which a browser shows them, from left to right."""
    lines = "".join(f"<p><bdi>{html.escape(name)}</bdi></p>" for name in names)
    style = "<style>p { font: 20px monospace; white-space: pre }</style>"
    page = f'<!doctype html><meta charset="utf-8">{style}{lines}<pre id="seen"></pre><script>{_ORDER}</script>'
    with _site({"/": page}) as (base, _):
        dom = _chromium("--dump-dom", base + "/")
    found = re.search('<pre id="seen">(.*?)</pre>', dom, re.DOTALL)
    assert found, dom
    return ["".join(name[place] for place in places) for name, places in zip(names, json.loads(found[1]), strict=True)]
