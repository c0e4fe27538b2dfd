"""What SQLite is kept from doing with a file that may come from a stranger."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.errors import CorruptError
from lookalike.storage import files, layout

# Ends a rollback journal that names a super-journal, a file that SQLite then reads and deletes
# (https://www.sqlite.org/fileformat.html, "The Rollback Journal"; pager.c, readSuperJournal). No commit of Lookalike's
# writes to two files, so no journal of its own names one.
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")

_SCHEMA_STEPS = 10_000  # of SQLite's machine, for reading the schema; Lookalike's takes some hundred
_SCHEMA_SQL = 20_000  # bytes of the statement that makes a table
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 2**28,  # bytes of a value; a list of row numbers is one
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 2**20,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 10,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 10,
    sqlite3.SQLITE_LIMIT_ATTACHED: 1,
}


def check_files(path: Path) -> None:
    """Checks a database and the files that SQLite opens with it, before SQLite sees them.

    Raises:
        CorruptError: one is no regular file, or its journal would have SQLite delete another file.
    """
    own, journal, *others = layout.sqlite_files(path)
    for each in (own, journal, *others):
        files.check(each)
    try:
        with files.opened(journal) as file:
            file.seek(max(os.fstat(file.fileno()).st_size - len(_SUPER_JOURNAL), 0))
            end = file.read(len(_SUPER_JOURNAL))
    except OSError:  # there is none, mostly, or it cannot be read, as SQLite is about to report
        return
    if end == _SUPER_JOURNAL:
        raise CorruptError(f"{journal}: it would have another file deleted, which no journal of Lookalike's does")


def read_schema(connection: sqlite3.Connection) -> None:
    """Sets limits for all that is done with a connection, and has it read the schema within narrower ones."""
    for limit, value in _LIMITS.items():
        connection.setlimit(limit, value)
    connection.execute("PRAGMA trusted_schema = OFF")  # before the schema is read
    connection.execute("PRAGMA cell_size_check = ON")
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, _SCHEMA_SQL)
    connection.set_progress_handler(lambda: 1, _SCHEMA_STEPS)
    connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    connection.set_progress_handler(None, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, _LIMITS[sqlite3.SQLITE_LIMIT_SQL_LENGTH])


class WorkLimit:
    """Stops statements that read far more than a file holds: the pages of a crafted table may form an endless tree.

    One step of SQLite's machine reads at most a row, so the size of the file says how many steps are too many.

    Attributes:
        done: the number of steps, roughly; 0 begins to count anew.
    """

    _STEPS_AT_ONCE = 1_000_000
    _LEAST = 200_000_000  # steps, which take some two seconds
    _PER_BYTE, _PER_BYTE_WRITING = 100, 1000

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._path, self.done, self._per_byte = path, 0, self._PER_BYTE
        connection.set_progress_handler(self._exceeded, self._STEPS_AT_ONCE)

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Within, a transaction writes, which takes more steps: each value is put into several places."""
        before, self._per_byte = self._per_byte, self._PER_BYTE_WRITING
        try:
            yield
        finally:
            self._per_byte = before

    def _exceeded(self) -> bool:
        """Is called after so many steps, and returns whether to stop."""
        self.done += self._STEPS_AT_ONCE
        return self.done > self._LEAST and self.done > self._LEAST + self._per_byte * self._path.stat().st_size
