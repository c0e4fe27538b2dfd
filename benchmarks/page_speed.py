"""Measures the page of the service in Chromium: how soon the first images are there, and whether scrolling is smooth.

    python benchmarks/page_speed.py [--images 100000] [--place FOLDER] [--slow 1]

The collection has drawn pictures in as many files as are wanted, each with other bytes; with `--place` it is kept for
the next time. `--slow 4` has the browser compute four times slower, as a phone does. The page is opened with empty
caches each time. A frame is the time between two calls of `requestAnimationFrame` while the page scrolls; it grows with
whatever else the machine does. The time that a task takes of the processor, which delays a frame, does not.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page

import lookalike
from lookalike import Collection, Preprocessing, demo

sys.path.append(str(Path(__file__).parents[1]))
from tests.support.http_service import running
from tests.support.watched_pages import chromium

DRAWN = 1200  # pictures, which the files share
SIDE = 224  # pixels
FOLDERS = 40
OPENED = 5  # times
TILES = 1000  # to scroll through
STEP = 240  # pixels of a turn of the wheel
SIZE = {"width": 1280, "height": 800}

# Notes when the first tiles have their place, and when all images on the screen are there; then every frame.
_WATCH = """
window.seen = {tiles: null, images: null, frames: [], most: 0};
const look = () => {
  const tiles = [...document.querySelectorAll('#grid .tile')].filter(tile => {
    const box = tile.getBoundingClientRect();
    return box.top < innerHeight && box.bottom > 0;
  });
  if (tiles.length && seen.tiles === null) seen.tiles = performance.now();
  const images = tiles.map(tile => tile.querySelector('img'));
  if (images.length && images.every(image => image.complete && image.naturalWidth)) seen.images = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
_FRAMES = """() => {
  let before = performance.now();
  seen.isScrolling = true;
  const frame = now => {
    seen.frames.push(now - before);
    before = now;
    if (seen.isScrolling) requestAnimationFrame(frame);
  };
  requestAnimationFrame(now => { before = now; requestAnimationFrame(frame); });
}"""
# The place of the last image that is in the page, from the rows and their numbers of tiles so far.
_PLACE = """() => {
  seen.ids ??= new Set();
  for (const tile of document.querySelectorAll('#grid .tile')) {
    if (tile.getBoundingClientRect().top < innerHeight) seen.ids.add(tile.dataset.id);
  }
  return seen.ids.size;
}"""


@dataclass(frozen=True)
class Measured:
    """What was measured, in milliseconds.

    Attributes:
        tiles: for each time that the page was opened, until the first tiles had their places.
        images: until all images on the screen were there.
        frames: the length of each frame while it was scrolled.
        tasks: the processor's time for each task of the page's main thread meanwhile.
        scrolled: the number of tiles that were scrolled through.
    """

    tiles: list[float]
    images: list[float]
    frames: list[float]
    tasks: list[float]
    scrolled: int

    def facts(self) -> dict[str, Any]:
        """The figures that count, for JSON."""
        return {
            "first_tiles_ms": {"median": round(float(np.median(self.tiles))), "worst": round(max(self.tiles))},
            "first_images_ms": {"median": round(float(np.median(self.images))), "worst": round(max(self.images))},
            "frames": len(self.frames),
            "frame_ms": {
                "median": round(float(np.median(self.frames)), 1),
                "p99": round(float(np.percentile(self.frames, 99)), 1),
                "worst": round(max(self.frames), 1),
            },
            "frames_over_100_ms": sum(frame > 100 for frame in self.frames),
            "worst_task_cpu_ms": round(max(self.tasks), 1),
            "tiles_scrolled": self.scrolled,
        }


@click.command()
@click.option("--images", default=100_000, show_default=True, help="Images of the collection.")
@click.option("--place", type=click.Path(file_okay=False, path_type=Path), help="Folder to keep it in.")
@click.option("--slow", default=1.0, show_default=True, help="How much slower the browser computes.")
def main(images: int, place: Path | None, slow: float) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = (place or Path(temporary)) / f"pictures-{images}"
        with prepared(folder, images) as collection, running(collection) as service, chromium() as browser:
            measured = measure(browser, f"http://127.0.0.1:{service.port}", slow=slow)
    click.echo(json.dumps({"images": images, "slow": slow, **measured.facts()}, indent=2))


def measure(browser: Browser, address: str, *, opened: int = OPENED, tiles: int = TILES, slow: float = 1) -> Measured:
    """Opens the page some times, and scrolls through so many tiles the last time."""
    first_tiles, first_images = list[float](), list[float]()
    frames, tasks, scrolled = list[float](), list[float](), 0
    for number in range(opened + 1):  # the first one warms up the service
        context = browser.new_context(viewport=SIZE)  # type: ignore[arg-type]
        context.add_init_script(_WATCH)
        page = context.new_page()
        context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slow})
        page.goto(address)
        page.wait_for_function("() => seen.images !== null")
        if number:
            first_tiles.append(page.evaluate("() => seen.tiles"))
            first_images.append(page.evaluate("() => seen.images"))
        if number == opened:
            browser.start_tracing(page=page, categories=["toplevel"])
            frames, scrolled = scroll(page, tiles)
            tasks = tasks_in(json.loads(browser.stop_tracing()))
        context.close()
    return Measured(first_tiles, first_images, frames, tasks, scrolled)


def tasks_in(trace: dict[str, Any]) -> list[float]:
    """The milliseconds of the processor that each task of the main threads of pages took, from a trace of Chromium."""
    events = trace["traceEvents"]
    names = [event for event in events if event["name"] == "thread_name"]
    main = {(event["pid"], event["tid"]) for event in names if event["args"]["name"] == "CrRendererMain"}
    tasks = [event for event in events if event["name"].endswith("::RunTask") and "tdur" in event]
    return [event["tdur"] / 1000 for event in tasks if (event["pid"], event["tid"]) in main]


def scroll(page: Page, tiles: int) -> tuple[list[float], int]:
    """Scrolls until so many tiles have been on the screen; returns the lengths of the frames, and the tiles."""
    page.mouse.move(SIZE["width"] / 2, SIZE["height"] / 2)
    page.evaluate(_FRAMES)
    seen = before = 0
    while seen < tiles:
        for _ in range(3):
            page.mouse.wheel(0, STEP)
            page.wait_for_timeout(40)
        seen, before = page.evaluate(_PLACE), seen
        if seen == before and page.evaluate("() => scrollY + innerHeight >= document.body.scrollHeight - 2"):
            page.wait_for_timeout(300)
            if page.evaluate(_PLACE) == seen and page.evaluate(
                "() => Boolean(document.querySelector('#end').innerText)"
            ):
                break
    page.evaluate("() => { seen.isScrolling = false; }")
    return list(page.evaluate("() => seen.frames")), seen


class MeanColours:
    """An encoder that costs little: the mean colours of 8 x 8 cells, 192 dimensions."""

    name = "mean-colours"
    dim = 192
    preprocessing = Preprocessing(size=32, crop=1.0)
    fingerprint = "beac8001"

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        cells = pixels.reshape(len(pixels), 8, 4, 8, 4, 3).mean(axis=(2, 4)).reshape(len(pixels), -1)
        return np.asarray(cells - 127.5, np.float32)


@contextmanager
def prepared(folder: Path, count: int) -> Iterator[Collection]:
    """A collection of so many images, which is made if it is not there."""
    if not (folder / ".lookalike").exists():
        click.echo(f"Drawing {min(count, DRAWN)} pictures and writing {count} files ...", err=True)
        write_images(folder, count)
        with lookalike.create(folder, encoder=MeanColours()) as made:
            made.add(folder)
    with lookalike.open(folder, encoder=MeanColours()) as collection:
        yield collection


def write_images(folder: Path, count: int) -> None:
    """Writes JPEG files that share the pixels of some drawn pictures, each with a comment of its own."""
    random, kinds = np.random.default_rng(0), list(demo.KINDS)
    drawn = list[bytes]()
    for number in range(min(count, DRAWN)):
        buffer = BytesIO()
        demo.draw(kinds[number % len(kinds)], random, SIDE).save(buffer, "JPEG", quality=70)
        drawn.append(buffer.getvalue())
    for number in range(count):
        path = folder / f"{number % FOLDERS:02}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        comment = f"{number:08}".encode()
        data = drawn[number % len(drawn)]
        path.write_bytes(data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:])


if __name__ == "__main__":
    main()
