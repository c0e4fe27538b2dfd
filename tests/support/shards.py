"""Writes tar archives and Parquet files of drawn pictures."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from tests.support.pictures import picture


def png(seed: int) -> bytes:
    """The bytes of a PNG file of `picture(seed)`."""
    data = io.BytesIO()
    Image.fromarray(picture(seed)).save(data, "PNG")
    return data.getvalue()


def write_tar(
    path: Path,
    members: Mapping[str, bytes] | Iterable[tuple[str, bytes]],
    mode: Literal["w", "w:gz"] = "w",
    *,
    format_: int = tarfile.PAX_FORMAT,
) -> Path:
    """Writes an archive of these members, in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pairs = members.items() if isinstance(members, Mapping) else members
    with tarfile.open(path, mode, format=format_) as archive:
        for name, data in pairs:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def write_parquet(
    path: Path, columns: Mapping[str, Any], *, features: Mapping[str, Any] | None = None, **how: Any
) -> Path:
    """Writes a Parquet file of these columns, with what Hugging Face's datasets note of them if that is given."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(dict(columns))
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": dict(features)}})})
    pq.write_table(table, path, **how)
    return path
