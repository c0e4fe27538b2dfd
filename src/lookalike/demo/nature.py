"""Draws pictures of plants and animals, with a function for each kind."""

import math
from dataclasses import dataclass

import numpy as np

from lookalike.demo import scenery
from lookalike.demo.canvas import Pen, Points, mirrored, oval, scattered, smooth
from lookalike.demo.colours import BRIGHT, CREAM, INK, WHITE, Colour, Shade, ball, dark, light, lit, mix, pick, rgb

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))  # radians from one seed of a sunflower to the next
LOWER_WING = ((0.05, 0), (0.45, 0.02), (0.75, 0.15), (0.8, 0.45), (0.6, 0.75), (0.35, 0.7), (0.15, 0.35))
UPPER_WING = ((0.05, 0.05), (0.2, -0.45), (0.55, -0.8), (0.95, -0.82), (1, -0.5), (0.82, -0.1), (0.45, 0.08))


def butterfly(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a butterfly with open wings in a glade."""
    scenery.glade(pen, rng, pick(rng, (*scenery.GREENS, rgb(0x7FA9C4), rgb(0xC48AA0), rgb(0xD3AE5A), rgb(0x9A86BF))))
    it = pen.at(rng.uniform(-0.2, 0.2), rng.uniform(-0.15, 0.15), rng.uniform(0.5, 0.88), rng.normal(0, 35))
    colour, second = pick(rng, BRIGHT), pick(rng, (CREAM, *BRIGHT))
    span, style = rng.uniform(0.8, 1.1), int(rng.integers(3))
    lower = np.array(LOWER_WING) * (span * rng.uniform(0.85, 1.1), rng.uniform(0.8, 1.15))
    upper = np.array(UPPER_WING) * (span, rng.uniform(0.85, 1.1))
    for wing, tone in ((lower, mix(colour, second, rng.uniform(0, 0.6))), (upper, colour)):
        for side in (wing, mirrored(wing)):
            it.at(0.03, 0.06).soft([smooth(side)], INK, blur=0.04, opacity=0.3)
            it.shape(smooth(side), dark(colour, 0.8))
        for flip in (False, True):
            _wing(it.at(0, 0, flip=flip), wing, tone, second, style)
    for x in (-1, 1):
        it.line(smooth([(0, -0.2), (x * 0.1, -0.5), (x * 0.28, -0.62)])[:16], 0.02, INK)
        it.shape(oval(x * 0.28, -0.62, 0.03), INK)
    it.shape(oval(0, 0.12, 0.065, 0.42), ball(INK))
    it.shape(oval(0, -0.27, 0.075), ball(INK))


def _wing(it: Pen, wing: Points, colour: Colour, second: Colour, style: int) -> None:
    """Draws a right wing with one of three patterns; its outline begins and ends at the body."""
    root, middle = wing[0], wing.mean(0)
    x, y = middle
    inner, edge = smooth(middle + (wing - middle) * 0.8), dark(colour, 0.8)
    it.shape(inner, Shade((light(colour, 0.45), colour, dark(colour, 0.1))))
    if style == 0:
        with it.inside(inner) as part:
            part.shape(oval(wing[3, 0] * 0.95, wing[3, 1] * 0.95, 0.42), second)
    for tip in wing[2:-1]:
        it.line([root, middle, tip], 0.018, edge)
        dx, dy = tip - middle
        it.shape(oval(x + dx * 0.9, y + dy * 0.9, 0.035), CREAM)
        if style == 1:
            it.shape(oval(x + dx * 0.55, y + dy * 0.55, 0.05), second)
    if style == 2:
        it.shape(oval(x, y, 0.12), second)
        it.shape(oval(x, y, 0.06), edge)


def cactus(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a cactus with arms and flowers in a desert."""
    scenery.sky(pen, rng)
    sand = pick(rng, (rgb(0xE0B878), rgb(0xD69A6A), rgb(0xEBCB96), rgb(0xC98B5F)))
    scenery.hills(pen, rng, pen.bottom - rng.uniform(0.4, 0.7), sand, rgb(0xD9B8B0))
    size, flip = rng.uniform(0.85, 1.35), rng.random() < 0.5
    it = pen.at(rng.uniform(-0.35, 0.35), pen.bottom - rng.uniform(0.12, 0.25), size, rng.normal(0, 4), flip)
    green = pick(rng, (rgb(0x4E9A57), rgb(0x3F8F76), rgb(0x7A9E45), rgb(0x5FA36A)))
    it.soft([oval(0.22, 0.0, 0.45, 0.05)], INK, blur=0.03, opacity=0.4)
    bend = np.linspace(math.pi / 2, 0, 8)
    bloom = pick(rng, BRIGHT)
    for side in pick(rng, ((-1, 1), (1,), (-1, 1, 0.55))):
        foot, rise, reach = rng.uniform(-0.65, -0.25), rng.uniform(0.1, 0.35), 0.29 * side
        elbow = np.stack([reach + 0.14 * side * (np.cos(bend) - 1), foot + 0.14 * (np.sin(bend) - 1)], 1)
        _limb(it, np.array([(0, foot), *elbow, (reach, foot - 0.14 - rise)]), 0.16, green, bloom)
    _limb(it, np.array([(0, 0.1), (0, rng.uniform(-1.1, -0.85))]), rng.uniform(0.24, 0.3), green, bloom)
    it.soft([oval(0, 0.13, 0.45, 0.12)], sand, blur=0.025)
    for x in rng.uniform(-0.45, 0.45, 5):
        it.shape(oval(x, 0.03, rng.uniform(0.02, 0.05), 0.02), lit(dark(sand, 0.45)))


def _limb(it: Pen, path: Points, width: float, green: Colour, bloom: Colour) -> None:
    """Draws a ribbed limb of a cactus with spines along its last straight part and a flower on top."""
    tones = (dark(green, 0.45), dark(green, 0.12), green, light(green, 0.14))
    for share, tone in zip((1.0, 0.88, 0.6, 0.25), tones, strict=True):
        it.line(path, width * share, tone)
    foot, top = path[-2], path[-1]
    for rib in (-0.34, -0.12, 0.12, 0.34):
        for share in np.arange(0.04, 1.0, 0.06 / abs(foot[1] - top[1])):
            x, y = foot + (top - foot) * share + (rib * width, 0.03 * abs(rib))
            it.line([(x - 0.014, y - 0.016), (x, y), (x + 0.014, y - 0.016)], 0.007, light(green, 0.65))
    for angle in (-55, 55, -28, 28, 0):
        it.at(top[0], top[1] - width * 0.46, width * 0.42, angle).shape(oval(0, -0.4, 0.24, 0.6), lit(bloom))


def fish(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a bright fish under water, sometimes with a small one."""
    water = pick(rng, (rgb(0x1E7FA8), rgb(0x2A9AA8), rgb(0x2B6CB0), rgb(0x1C7C7D), rgb(0x3A5BA0)))
    scenery.deep(pen, rng, water)
    angle, flip = rng.normal(0, 16), rng.random() < 0.5
    x, y = rng.uniform(-0.2, 0.2), rng.uniform(-0.3, 0.2)
    if rng.random() < 0.3:
        _swimmer(pen.at(-x - 0.5 * np.sign(x), y - 0.5 * np.sign(y), 0.22, -angle, flip), rng)
    it = pen.at(x, y, rng.uniform(0.45, 0.78), angle, flip)
    _swimmer(it, rng)
    for step in range(3):
        x, y, radius = -0.98 - rng.uniform(0, 0.2), -0.15 - step * 0.22, rng.uniform(0.03, 0.07)
        it.shape(oval(x, y, radius), light(water, 0.75))
        it.shape(oval(x, y, radius * 0.75), light(water, 0.35))


def _swimmer(it: Pen, rng: np.random.Generator) -> None:
    """Draws a fish that faces left and is two units long."""
    colour, tall = pick(rng, BRIGHT[:3] + BRIGHT[6:]), rng.uniform(0.38, 0.66)
    fin = mix(colour, pick(rng, BRIGHT), 0.4)
    it.shape(smooth([(0.7, 0), (1.15, -0.42), (1.25, -0.3), (1.1, 0), (1.25, 0.3), (1.15, 0.42)]), lit(fin))
    it.shape(smooth([(-0.35, -tall * 0.7), (0, -tall - 0.25), (0.5, -tall * 0.9), (0.45, -0.15)]), lit(fin))
    it.shape(smooth([(0, tall * 0.7), (0.2, tall + 0.2), (0.42, tall * 0.95), (0.4, 0.1)]), lit(fin))
    back = [(-1, 0.05), (-0.7, -tall * 0.7), (-0.1, -tall), (0.5, -tall * 0.5), (0.85, -0.1)]
    body = smooth([*back, (0.85, 0.1), (0.5, tall * 0.5), (-0.1, tall), (-0.7, tall * 0.75)])
    it.shape(body, Shade((light(colour, 0.2), colour, light(colour, 0.45))))
    with it.inside(body) as part:
        if rng.random() < 0.65:
            for x in np.linspace(-0.42, 0.62, int(rng.integers(2, 5))):
                curve = smooth([(x, -0.8), (x - 0.1, 0), (x, 0.8), (x + 0.5, 0)])[:17]
                part.line(curve, 0.2, dark(colour, 0.7))
                part.line(curve, 0.14, CREAM)
        else:
            for x, y in scattered(rng, 30, 0.22):
                part.shape(oval(x * 0.8 + 0.25, y * 0.6, rng.uniform(0.05, 0.08)), light(fin, 0.4))
        part.soft([oval(0, -tall * 0.75, 0.6, 0.1)], WHITE, blur=0.08, opacity=0.4)
        part.soft([oval(0.1, tall, 0.8, 0.15)], INK, blur=0.1, opacity=0.25)
    it.shape(smooth([(-0.12, 0.08), (0.22, 0.0), (0.3, 0.25), (0.1, 0.3)]), lit(fin))
    it.shape(oval(-0.66, -0.1, 0.13), WHITE)
    it.shape(oval(-0.68, -0.1, 0.08), INK)
    it.shape(oval(-0.71, -0.13, 0.03), WHITE)
    it.line(smooth([(-0.97, 0.12), (-0.88, 0.17), (-0.8, 0.14)])[:16], 0.025, dark(colour, 0.7))


@dataclass(frozen=True)
class Blossom:
    """The shape and colours that the flowers of one plant share; lengths are in units of a petal's length."""

    petals: Colour
    heart: Colour
    count: int  # petals in each of two rows
    width: float  # of half a petal at its widest
    belly: float  # distance of the widest part from the centre
    radius: float  # of the heart


def flower(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a daisy, an aster or a sunflower in the grass, sometimes two of them."""
    green = pick(rng, scenery.GREENS)
    if rng.random() < 0.6:
        scenery.glade(pen, rng, green)
    else:
        scenery.sky(pen, rng, scenery.DAY)
        scenery.hills(pen, rng, rng.uniform(0.3, 0.6), green, rgb(0xC9DDE6))
    x, y, size = rng.uniform(-0.25, 0.25), rng.uniform(-0.35, 0.0), rng.uniform(0.42, 0.7)
    blossom = Blossom(
        petals=pick(rng, (CREAM, rgb(0xF7C52E), rgb(0xF29CB7), rgb(0xB58BD6), rgb(0xEE7B4D), rgb(0x8FB4EE))),
        heart=pick(rng, (rgb(0xE9A820), rgb(0x6B4226), rgb(0x8C9A3A))),
        count=int(rng.integers(9, 20)),
        width=rng.uniform(0.12, 0.2),
        belly=rng.uniform(0.5, 0.75),
        radius=rng.uniform(0.24, 0.4),
    )
    second = (x - math.copysign(0.62, x), rng.uniform(-0.1, 0.35), size * 0.5)
    for left, top, scale in (second, (x, y, size))[int(rng.random() < 0.6) :]:
        foot = left + rng.normal(0, 0.15)
        stalk = [(left, top), (left * 0.7 + foot * 0.3, 0.5), (foot, pen.bottom + 0.1)]
        pen.line(stalk, 0.09 * scale, dark(green, 0.35))
        for side in (-1, 1):
            leaf = pen.at(foot, rng.uniform(0.65, 0.9), scale * 0.8, side * rng.uniform(35, 65))
            leaf.shape(smooth([(0, 0), (-0.22, -0.45), (0, -1), (0.22, -0.45)]), lit(dark(green, 0.25)))
            leaf.line([(0, 0), (0, -0.8)], 0.03, light(green, 0.15))
        _bloom(pen.at(left, top, scale, rng.uniform(0, 40)), rng, blossom)
    scenery.grass(pen, rng, pen.bottom - 0.25, green)


def _bloom(it: Pen, rng: np.random.Generator, blossom: Blossom) -> None:
    wide, belly, radius, heart = blossom.width, blossom.belly, blossom.radius, blossom.heart
    it.soft([oval(0.06, 0.1, 0.9)], INK, blur=0.08, opacity=0.3)
    for shift, tone in ((0.5, dark(blossom.petals, 0.18)), (0.0, blossom.petals)):
        for number in range(blossom.count):
            petal = it.at(0, 0, rng.uniform(0.93, 1.05), (number + shift) * 360 / blossom.count)
            petal.shape(smooth([(0, -0.15), (-wide, -belly), (0, -1), (wide, -belly)]), lit(tone))
            petal.line([(0, -0.3), (0, -0.75)], 0.015, dark(tone, 0.15))
    it.shape(oval(0.02, 0.03, radius + 0.02), dark(heart, 0.4))
    it.shape(oval(0, 0, radius), ball(heart))
    for number in range(1, 60):
        away, turn = radius * 0.115 * math.sqrt(number), number * GOLDEN_ANGLE
        it.shape(oval(away * math.cos(turn), away * math.sin(turn), 0.016), dark(heart, 0.35))


def mushroom(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a spotted toadstool in the woods, often with a small one beside it."""
    green = pick(rng, scenery.GREENS)
    scenery.glade(pen, rng, dark(mix(green, pick(rng, (green, rgb(0xB98A4A), rgb(0x6F8FA3))), 0.5), 0.15))
    trunks = [oval(x, -0.3, rng.uniform(0.04, 0.1), 1.4) for x in rng.uniform(-pen.right, pen.right, 4)]
    pen.soft(trunks, dark(rgb(0x5A4632), 0.3), blur=0.03, opacity=0.4)
    pen.shape(scenery.ridge(pen, rng, pen.bottom - 0.3, 0.06), lit(dark(green, 0.25), 90))
    red = pick(rng, (BRIGHT[9], BRIGHT[0], rgb(0xD9772B), rgb(0xA8563A), rgb(0xC65B7C)))
    x, size = rng.uniform(-0.3, 0.3), rng.uniform(0.5, 0.8)
    child = (x - math.copysign(rng.uniform(0.5, 0.65), x), size * rng.uniform(0.35, 0.5))
    for left, scale in (child, (x, size))[int(rng.random() < 0.4) :]:
        _toadstool(pen.at(left, pen.bottom - rng.uniform(0.14, 0.24), scale, rng.normal(0, 8)), rng, red)
    scenery.grass(pen, rng, pen.bottom - 0.22, green, 55)


def _toadstool(it: Pen, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a toadstool about two units high whose foot is at the origin."""
    wide, tall = rng.uniform(0.75, 1.0), rng.uniform(1.5, 1.9)
    it.soft([oval(0.1, 0.02, 0.5, 0.08)], INK, blur=0.05, opacity=0.5)
    stem = [(-0.2, -1), (0.2, -1), (0.2, -0.3), (0.3, 0.03), (-0.3, 0.03), (-0.2, -0.3)]
    it.shape(smooth(stem), Shade((CREAM, rgb(0xF3E6CC), rgb(0xBFAC8C)), 0))
    it.shape(oval(0, -0.9, wide * 0.87, 0.2), Shade((rgb(0xB79F7C), rgb(0xF1E3C6))))
    for tip in np.linspace(-0.78, 0.78, 25) * wide:
        edge = -0.9 + 0.2 * math.sqrt(1 - (tip / wide) ** 2)
        it.line([(tip * 0.25, -0.86), (tip, edge)], 0.012, rgb(0xB49A78))
    skirt = [(-0.2, -0.78), (0.2, -0.78), (0.33, -0.56), (0, -0.5), (-0.33, -0.56)]
    it.shape(smooth(skirt), Shade((WHITE, rgb(0xD9C9AB))))
    dome = [(-wide, -0.92), (-wide * 0.88, -1.3), (-wide * 0.45, -tall + 0.06), (0, -tall)]
    rim = [(-wide * 0.5, -0.86), (wide * 0.5, -0.86)]
    cap = smooth([*dome, *mirrored(dome[:3])[::-1], *rim[::-1]])
    it.shape(cap, ball(colour))
    with it.inside(cap) as top:
        for x, y in scattered(rng, int(rng.integers(12, 22)), 0.28):
            # On a dome, spots near the rim are seen from the side and look narrow.
            radius, centre = rng.uniform(0.06, 0.12), -0.9 - (tall - 0.9) * (0.5 - y / 2)
            narrow = radius * math.sqrt(1.05 - x * x)
            top.shape(oval(x * wide + 0.01, centre + 0.025, narrow, radius * 0.8), dark(colour, 0.45))
            top.shape(oval(x * wide, centre, narrow, radius * 0.8), CREAM)
        top.soft([oval(wide * 0.85, -1.0, 0.3, 0.5)], INK, blur=0.12, opacity=0.4)
