"""Fixtures that write attribute tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lookalike.attributes import parquet as reader


@pytest.fixture(autouse=True)
def parquet_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the many tests that read a sound Parquet file the process that reads it first."""
    monkeypatch.setattr(reader, "check", lambda path: None)


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a table of text or bytes, and returns its path."""

    def write(content: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[..., Path]:
    """Writes a Parquet file of columns by name, each a pyarrow array or a list, and returns its path."""

    def write(columns: dict[str, Any], **options: Any) -> Path:
        import pyarrow as pa
        import pyarrow.parquet

        path = tmp_path / "table.parquet"
        arrays = [values if isinstance(values, pa.Array) else pa.array(values) for values in columns.values()]
        pyarrow.parquet.write_table(pa.table(arrays, names=list(columns)), path, **options)
        return path

    return write
