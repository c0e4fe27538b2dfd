"""Connections to an SQLite file: one per thread, none across a fork, durable commits, errors as Lookalike's."""

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.errors import CorruptError, IncompatibleError, StorageError
from lookalike.storage import files, layout, sqlite_limits
from lookalike.storage.read_gate import gate_of
from lookalike.storage.records import InvalidRecordError
from lookalike.storage.sqlite_limits import WorkLimit
from lookalike.system import durable, forks

_BUSY_TIMEOUT_S = 30.0
# The releases that fix a race in resetting the write-ahead log; before them, a rollback journal is the safe choice.
_WAL_FIXED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
# SQLite's result codes, by their low byte, that are about the disk and not about the contents of the file.
_DISK_CODES = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
}


_NO_FILE = (-1, -1)
_NOTHING = (0, 0, 0, 0, 0)  # of a file that is not there, see _written
_SETTLED_NS = 3_000_000_000  # more than the times of any file system are apart

Connection = sqlite3.Connection


class Database:
    """One SQLite file. Threads may share it: each gets a connection of its own."""

    def __init__(self, path: Path, *, on_replaced: Callable[[], None] = lambda: None) -> None:
        """`on_replaced` is called when another file has taken the place of this one, before it is used."""
        self.path, self._on_replaced = path, on_replaced
        self._log = layout.write_ahead_log(path)
        self._lock = forks.lock()
        self._pins = 0
        self.replacements = 0  # so many times, another file has taken its place
        self._start()

    def _start(self) -> None:
        self._file: tuple[int, int] | None = None  # what tells it from another one that has its path later
        self._process = os.getpid()
        self._local = threading.local()
        self._connections: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._closing = weakref.finalize(self, _close, self._connections, self._process)
        self._gate = gate_of(self.path)

    def close(self) -> None:
        """Closes every connection; the next use opens a new one."""
        with self._lock, forks.held_off():
            self._closing()
            self._start()

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """The calling thread's own connection.

        If the file has been replaced since it was opened, by another collection or by a backup, the new one is opened.

        Raises:
            IncompatibleError: the file is gone; or it has been replaced, and this is within `pinned`.
            StorageError: the disk is full or failing.
            CorruptError: the file is damaged.
        """
        if self._process != os.getpid():  # connections from before a fork are neither used nor closed
            self._closing.detach()
            self._inherited = self._connections
            self._start()
        if self._is_in_transaction():  # so it is within another call of this
            self._local.limit.done = 0
            yield self._local.connection
            return
        self._make_sure_of_file()
        with translated(self.path), forks.held_off(), self._gate.reading():
            if not hasattr(self._local, "connection"):
                self._local.connection = self._connect()
                self._local.limit = WorkLimit(self._local.connection, self.path)
            self._local.limit.done = 0
            yield self._local.connection

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """What this thread does within may take long: other readers do not wait for it."""
        with self._gate.reading(counts=False):
            yield

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Whatever this thread reads within belongs to one committed state; within a transaction, to that one's.

        Raises:
            IncompatibleError: the file is gone.
        """
        with self.connection() as connection:
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, committed to the disk at the end unless something is raised."""
        with self._gate.reading(counts=False), self.connection() as connection, self._local.limit.raised():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    def _connect(self) -> sqlite3.Connection:
        connection = self._opened()
        connection.text_factory = os.fsdecode
        try:
            sqlite_limits.read_schema(connection)
            _set_durability(connection)
            # Otherwise a large transaction writes to the file, and locks all readers out, before its end.
            connection.execute("PRAGMA cache_spill = OFF")  # outside of a transaction, or it has no effect
        except sqlite3.Error:
            connection.close()
            raise
        with self._lock:
            finished = [entry for entry in self._connections if not entry[0].is_alive()]
            for entry in finished:
                entry[1].close()
                self._connections.remove(entry)
            self._connections.append((threading.current_thread(), connection))
        return connection

    def _opened(self) -> sqlite3.Connection:
        sqlite_limits.check_files(self.path)
        name = f"{self.path.absolute().as_uri()}?mode=rw"  # SQLite would else make a new file where it is missing
        try:
            # Another thread than its own may close it, so SQLite's check of that is off.
            return sqlite3.connect(
                name, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        except sqlite3.OperationalError:
            self._status()
            raise

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Within, only the file that is at the path now is used; if it is replaced, IncompatibleError is raised."""
        self._make_sure_of_file()
        with self._lock:
            self._pins += 1
        try:
            yield
        finally:
            with self._lock:
                self._pins -= 1

    def _make_sure_of_file(self) -> None:
        """Makes sure that the file at the path is the one that was opened; if not, that one is opened from now on."""
        found = self._status()
        if self._file == found:
            return
        with self._lock:
            if self._file in (None, found):
                self._file = found
                return
            if self._pins:
                raise IncompatibleError(
                    f"{self.path}: another collection has taken the place of this one; open it again"
                )
            others = self._connections  # other threads may be using them; they are closed with the new ones
            self._closing.detach()
            self._start()
            self._connections += others
            self._file, self.replacements = found, self.replacements + 1
        try:
            self._on_replaced()
        except BaseException:
            self._file = _NO_FILE  # so that it is called again
            raise

    def _status(self) -> tuple[int, int]:
        """The device and the inode of the file; raises IncompatibleError if it is gone, which was there once."""
        try:
            status = os.stat(self.path)  # noqa: PTH116 - quicker, and done by each search
        except OSError as error:
            raise IncompatibleError(
                f"{self.path}: it is gone; since it was opened, the collection has been indexed again with another"
                " model, or deleted; open it again"
            ) from error
        return status.st_dev, status.st_ino

    def mark(self) -> tuple[int, ...] | None:
        """What changes whenever anything is committed to the file; asking costs little, SQLite is not asked.

        None if it was written to so recently that another commit might leave it as it is.
        """
        own = _written(self.path)
        log = _written(self._log)
        is_young = max(own[-2:] + log[-2:]) > time.time_ns() - _SETTLED_NS
        return None if is_young or own == _NOTHING else own + log

    def _is_in_transaction(self) -> bool:
        connection = getattr(self._local, "connection", None)
        return connection is not None and connection.in_transaction

    @contextmanager
    def beside(self, other: Path) -> Iterator[None]:
        """Attaches another file, whose tables this thread can name `before.…` within."""
        with self.connection() as connection:
            connection.execute("ATTACH DATABASE CAST(? AS TEXT) AS before", (os.fsencode(other),))
            try:
                yield
            finally:
                connection.execute("DETACH DATABASE before")


def _written(path: Path) -> tuple[int, int, int, int, int]:
    """The device, inode, size and times of a file, in nanoseconds; only zeros if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - quicker
    except OSError:
        return _NOTHING
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _close(connections: list[tuple[threading.Thread, sqlite3.Connection]], process: int) -> None:
    if process == os.getpid():
        with forks.held_off():
            for _, connection in connections:
                connection.close()


def create(path: Path, script: str) -> None:
    """Makes a file from an SQL script, in one transaction."""
    with durable.storage_errors(path):
        path.touch()  # with the rights that the user's umask gives; SQLite would give none to write to the group
    with translated(path), forks.held_off():
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            if _WAL_IS_SAFE:
                connection.execute("PRAGMA journal_mode = WAL")  # which the file then keeps
            _set_durability(connection)
            connection.executescript(f"BEGIN; {script} COMMIT;")
        finally:
            connection.close()


def _wal_is_safe(version: tuple[int, ...]) -> bool:
    return version >= max(_WAL_FIXED) or any(version[:2] == fix[:2] and version >= fix for fix in _WAL_FIXED)


_WAL_IS_SAFE = _wal_is_safe(sqlite3.sqlite_version_info)


def _set_durability(connection: sqlite3.Connection) -> None:
    """Makes every commit wait for the disk."""
    # EXTRA also syncs the directory of a rollback journal: otherwise a loss of power could bring the journal back,
    # and with it the state before the commit.
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA foreign_keys = ON")


def _needs_a_writable_folder(path: Path) -> bool:
    """Whether a file cannot be read since SQLite would have to put its log's index beside it.

    https://www.sqlite.org/wal.html#read_only_databases; bytes 18 and 19 of the header are 2 then.
    """
    try:
        with files.opened(path) as file:
            has_log = file.read(20)[18:] == b"\x02\x02"
        return has_log and not os.access(path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
    except (OSError, CorruptError):
        return False


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into Lookalike's."""
    try:
        yield
    except sqlite3.ProgrammingError:  # a mistake of the caller, such as closing it while another thread uses it
        raise
    except InvalidRecordError as error:
        raise CorruptError(f"{path}: the file is damaged: {error}") from error
    except UnicodeDecodeError as error:  # the message quotes damaged text
        raise CorruptError(f"{path}: the file is damaged") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        if code & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) and _needs_a_writable_folder(path):
            raise StorageError(
                f"{path}: it has a write-ahead log, so it can be read only where its folder can be written to; give"
                " this user that right, or copy the collection to where it is writable"
            ) from error
        if code & 0xFF in _DISK_CODES:
            raise StorageError(f"{path}: {error}") from error
        if code == sqlite3.SQLITE_INTERRUPT:  # see sqlite_limits
            raise CorruptError(f"{path}: the file is damaged: reading it does not end") from error
        raise CorruptError(f"{path}: the file is damaged: {error}") from error
