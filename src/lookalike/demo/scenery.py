"""Draws backgrounds: skies, hills, seas, meadows, walls and tables."""

import math

import numpy as np

from lookalike.demo.canvas import Pen, Points, box, oval
from lookalike.demo.colours import WHITE, Colour, Shade, dark, light, lit, mix, palette, pick, rgb

GREENS = palette(0x6BA354, 0x8DB255, 0x4F9A6B, 0xA5B452, 0x5B8C5A)
PASTELS = palette(0xF6D7C3, 0xCFE5DC, 0xD5DDF0, 0xF5E6B8, 0xE9D3E4, 0xC7DDE8, 0xE8E2D6)
STONES = palette(0x6E6672, 0x7D7168, 0x5F6B73)
WOODS = palette(0xB98352, 0x8F5E3B, 0xD3A671, 0x6F4A35, 0xA9744F)
# Skies: the colours from the zenith to the horizon.
DAY = (
    palette(0x4FA3DE, 0xA9D8F2, 0xEFF8F6),
    palette(0x5CBFC9, 0xB9E6DF, 0xF8F3DA),
    palette(0x8FB6E0, 0xF3CFCB, 0xFCE9C9),
    palette(0x86A8C9, 0xC5D6E0, 0xEDEFEA),
)
DUSK = (
    palette(0x51528F, 0xD9748C, 0xF9B978),
    palette(0x6A6BB5, 0xC3A3DC, 0xF9D5D3),
    palette(0x2E5C8A, 0x8FA7B8, 0xF7C59F),
    palette(0x2B3A67, 0x6C6A9C, 0xE39A93),
)


def sky(pen: Pen, rng: np.random.Generator, skies: tuple[tuple[Colour, ...], ...] = DAY + DUSK) -> None:
    """Draws a sky with a few clouds, and often a sun."""
    colours = pick(rng, skies)
    pen.fill(Shade(colours))
    if rng.random() < 0.5:
        x, y, radius = rng.uniform(-1, 1), rng.uniform(-0.8, 0), rng.uniform(0.1, 0.2)
        pen.soft([oval(x, y, radius * 2.2)], light(colours[-1], 0.5), blur=radius, opacity=0.6)
        pen.shape(oval(x, y, radius), light(mix(colours[-1], (255, 220, 120), 0.5), 0.5))
    puffs: list[Points] = []
    for _ in range(int(rng.integers(1, 4))):
        x, y, size = rng.uniform(-1.1, 1.1), rng.uniform(-0.95, 0.1), rng.uniform(0.12, 0.3)
        for step in np.linspace(-1, 1, 5):
            height = size * (0.55 - 0.3 * abs(step)) * rng.uniform(0.8, 1.2)
            puffs.append(oval(x + step * size, y - height * 0.4, size * 0.42, height))
    pen.soft(puffs, light(colours[-1], 0.75), blur=0.03, opacity=0.85)


def ridge(pen: Pen, rng: np.random.Generator, level: float, height: float) -> Points:
    """Returns the outline of rolling land that fills the picture below `level`."""
    x = np.linspace(-pen.right, pen.right, 80)
    y = np.full_like(x, level)
    for waves in (1.5, 3.5, 8.0):
        y += height / waves * np.sin(x * waves + rng.uniform(0, math.tau))
    return np.concatenate([np.stack([x, y], 1), [(pen.right, pen.bottom), (-pen.right, pen.bottom)]])


def hills(pen: Pen, rng: np.random.Generator, level: float, colour: Colour, haze: Colour) -> None:
    """Draws three ridges, the far ones paler."""
    for step in range(3):
        near = mix(haze, colour, 0.35 + step * 0.32)
        top = level + step * (pen.bottom - level) / 3
        pen.shape(ridge(pen, rng, top, 0.12), Shade((light(near, 0.15), dark(near, 0.15))))


def sea(pen: Pen, rng: np.random.Generator, level: float, colour: Colour) -> None:
    """Draws water up to the horizon, with glints that are larger near the viewer."""
    pen.shape(pen.below(level), Shade((light(colour, 0.45), colour, dark(colour, 0.3))))
    for _ in range(60):
        depth = rng.random() ** 1.5
        y, x = level + 0.02 + depth * (pen.bottom - level), rng.uniform(-pen.right, pen.right)
        length, tone = (0.03 + 0.16 * depth) * rng.uniform(0.5, 1.2), light(colour, rng.uniform(0.2, 0.6))
        pen.line([(x - length, y), (x, y - length * 0.08), (x + length, y)], 0.006 + 0.012 * depth, tone)


def grass(pen: Pen, rng: np.random.Generator, level: float, colour: Colour, blades: int = 70) -> None:
    """Draws blades of grass from the lower edge to about `level`."""
    for _ in range(blades):
        x, y = rng.uniform(-pen.right, pen.right), rng.uniform(level + 0.12, pen.bottom + 0.15)
        height, lean = rng.uniform(0.1, 0.28), rng.normal(0, 0.07)
        tone = light(colour, rng.uniform(0, 0.3)) if rng.random() < 0.6 else dark(colour, rng.uniform(0, 0.3))
        blade = [(x - 0.014, y), (x + lean * 0.4, y - height * 0.6), (x + lean, y - height), (x + 0.014, y)]
        pen.shape(blade, tone)


def glade(pen: Pen, rng: np.random.Generator, colour: Colour) -> None:
    """Draws leaves out of focus: a gradient with blurred spots of light."""
    pen.fill(Shade((light(colour, 0.45), colour, dark(colour, 0.35)), rng.uniform(60, 120)))
    for tone in (light(colour, 0.6), mix(colour, (255, 235, 140), 0.5), dark(colour, 0.3)):
        spots = [oval(*pen.anywhere(rng), rng.uniform(0.08, 0.25)) for _ in range(6)]
        pen.soft(spots, tone, blur=rng.uniform(0.03, 0.08), opacity=0.35)


def gulls(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a few gulls far away in the sky."""
    for _ in range(int(rng.integers(5))):
        x, y, wing = rng.uniform(-0.9, 0.9), rng.uniform(-0.85, -0.1), rng.uniform(0.04, 0.08)
        rise = wing * rng.uniform(0.3, 0.6)
        bird = [(x - wing, y - rise * 0.6), (x - wing * 0.5, y - rise), (x, y), (x + wing * 0.5, y - rise)]
        pen.line([*bird, (x + wing, y - rise * 0.5)], 0.012, dark(WHITE, 0.65))


def deep(pen: Pen, rng: np.random.Generator, colour: Colour) -> None:
    """Draws an underwater scene: shafts of light, weeds, sand."""
    pen.fill(Shade((light(colour, 0.5), colour, dark(colour, 0.45))))
    shafts = [[(x, -1.4), (x + 0.15, -1.4), (x - 0.2, 1.2), (x - 0.6, 1.2)] for x in rng.uniform(-1, 1, 3)]
    pen.soft(shafts, WHITE, blur=0.06, opacity=0.14)
    for x in rng.uniform(-pen.right, pen.right, 7):
        y = np.linspace(pen.bottom, pen.bottom - rng.uniform(0.3, 0.8), 14)
        weed = np.stack([x + 0.06 * np.sin(y * 9 + x * 7), y], 1)
        pen.line(weed, rng.uniform(0.03, 0.06), mix(rgb(0x6BA354), colour, rng.uniform(0.3, 0.7)))
    sand = mix(pick(rng, (rgb(0xE8D3A0), rgb(0xD9B68C))), colour, 0.3)
    pen.shape(ridge(pen, rng, pen.bottom - 0.15, 0.05), lit(sand, 90))
    for _ in range(6):
        x, size = rng.uniform(-pen.right, pen.right), rng.uniform(0.03, 0.08)
        pebble = oval(x, pen.bottom - rng.uniform(0, 0.1), size, size * 0.7)
        pen.shape(pebble, lit(dark(sand, rng.uniform(0.1, 0.5))))


def wall(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a papered wall: plain, striped or dotted."""
    colour = pick(rng, PASTELS)
    pen.fill(Shade((light(colour, 0.4), colour, dark(colour, 0.12)), rng.uniform(30, 80)))
    pattern, gap, tone = rng.integers(3), rng.uniform(0.16, 0.3), mix(colour, WHITE, 0.35)
    for x in np.arange(-pen.right, pen.right + gap, gap):
        if pattern == 1:
            pen.shape(box(x, -pen.bottom, x + gap / 2, pen.bottom), tone)
        elif pattern == 2:
            for y in np.arange(-pen.bottom, pen.bottom + gap, gap):
                pen.shape(oval(x, y, gap * 0.12), tone)


def table(pen: Pen, rng: np.random.Generator, level: float) -> None:
    """Draws a wooden table seen from the front, its edge at `level`."""
    wood = pick(rng, WOODS)
    pen.shape(pen.below(level), Shade((light(wood, 0.3), wood, dark(wood, 0.25))))
    for _ in range(14):
        x, y = rng.uniform(-pen.right, pen.right), rng.uniform(level + 0.05, pen.bottom)
        length = rng.uniform(0.2, 0.7)
        pen.line([(x - length, y), (x, y + rng.normal(0, 0.01)), (x + length, y)], 0.006, dark(wood, 0.2))
    pen.shape(box(-pen.right, level, pen.right, level + 0.02), light(wood, 0.5))


def planks(pen: Pen, rng: np.random.Generator) -> None:
    """Draws wooden boards seen from above."""
    wood, board = pick(rng, WOODS), pen.at(0, 0, angle=rng.uniform(-30, 30) + 90 * int(rng.integers(2)))
    reach, gap = 2.2, rng.uniform(0.3, 0.45)
    for y in np.arange(-reach, reach, gap):
        tone = mix(light(wood, 0.15), dark(wood, 0.12), rng.random())
        board.shape(box(-reach, y, reach, y + gap), tone)
        for grain in rng.uniform(y + 0.03, y + gap - 0.03, 3):
            bend = (0, grain + rng.normal(0, 0.02))
            board.line([(-reach, grain), bend, (reach, grain)], 0.006, dark(tone, 0.12))
        board.line([(-reach, y), (reach, y)], 0.014, dark(wood, 0.5))


def cloth(pen: Pen, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a checked tablecloth seen from above."""
    pen.fill(Shade((WHITE, dark(WHITE, 0.12)), 60))
    weave, reach, gap = pen.at(0, 0, angle=rng.uniform(0, 90)), 2.2, rng.uniform(0.18, 0.28)
    steps = np.arange(-reach, reach, gap)
    for step in steps[::2]:
        weave.shape(box(step, -reach, step + gap, reach), light(colour, 0.5))
        weave.shape(box(-reach, step, reach, step + gap), light(colour, 0.5))
    for x in steps[::2]:
        for y in steps[::2]:
            weave.shape(box(x, y, x + gap, y + gap), colour)


def night(pen: Pen, rng: np.random.Generator) -> None:
    """Draws space: a dark gradient, clouds of gas, stars."""
    dim = pick(rng, (rgb(0x141433), rgb(0x0E2038), rgb(0x24123A), rgb(0x102A2E)))
    pen.fill(Shade((light(dim, 0.08), dim, dark(dim, 0.5)), rng.uniform(0, 180)))
    for gas in (rgb(0x7A4FA3), rgb(0x2F7F9E), rgb(0xB0527A)):
        spots = [oval(rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.15, 0.45), 0.2) for _ in range(3)]
        pen.soft(spots, gas, blur=0.2, opacity=0.28)
    for size in rng.gamma(2.0, 0.0035, 110):
        pen.shape(oval(*pen.anywhere(rng), size + 0.003), mix(WHITE, pick(rng, PASTELS), 0.6))
