"""An output file: written whole, or not at all."""

import os
import secrets
from pathlib import Path

from lookalike.display.text import safe_text
from lookalike.errors import StorageError, UsageError


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a temporary file beside `path` and renames it, so that nobody ever sees half of it.

    Raises:
        UsageError: there can be no file at that place.
        StorageError: the disk is full or failing; what was at `path` before is still there.
    """
    target = Path(os.path.realpath(path))  # a link keeps pointing at what it names
    try:
        if target.exists() and not target.is_file():
            raise UsageError(f"{safe_text(path)}: not an ordinary file; name another one")
        _replace(target, data)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        reason = f"cannot be written there ({error.strerror}); name another place"
        raise UsageError(f"{safe_text(path)}: {reason}") from error
    except OSError as error:
        raise StorageError(f"{safe_text(path)}: cannot be written ({error.strerror})") from error


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".lookalike-{secrets.token_hex(8)}.tmp")
    with temporary.open("xb") as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
