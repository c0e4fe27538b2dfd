"""Draws pictures of things on walls and tables, with a function for each kind."""

import math

import numpy as np

from lookalike.demo import scenery
from lookalike.demo.canvas import Pen, Points, box, mirrored, oval, scattered, smooth
from lookalike.demo.colours import BRIGHT, CREAM, INK, WHITE, Colour, Shade, ball, dark, light, lit, mix, pick, rgb


def clock(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a round clock, perhaps with the bells of an alarm clock."""
    scenery.wall(pen, rng)
    it = pen.at(rng.uniform(-0.25, 0.25), rng.uniform(-0.1, 0.15), rng.uniform(0.42, 0.75), rng.normal(0, 12))
    case = pick(rng, (*BRIGHT, INK, rgb(0x8F5E3B)))
    tinted = (light(case, 0.8), dark(case, 0.75))
    face, hand = pick(rng, ((CREAM, INK), (WHITE, rgb(0x23395B)), (INK, CREAM), tinted))
    it.soft([oval(0.1, 0.14, 1)], INK, blur=0.08, opacity=0.4)
    if rng.random() < 0.5:
        for x in (-1, 1):
            it.line([(x * 0.5, 0.8), (x * 0.72, 1.12)], 0.12, dark(case, 0.4))
            it.at(x * 0.52, -0.92, 1, x * 30).shape(oval(0, 0, 0.36, 0.26), ball(case))
        it.line([(0, -0.9), (0, -1.2)], 0.06, dark(case, 0.4))
        it.shape(oval(0, -1.22, 0.1), ball(case))
    it.shape(oval(0, 0, 1), lit(case, 50))
    it.shape(oval(0, 0, 0.86), dark(case, 0.45))
    it.shape(oval(0, 0, 0.82), Shade((face, dark(face, 0.1)), 60))
    every = pick(rng, (1, 1, 3))
    for hour in range(0, 12, every):
        tick, strong = it.at(0, 0, 1, hour * 30), hour % 3 == 0
        tick.line([(0, -0.74), (0, -0.58 if strong else -0.66)], 0.06 if strong else 0.035, hand)
    minute = rng.uniform(0, 360)
    hour_angle = 30 * int(rng.integers(12)) + minute / 12
    for angle, length, width in ((hour_angle, 0.4, 0.085), (minute, 0.62, 0.06)):
        it.at(0.015, 0.03, 1, angle).line([(0, 0.1), (0, -length)], width, dark(face, 0.25))
        it.at(0, 0, 1, angle).line([(0, 0.1), (0, -length)], width, hand)
    it.at(0, 0, 1, rng.uniform(0, 360)).line([(0, 0.16), (0, -0.68)], 0.02, rgb(0xD8343F))
    it.shape(oval(0, 0, 0.06), rgb(0xD8343F))


def mug(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a steaming mug on a table."""
    scenery.wall(pen, rng)
    level = rng.uniform(0.0, 0.4)
    scenery.table(pen, rng, level)
    size, flip = rng.uniform(0.42, 0.68), rng.random() < 0.5
    it = pen.at(rng.uniform(-0.3, 0.3), level + rng.uniform(0, 0.1), size, 0, flip)
    colour, second, tall = pick(rng, (WHITE, *BRIGHT)), pick(rng, (CREAM, *BRIGHT)), rng.uniform(0.45, 0.85)
    it.soft([oval(0.15, 0.62, 0.95, 0.14)], INK, blur=0.06, opacity=0.5)
    handle = smooth([(0.5, -0.35), (0.95, -0.4), (1.05, 0.0), (0.85, 0.3), (0.5, 0.35)])[:33]
    for width, tone in ((0.2, dark(colour, 0.35)), (0.13, colour), (0.05, light(colour, 0.3))):
        it.line(handle, width, tone)
    body = np.concatenate([oval(0, -tall, 0.7, 0.17)[24:], oval(0, 0.55, rng.uniform(0.48, 0.66), 0.13)[:24]])
    it.shape(body, Shade((light(colour, 0.35), colour, dark(colour, 0.4)), 0))
    with it.inside(body) as part:
        _glaze(part, rng, second)
        part.soft([box(0.4, -1, 0.8, 1)], INK, blur=0.15, opacity=0.35)
        part.soft([box(-0.52, -0.6, -0.42, 0.4)], WHITE, blur=0.05, opacity=0.5)
    it.shape(oval(0, -tall, 0.7, 0.17), light(colour, 0.45))
    it.shape(oval(0, -tall, 0.63, 0.135), dark(colour, 0.4))
    it.shape(oval(0, -tall + 0.03, 0.58, 0.1), Shade((rgb(0x3B2219), rgb(0x7A4B2E)), 0))
    wisps: list[Points] = []
    for x in (-0.25, 0.05, 0.3):
        y = np.linspace(-tall - 0.1, -tall - rng.uniform(0.6, 0.85), 12)
        wisp = np.stack([x + 0.08 * np.sin(y * 7 + x * 5), y], 1)
        wisps.append(np.concatenate([wisp, wisp[::-1] + np.array((0.08, 0))]))
    it.soft(wisps, WHITE, blur=0.03, opacity=0.7)


def _glaze(part: Pen, rng: np.random.Generator, colour: Colour) -> None:
    """Draws the pattern on a mug: bands, dots, a heart, a dipped foot or nothing."""
    pattern = rng.integers(5)
    if pattern == 0:
        for y in (-0.3, 0.0):
            part.line(oval(0, y, 0.75, 0.15)[:25], 0.14, colour)
    elif pattern == 1:
        for x, y in scattered(rng, 22, 0.26):
            part.shape(oval(x * 0.75, y * 0.8, 0.07), colour)
    elif pattern == 2:
        lobe = [(-0.3, 0), (-0.25, -0.22), (-0.08, -0.22)]
        part.shape(smooth([(0, 0.3), *lobe, (0, -0.1), *mirrored(lobe)[::-1]]), colour)
    elif pattern == 3:
        part.shape(np.concatenate([oval(0, 0.1, 0.8, 0.17)[:25], [(-0.8, 1), (0.8, 1)]]), colour)


def pizza(pen: Pen, rng: np.random.Generator) -> None:
    """Draws a cut pizza from above, on a table or a checked cloth."""
    if rng.random() < 0.6:
        scenery.planks(pen, rng)
    else:
        scenery.cloth(pen, rng, pick(rng, (BRIGHT[9], BRIGHT[5], BRIGHT[3], BRIGHT[0])))
    it = pen.at(rng.uniform(-0.2, 0.2), rng.uniform(-0.15, 0.15), rng.uniform(0.6, 0.95), rng.uniform(0, 360))
    turns = np.linspace(0, math.tau, 24, endpoint=False)
    rims = [
        smooth(np.stack([np.cos(turns), np.sin(turns)], 1) * (radius + rng.normal(0, rough, (24, 1))))
        for radius, rough in ((1.0, 0.012), (0.85, 0.012), (0.8, 0.015))
    ]
    crust, cheese = rgb(0xD9964A), pick(rng, (rgb(0xF6CF65), rgb(0xF9DE8B), rgb(0xF2B950)))
    it.soft([rims[0] * 1.02], INK, blur=0.06, opacity=0.55)
    it.shape(rims[0], dark(crust, 0.25))
    it.shape(rims[0] * 0.98, Shade((light(crust, 0.4), crust), 60))
    for x, y in scattered(rng, 40, 0.05):
        share = rng.uniform(0.88, 0.95) / math.hypot(x, y)
        it.shape(oval(x * share, y * share, 0.03, 0.015, x * 300), mix(crust, dark(crust, 0.5), rng.random()))
    it.shape(rims[1], rgb(0xC23B22))
    it.shape(rims[2], cheese)
    for x, y in scattered(rng, 30, 0.1) * 0.66:
        it.shape(oval(x, y, 0.1, 0.06, x * 300), mix(light(cheese, 0.5), dark(cheese, 0.15), rng.random()))
    _toppings(it, rng, cheese)
    for cut in range(4):
        it.at(0, 0, 1, cut * 45).line([(-0.98, 0), (0.98, 0)], 0.018, dark(crust, 0.45))


def _toppings(it: Pen, rng: np.random.Generator, cheese: Colour) -> None:
    """Draws slices of salami, and perhaps olives, basil or mushrooms between them."""
    for x, y in scattered(rng, int(rng.integers(7, 16)), 0.4) * 0.66:
        it.shape(oval(x + 0.015, y + 0.02, 0.135), dark(cheese, 0.35))
        it.shape(oval(x, y, 0.13), rgb(0x9E2B25))
        it.shape(oval(x, y, 0.112), Shade((rgb(0xD75A45), rgb(0xBB3A2C)), 60))
        for dx, dy in scattered(rng, 5, 0.4) * 0.09:
            it.shape(oval(x + dx, y + dy, 0.014), rgb(0xE88B73))
    extra = rng.integers(4)
    for x, y in scattered(rng, 12, 0.3) * 0.66 if extra else ():
        bit = it.at(x, y, 1, rng.uniform(0, 360))
        if extra == 1:
            bit.line(oval(0, 0, 0.05), 0.035, rgb(0x33323F))
        elif extra == 2:
            bit.shape(smooth([(0, -0.12), (0.06, 0), (0, 0.12), (-0.06, 0)]), lit(rgb(0x4C8C3B)))
            bit.line([(0, -0.1), (0, 0.1)], 0.01, rgb(0xA5CF7E))
        else:
            cap = oval(0, 0, 0.1, 0.09)[24:]
            bit.shape(np.concatenate([cap, [(0.03, 0), (0.03, 0.09), (-0.03, 0.09)]]), CREAM)
            bit.line(cap, 0.015, rgb(0xA58A6A))
