"""Draws pictures of things in the sky and by the sea, with a function for each kind."""

import itertools
import math

import numpy as np

from lookalike.demo import scenery
from lookalike.demo.canvas import Pen, box, oval, smooth
from lookalike.demo.colours import BRIGHT, CREAM, INK, WHITE, Colour, Shade, ball, dark, light, lit, mix, pick, rgb


def balloon(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a hot-air balloon above hills, sometimes with another far away."""
    scenery.sky(pen, rng)
    scenery.hills(pen, rng, pen.bottom - rng.uniform(0.1, 0.5), pick(rng, scenery.GREENS), rgb(0xC9DDE6))
    x = rng.uniform(-0.35, 0.35)
    if rng.random() < 0.35:
        there = x - math.copysign(rng.uniform(0.7, 0.85), x)
        _aircraft(pen.at(there, rng.uniform(-0.5, 0.1), rng.uniform(0.09, 0.16), rng.normal(0, 5)), rng)
    _aircraft(pen.at(x, rng.uniform(-0.35, -0.12), rng.uniform(0.38, 0.66), rng.normal(0, 9)), rng)


def _aircraft(it: Pen, rng: np.random.Generator) -> None:
    """Draws an envelope of radius 1 around the origin, with its basket below."""
    colours = [pick(rng, BRIGHT), pick(rng, BRIGHT), CREAM][: int(rng.integers(2, 4))][::-1]
    t = np.linspace(0, 1, 41)
    dome = np.sqrt(np.abs(1 - (1 - t / 0.45) ** 2))
    radius = np.where(t < 0.45, dome, 0.6 + 0.4 * np.cos(math.pi * (t - 0.45) / 0.55))
    edges = np.linspace(-math.pi / 2, math.pi / 2, int(rng.integers(8, 13)))
    meridians = [np.stack([radius * math.sin(edge), 2.1 * t - 1], 1) for edge in edges]
    rows = pick(rng, (1, 1, 5, 8))  # one row makes stripes, more make a chequered envelope
    for number, (left, right) in enumerate(itertools.pairwise(meridians)):
        for row in range(rows):
            piece = slice(row * 40 // rows, (row + 1) * 40 // rows + 1)
            panel = np.concatenate([left[piece], right[piece][::-1]])
            it.shape(panel, colours[(number + row) % len(colours)])
    with it.inside(np.concatenate([meridians[0], meridians[-1][::-1]])) as part:
        if rng.random() < 0.4:
            part.shape(box(-1, -0.1, 1, 0.14), colours[0])
            part.shape(box(-1, -0.04, 1, 0.08), light(colours[-1], 0.4))
        part.soft([oval(0.85, 0.3, 0.4, 1.3)], dark(colours[0], 0.7), blur=0.2, opacity=0.5)
        part.soft([oval(-0.4, -0.45, 0.2, 0.4, 20)], WHITE, blur=0.15, opacity=0.5)
    for x in (-0.18, -0.06, 0.06, 0.18):
        it.line([(x, 1.1), (x * 0.8, 1.4)], 0.02, INK)
    wicker = rgb(0x9C6B3F)
    it.shape(box(-0.17, 1.38, 0.17, 1.62), lit(wicker, 20))
    for y in (1.44, 1.5, 1.56):
        it.line([(-0.17, y), (0.17, y)], 0.015, dark(wicker, 0.3))
    it.line([(-0.18, 1.38), (0.18, 1.38)], 0.05, dark(wicker, 0.4))


def lighthouse(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a striped lighthouse on a rock by the sea; its lamp is lit at dusk."""
    dusk = rng.random() < 0.5
    scenery.sky(pen, rng, scenery.DUSK if dusk else scenery.DAY)
    scenery.gulls(pen, rng)
    scenery.sea(pen, rng, pen.bottom - rng.uniform(0.35, 0.65), rgb(0x3B5B8C) if dusk else rgb(0x3F8FB5))
    size, flip = rng.uniform(0.7, 1.02), rng.random() < 0.5
    it = pen.at(rng.uniform(-0.4, 0.4), pen.bottom - rng.uniform(0.3, 0.45), size, 0, flip)
    colour = pick(rng, (BRIGHT[0], BRIGHT[5], BRIGHT[9], INK, BRIGHT[4], BRIGHT[1]))
    if dusk:
        beams = [[(0, -1.2), (side * 3.5, -1.75), (side * 3.5, -0.9)] for side in (-1, 1)]
        it.soft(beams, rgb(0xFFF0B0), blur=0.04, opacity=0.45)
    _rock(it, rng, pick(rng, scenery.STONES))
    tower = [(-0.24, 0.05), (-0.15, -1.05), (0.15, -1.05), (0.24, 0.05)]
    it.shape(tower, CREAM)
    with it.inside(tower) as part:
        bands, tilt = np.linspace(0.05, -1.05, 2 * int(rng.integers(2, 6))), pick(rng, (0.0, 0.12))
        for low, high in zip(bands[::2], bands[1::2], strict=True):
            band = [(-0.3, low + tilt), (-0.3, high + tilt), (0.3, high - tilt), (0.3, low - tilt)]
            part.shape(band, colour)
        part.soft([box(0.08, -1.1, 0.3, 0.1)], INK, blur=0.05, opacity=0.4)
        part.soft([box(-0.15, -1.1, -0.09, 0.1)], WHITE, blur=0.03, opacity=0.5)
    for y in (-0.25, -0.7):
        it.shape(box(-0.035, y - 0.06, 0.035, y + 0.05), INK)
    door = [(-0.06, 0.05), (-0.06, -0.1), (0, -0.16), (0.06, -0.1), (0.06, 0.05)]
    it.shape(smooth(door), dark(colour, 0.5))
    _lantern(it, colour, dusk)


def _rock(it: Pen, rng: np.random.Generator, stone: Colour) -> None:
    """Draws a rock in two rows of facets, lighter on the left, with its flat top at the origin."""
    x = np.linspace(-1, 1, 9)
    crest = np.stack([x * 0.7, 0.01 + np.maximum(np.abs(x) - 0.4, 0) * 0.3], 1)
    waist = np.stack([x * 0.95 + 0.03, 0.2 + np.abs(x) * 0.15], 1)
    rows = [row + rng.normal(0, 0.02, row.shape) for row in (crest, waist)]
    rows.append(np.stack([x * 1.15, np.full(9, 0.8)], 1))
    for upper, lower in itertools.pairwise(rows):
        for left in range(8):
            tone = mix(light(stone, 0.3), dark(stone, 0.4), left / 8 + rng.uniform(-0.15, 0.15))
            it.shape([upper[left], upper[left + 1], lower[left + 1], lower[left]], tone)


def _lantern(it: Pen, colour: Colour, shining: bool) -> None:
    glass = (rgb(0xFFF6C8), rgb(0xF7D66A)) if shining else (rgb(0xDDF0F5), rgb(0x8FB8C8))
    it.shape(box(-0.11, -1.32, 0.11, -1.08), Shade(glass))
    if shining:
        it.soft([oval(0, -1.2, 0.12)], rgb(0xFFF0B0), blur=0.08, opacity=0.8)
    for x in (-0.11, 0.0, 0.11):
        it.line([(x, -1.32), (x, -1.08)], 0.02, INK)
    for x in np.linspace(-0.19, 0.19, 6):
        it.line([(x, -1.18), (x, -1.06)], 0.012, INK)
    it.line([(-0.2, -1.06), (0.2, -1.06)], 0.04, dark(colour, 0.4))
    it.line([(-0.19, -1.18), (0.19, -1.18)], 0.012, INK)
    roof = [(-0.16, -1.31), (-0.1, -1.42), (0, -1.48), (0.1, -1.42), (0.16, -1.31)]
    it.shape(smooth(roof), lit(colour, 20))
    it.line([(0, -1.46), (0, -1.56)], 0.02, INK)


def planet(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a planet with rings, and a moon or two, among the stars."""
    scenery.night(pen, rng)
    size, tilt = rng.uniform(0.36, 0.6), rng.uniform(-45, 45)
    it = pen.at(rng.uniform(-0.25, 0.25), rng.uniform(-0.2, 0.2), size, tilt)
    colour, second = pick(rng, BRIGHT), pick(rng, BRIGHT)
    flat, ring = rng.uniform(0.1, 0.38), mix(pick(rng, BRIGHT), CREAM, 0.5)
    it.soft([oval(0, 0, 1.08)], light(colour, 0.3), blur=0.12, opacity=0.55)
    _rings(it, flat, ring, front=False)
    it.shape(oval(0, 0, 1), colour)
    with it.inside(oval(0, 0, 1)) as part:
        for y in np.linspace(-1.1, 0.9, int(rng.integers(5, 12))):
            tone = mix(mix(colour, second, rng.random() * 0.7), CREAM, rng.random() * 0.35)
            part.line(oval(0, y, 1.1, flat)[:25], rng.uniform(0.05, 0.22), tone)
        x, y = rng.uniform(-0.4, 0.4, 2)
        part.shape(oval(x, y, 0.22, 0.12), dark(second, 0.2))
        part.shape(oval(x, y, 0.15, 0.07), light(second, 0.3))
        part.soft([oval(0, 0.12, 1.4, 1.4 * flat)[:25]], INK, blur=0.08, opacity=0.3)
        part.soft([oval(0.75, 0.65, 0.85, 1.2, -45)], INK, blur=0.25, opacity=0.75)
        part.soft([oval(-0.45, -0.5, 0.25, 0.2)], WHITE, blur=0.2, opacity=0.45)
    _rings(it, flat, ring, front=True)
    for side in pick(rng, ((-1,), (1,), (-1, 1))):
        moon = pen.at(side * rng.uniform(0.6, 0.85), -side * rng.uniform(0.55, 0.8), rng.uniform(0.05, 0.13))
        moon.shape(oval(0, 0, 1), ball(mix(second, rgb(0xBBB8C4), 0.6)))


def _rings(it: Pen, flat: float, colour: Colour, *, front: bool) -> None:
    """Draws the half of a planet's rings in front of it, or the half behind it."""
    half = np.arange(-1, 26) if front else np.arange(23, 50) % 48
    tones = (dark(colour, 0.3), colour, light(colour, 0.3), dark(colour, 0.2))
    for (outer, inner), tone in zip(((1.9, 1.78), (1.76, 1.5), (1.5, 1.4), (1.37, 1.25)), tones, strict=True):
        arc, back = oval(0, 0, outer, outer * flat)[half], oval(0, 0, inner, inner * flat)[half]
        it.shape(np.concatenate([arc, back[::-1]]), Shade((light(tone, 0.2), tone, dark(tone, 0.4)), 20))


def sailboat(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a sailing boat on the sea."""
    scenery.sky(pen, rng)
    scenery.gulls(pen, rng)
    blue = pick(rng, (rgb(0x2F86B5), rgb(0x2A9D9F), rgb(0x3F6FA8), rgb(0x4C9BC9)))
    level = rng.uniform(0.05, 0.4)
    if rng.random() < 0.5:
        pen.shape(scenery.ridge(pen, rng, level - 0.08, 0.06), light(dark(blue, 0.2), 0.45))
    scenery.sea(pen, rng, level, blue)
    size, flip = rng.uniform(0.5, 0.88), rng.random() < 0.5
    it = pen.at(rng.uniform(-0.3, 0.3), level + rng.uniform(0.05, 0.25), size, rng.normal(0, 8), flip)
    hull, sail = pick(rng, (*BRIGHT, INK, WHITE)), pick(rng, (WHITE, CREAM, *BRIGHT))
    it.soft([oval(0, 0.3, 0.75, 0.1)], dark(blue, 0.6), blur=0.05, opacity=0.6)
    it.soft([[(-0.1, 0.3), (0.5, 0.3), (0.15, 0.8)]], light(sail, 0.3), blur=0.05, opacity=0.35)
    _sails(it, rng, sail, hull)
    stern, stem = [(-0.8, 0.02), (-0.78, 0.04), (-0.55, 0.27)], [(0.62, 0.25), (0.74, 0.03), (0.7, 0.02)]
    body = smooth([*stern, (-0.3, 0.33), (0.35, 0.33), *stem, (0, 0.06)])
    it.shape(body, lit(hull, 90))
    with it.inside(body) as part:
        part.shape(box(-1, 0.1, 1, 0.15), light(sail, 0.5) if hull != WHITE else BRIGHT[5])
    for _ in range(12):
        x, y = rng.uniform(-0.8, 0.75), rng.uniform(0.29, 0.38)
        it.line([(x - 0.1, y), (x, y - 0.02), (x + 0.1, y)], 0.02, light(blue, rng.uniform(0.4, 0.8)))


def _sails(it: Pen, rng: np.random.Generator, sail: Colour, second: Colour) -> None:
    wood = rgb(0x7A5233)
    it.line([(0, 0.1), (0, -1.3)], 0.035, wood)
    main = smooth([(0.04, -1.25), (0.04, -1.22), (0.5, -0.55), (0.72, -0.12), (0.68, -0.08), (0.04, -0.12)])
    jib = smooth([(-0.04, -1.05), (-0.3, -0.6), (-0.62, -0.08), (-0.58, -0.06), (-0.06, -0.12)])
    it.shape(main, Shade((light(sail, 0.45), sail, dark(sail, 0.15)), 30))
    with it.inside(main) as part:
        for top in ((), (-0.75,), (-1.0, -0.6, -0.2))[int(rng.integers(3))]:
            part.shape(box(0, top, 1, top + 0.2), second)
        for y in (-0.4, -0.7, -0.95):
            part.line([(0, y), (0.7, y + 0.06)], 0.012, dark(sail, 0.25))
    it.shape(jib, Shade((light(sail, 0.6), light(sail, 0.2), dark(sail, 0.1)), 30))
    it.line([(0, -0.08), (0.7, -0.06)], 0.03, wood)
    it.shape([(0, -1.3), (-0.2, -1.24), (0, -1.18)], pick(rng, BRIGHT))
