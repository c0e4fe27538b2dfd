"""The kinds of picture; to add one, write a function like the others and name it here."""

from collections.abc import Callable, Mapping

import numpy as np

from lookalike.demo.canvas import Pen
from lookalike.demo.indoors import clock, mug, pizza
from lookalike.demo.nature import butterfly, cactus, fish, flower, mushroom
from lookalike.demo.outdoors import balloon, lighthouse, planet, sailboat

Kind = Callable[[Pen, np.random.Generator], None]

KINDS: Mapping[str, Kind] = {
    kind.__name__: kind
    for kind in (
        balloon, butterfly, cactus, clock, fish, flower, lighthouse, mug, mushroom, pizza, planet, sailboat,
    )
}  # fmt: skip
