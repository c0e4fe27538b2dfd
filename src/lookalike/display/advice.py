"""Says in words what a comparison of orders has found."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lookalike.evaluation.results import OrderQuality

_ALIKE = 0.01  # a difference that chance may make


def order_advice(orders: "Sequence[OrderQuality]") -> list[str]:
    """Sentences that say which order is better for what; none if nothing was compared."""
    by_name = {order.name: order for order in orders}
    if not {"cosine", "refined"} <= by_name.keys():
        return []
    cosine, refined = by_name["cosine"], by_name["refined"]
    kinds = _advice("For things of a kind", cosine.mean_average_precision, refined.mean_average_precision, "mAP")
    copies = _advice("For copies of one picture", cosine.copies_first, refined.copies_first, "copy first")
    return [*kinds, *copies]


def _advice(what: str, cosine: float | None, refined: float | None, measure: str) -> list[str]:
    if cosine is None or refined is None:
        return []
    gain = refined - cosine
    if abs(gain) < _ALIKE:
        return [f"{what}, both orders are as good."]
    better = "the refined order is better (--refine)" if gain > 0 else "the order by cosine is better"
    return [f"{what}, {better}: {measure} {gain:+.3f}."]
