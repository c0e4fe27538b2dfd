"""Keeps the small pictures of images and what comparing them has found, so that nothing is compared twice.

The file can be deleted at any time: it is made again. One that is damaged, or that an earlier or later way of comparing
has made, is replaced by an empty one.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lookalike.errors import CorruptError
from lookalike.storage import files, layout, schema, sqlite
from lookalike.storage.sqlite import Connection, Database
from lookalike.system import durable

_APPLICATION_ID = 0x4C6B4350  # "LkCP"
_PRAGMAS = ("application_id", "user_version")
_SCRIPT = """
    CREATE TABLE pictures (
        number INTEGER PRIMARY KEY,
        hash BLOB NOT NULL UNIQUE,   -- SHA-256 of the image's file
        is_packed INTEGER NOT NULL DEFAULT 0,  -- 1 if there is a small picture of it
        pixels BLOB,                 -- SHA-256 of the pixels; NULL until it is asked for
        nearest INTEGER NOT NULL DEFAULT 0,  -- how many of its nearest were looked for
        reach REAL                   -- the cosine of the last of them
    ) STRICT;
    CREATE TABLE packed (
        number INTEGER PRIMARY KEY,
        data BLOB NOT NULL           -- the small picture; they are apart, since most queries pass over all pictures
    ) STRICT;
    CREATE TABLE compared (
        first INTEGER NOT NULL,      -- the numbers of two pictures, the smaller first
        second INTEGER NOT NULL,
        cosine REAL NOT NULL,        -- of their vectors
        score REAL,                  -- NULL until they are compared
        found TEXT,                  -- what was done to one to make the other; NULL if they are different
        candidate INTEGER NOT NULL,  -- 1, or 0 if they are only compared to say how members of a group are related
        PRIMARY KEY (first, second)
    ) STRICT, WITHOUT ROWID;
"""
_PART = 10_000  # rows that are written in one transaction, so that readers do not wait
_FEW = 1000  # pictures that are not worth deleting

Value = TypeVar("Value")


class DamagedPicturesError(CorruptError):
    """The file of pictures and comparisons is damaged; it can be deleted."""


@dataclass(frozen=True)
class ComparedPair:
    """Two pictures that may be copies.

    Attributes:
        first: the number of the first, the smaller one.
        second: that of the second.
        cosine: of their vectors, in [-1, 1].
        score: how well they agree, in [0, 1]; None if they have not been compared yet.
        found: what was done to the second to make the first, as it was given; None if they are different.
    """

    first: int
    second: int
    cosine: float
    score: float | None
    found: str | None


class KeptPictures:
    """The pictures and comparisons of one collection. Threads may share it."""

    def __init__(self, path: Path, revision: int) -> None:
        """Opens the file, or makes an empty one if there is none that can be used.

        Args:
            path: the file.
            revision: of the way of comparing; a file of another one is replaced.

        Raises:
            StorageError: it cannot be read or made.
        """
        self.path = path
        if not is_usable(path, revision):
            remove(path)
            values = zip(_PRAGMAS, (_APPLICATION_ID, revision), strict=True)
            sqlite.create(path, _SCRIPT + "".join(f"PRAGMA {name} = {value};" for name, value in values))
        self._database = Database(path)

    def __enter__(self) -> "KeptPictures":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _own_damage(), self._database.connection() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with _own_damage(), self._database.writing() as connection:
            yield connection

    # Pictures

    def numbers(self, hashes: Iterable[bytes]) -> list[int]:
        """The numbers of the pictures of these files, by their SHA-256s, in their order; a new one gets the next."""
        wanted = list(hashes)
        known = self._numbers()
        if new := [each for each in wanted if each not in known]:
            for part in _parts(new):
                with self._writing() as connection:
                    query = "INSERT OR IGNORE INTO pictures (hash) VALUES (?)"
                    connection.executemany(query, ((each,) for each in part))
            known = self._numbers()
        return [known[each] for each in wanted]

    def _numbers(self) -> dict[bytes, int]:
        with self._reading() as connection:
            return dict(connection.execute("SELECT hash, number FROM pictures"))

    def hashes(self, numbers: set[int]) -> dict[int, bytes]:
        """The SHA-256s of the files of pictures, by their numbers."""
        with self._reading() as connection:
            known = connection.execute("SELECT number, hash FROM pictures")
            return {number: bytes(hash_) for number, hash_ in known if number in numbers}

    def packed(self, number: int) -> bytes | None:
        """The small picture with a number; None if it has not been made, or cannot be."""
        with self._reading() as connection:
            row = connection.execute("SELECT data FROM packed WHERE number = ?", (number,)).fetchone()
        return None if row is None else bytes(row[0])

    def have_packed(self) -> set[int]:
        """The numbers of the pictures that have been made."""
        with self._reading() as connection:
            return {number for (number,) in connection.execute("SELECT number FROM pictures WHERE is_packed")}

    def without_packed(self) -> list[int]:
        """The numbers of the pictures that were compared with others, but could not be made."""
        query = """
            SELECT number FROM pictures WHERE NOT is_packed
                AND number IN (SELECT first FROM compared UNION SELECT second FROM compared)
        """
        with self._reading() as connection:
            return [number for (number,) in connection.execute(query)]

    def keep_packed(self, made: Mapping[int, bytes]) -> None:
        """Keeps small pictures, by their numbers."""
        for part in _parts(list(made.items())):
            with self._writing() as connection:
                connection.executemany("INSERT OR REPLACE INTO packed (number, data) VALUES (?, ?)", part)
                numbers = ((number,) for number, _ in part)
                connection.executemany("UPDATE pictures SET is_packed = 1 WHERE number = ?", numbers)

    def all_pixels(self) -> dict[int, bytes]:
        """The SHA-256s of the pixels of those images of which they are kept, by the numbers of the pictures."""
        with self._reading() as connection:
            found = connection.execute("SELECT number, pixels FROM pictures WHERE pixels IS NOT NULL")
            return {number: bytes(pixels) for number, pixels in found}

    def keep_pixels(self, pixels: Mapping[int, bytes]) -> None:
        """Keeps SHA-256s of the pixels of images, by the numbers of their pictures."""
        query = "UPDATE pictures SET pixels = ? WHERE number = ?"
        for part in _parts(list(pixels.items())):
            with self._writing() as connection:
                connection.executemany(query, ((each, number) for number, each in part))

    def reaches(self, nearest: int) -> dict[int, float]:
        """The cosines of the last of the nearest of those pictures of which at least so many were looked for."""
        with self._reading() as connection:
            query = "SELECT number, reach FROM pictures WHERE nearest >= ? AND reach IS NOT NULL"
            return dict(connection.execute(query, (nearest,)))

    def keep_reaches(self, reaches: Mapping[int, float], nearest: int) -> None:
        """Keeps these cosines, by the numbers of the pictures, and how many were looked for."""
        for part in _parts(list(reaches.items())):
            with self._writing() as connection:
                query = "UPDATE pictures SET reach = ?, nearest = ? WHERE number = ?"
                connection.executemany(query, ((reach, nearest, number) for number, reach in part))

    # Pairs

    def add_pairs(self, pairs: Iterable[tuple[int, int, float]], *, candidates: bool = True) -> None:
        """Adds pairs: first, second, cosine; of those that are known, nothing is forgotten.

        Args:
            pairs: what is added.
            candidates: whether groups are made by them; else they only say how members of a group are related.
        """
        query = """
            INSERT INTO compared (first, second, cosine, candidate) VALUES (?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET candidate = max(candidate, excluded.candidate)
        """
        for part in _parts(list(pairs)):
            with self._writing() as connection:
                rows = ((min(a, b), max(a, b), cosine, int(candidates)) for a, b, cosine in part)
                connection.executemany(query, rows)

    def keep_scores(self, scores: Iterable[tuple[int, int, float, str | None]]) -> None:
        """Keeps what comparing pairs has found: first, second, score, found."""
        query = "UPDATE compared SET score = ?, found = ? WHERE first = ? AND second = ?"
        with self._writing() as connection:
            connection.executemany(query, ((score, found, first, second) for first, second, score, found in scores))

    def uncompared(self) -> list[tuple[int, int]]:
        """The pairs that have not been compared."""
        with self._reading() as connection:
            return connection.execute("SELECT first, second FROM compared WHERE score IS NULL").fetchall()

    def pairs(self, *, least_score: float, least_cosine: float = 2.0) -> list[ComparedPair]:
        """The candidates with at least that score, or at least that cosine."""
        return self._pairs("candidate AND (score >= ? OR cosine >= ?)", least_score, least_cosine)

    def pair(self, first: int, second: int) -> ComparedPair | None:
        """What is known of two pictures, in either order."""
        found = self._pairs("first = ? AND second = ?", min(first, second), max(first, second))
        return found[0] if found else None

    def known(self, pairs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], ComparedPair]:
        """What is known of those of these pairs, given with the smaller number first, that have been compared."""
        query = "SELECT first, second, cosine, score, found FROM compared WHERE first = ? AND second = ?"
        with self._reading() as connection:
            rows = (connection.execute(query, pair).fetchone() for pair in pairs)
            found = [_checked(ComparedPair(*row)) for row in rows if row is not None and row[3] is not None]
        return {(pair.first, pair.second): pair for pair in found}

    def _pairs(self, condition: str, *values: float) -> list[ComparedPair]:
        query = f"SELECT first, second, cosine, score, found FROM compared WHERE {condition}"  # noqa: S608 - our own
        with self._reading() as connection:
            return [_checked(ComparedPair(*row)) for row in connection.execute(query, values)]

    def forget_others(self, numbers: Collection[int]) -> None:
        """Forgets all other pictures, and the pairs that they are in, if they have become more than these."""
        with self._writing() as connection:
            found = [number for (number,) in connection.execute("SELECT number FROM pictures")]
            if len(found) <= 2 * len(numbers) + _FEW:
                return
            gone = [(number,) for number in set(found).difference(numbers)]
            for table in ("pictures", "packed"):
                connection.executemany(f"DELETE FROM {table} WHERE number = ?", gone)  # noqa: S608
            connection.execute("""
                DELETE FROM compared WHERE first NOT IN (SELECT number FROM pictures)
                    OR second NOT IN (SELECT number FROM pictures)
            """)


def remove(path: Path) -> None:
    """Deletes a file of pictures and comparisons, if there is one."""
    with durable.storage_errors(path):
        for name in layout.sqlite_files(path):
            files.remove(name)


@contextmanager
def _own_damage() -> Iterator[None]:
    try:
        yield
    except CorruptError as error:
        raise DamagedPicturesError(error.message) from error


def is_usable(path: Path, revision: int) -> bool:
    """Whether there is such a file, of that way of comparing, and undamaged as far as its tables tell."""
    if not path.exists():
        return False
    database = Database(path)
    try:
        with database.connection() as connection:
            found = tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _PRAGMAS)
            return found == (_APPLICATION_ID, revision) and schema.tables_in(connection) == schema.tables_of(_SCRIPT)
    except CorruptError:
        return False
    finally:
        database.close()


def _checked(pair: ComparedPair) -> ComparedPair:
    if pair.score is not None and not 0 <= pair.score <= 1:
        raise DamagedPicturesError("kept comparisons: a score that Lookalike does not write")
    return pair


def _parts(values: list[Value]) -> Iterator[list[Value]]:
    for start in range(0, len(values), _PART):
        yield values[start : start + _PART]
