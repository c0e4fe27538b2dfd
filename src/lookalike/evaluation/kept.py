"""Keeps what the last comparison of orders has found beside the vectors that it was of, for `info` to tell.

The file can be deleted at any time. One that is damaged, or written by another version, is as good as none.
"""

import json
import math
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lookalike.errors import CorruptError, StorageError
from lookalike.evaluation.orders import ORDERS
from lookalike.evaluation.results import Evaluation, OrderQuality
from lookalike.storage import files, layout
from lookalike.system import durable

_MAX_BYTES = 10_000


@dataclass(frozen=True)
class ComparedOrders:
    """What a comparison of orders has found.

    Attributes:
        orders: each order.
        images: the number of images that the collection had.
        date: when it was.
    """

    orders: tuple[OrderQuality, ...]
    images: int
    date: datetime


def keep(directory: Path, evaluation: Evaluation) -> None:
    """Keeps what an evaluation has found, unless the directory cannot be written to."""
    facts = {
        "orders": [asdict(order) for order in evaluation.orders],
        "images": evaluation.images,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path = directory / layout.ORDERS
    with suppress(StorageError), durable.storage_errors(path):
        durable.replace(path, (json.dumps(facts, indent=2) + "\n").encode())


def kept(directory: Path) -> ComparedOrders | None:
    """What the last evaluation has found; None if there is nothing that can be read."""
    try:
        facts = json.loads(files.read(directory / layout.ORDERS, max_bytes=_MAX_BYTES))
        return ComparedOrders(
            tuple(map(_order, facts["orders"])), _count(facts["images"]), datetime.fromisoformat(facts["date"])
        )
    except (OSError, CorruptError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _order(facts: dict[str, Any]) -> OrderQuality:
    """An order, of which every field is what Lookalike writes; raises ValueError otherwise."""
    name, *numbers = (facts[field.name] for field in fields(OrderQuality))
    if name not in ORDERS or not all(number is None or _is_measure(number) for number in numbers):
        raise ValueError("no order")
    return OrderQuality(name, *numbers)


def _is_measure(number: object) -> bool:
    return type(number) in (int, float) and 0 <= float(number) < math.inf  # type: ignore[arg-type]


def _count(number: object) -> int:
    if type(number) is not int or number < 0:
        raise ValueError("no number of images")
    return number
