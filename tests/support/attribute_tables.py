"""What the tests of attribute tables share: reading a table, and comparing values with their types."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lookalike.attributes.table import Row, read_table

needs_pyarrow = pytest.mark.skipif(
    not find_spec("pyarrow") and os.environ.get("CI") != "true", reason="pyarrow is not installed"
)


def rows(path: Path) -> list[Row]:
    """Reads all rows of a table."""
    return list(read_table(path).rows())


def typed(rows: list[Row]) -> list[tuple[str, dict[str, tuple[type, Any]]]]:
    """Adds the type to each value, since 1 == 1.0."""
    return [(name, {key: (type(value), value) for key, value in values.items()}) for name, values in rows]
