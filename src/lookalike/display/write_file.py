"""Writes an output file whole or not at all."""

import os
import secrets
from pathlib import Path

from lookalike.display.text import safe_text
from lookalike.errors import StorageError, UsageError
from lookalike.system import durable


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file so that no reader ever sees a part of it: under a temporary name, and then renamed to `path`.

    Raises:
        UsageError: no file can be written at that path.
        StorageError: the disk is full or failing; an earlier file at `path` is unchanged.
    """
    target = Path(os.path.realpath(path))  # a symlink stays, and its target is replaced
    try:
        if target.exists() and not target.is_file():
            raise UsageError(f"{safe_text(path)}: not a regular file; give another path")
        _replace(target, data)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        reason = f"cannot be written there ({error.strerror}); give another path"
        raise UsageError(f"{safe_text(path)}: {reason}") from error
    except OSError as error:
        raise StorageError(f"{safe_text(path)}: cannot be written ({error.strerror})") from error


def _replace(target: Path, data: bytes) -> None:
    # A random name: the folder is the user's, and any fixed name may be one of the user's files.
    temporary = target.with_name(f".lookalike-{secrets.token_hex(8)}.tmp")
    try:
        durable.write_bytes(temporary, data)
        durable.rename(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
