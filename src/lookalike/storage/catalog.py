"""The SQLite side of a collection: which images there are, and which row of the vectors each of them has.

A commit here is what makes anything count: the vectors that it names are on the disk before it.
"""

import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lookalike.errors import CorruptError, UsageError
from lookalike.filters import Value, Where
from lookalike.storage import filter_sql, schema
from lookalike.storage.sqlite import Database
from lookalike.storage.transaction import Carried, Transaction

_PAGE = 10_000  # images read at a time
_PARAMETERS = 1000  # of one statement


@dataclass(frozen=True)
class StoredImage:
    """One image of the catalog, the row of its vector, and its attributes by name."""

    id: int
    key: str
    row: int
    label: str | None
    width: int
    height: int
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredGeneration:
    """A generation of the index: its number, how many of the first rows it covers, and the SHA-256 of its files."""

    number: int
    rows: int
    index_sha256: bytes
    card_sha256: bytes


@dataclass(frozen=True)
class State:
    """What a commit has made of the collection's other files.

    Attributes:
        changes: a number that is different after every commit.
        count: how many rows of the vectors are committed.
        vectors: the name of the file of vectors.
        generation: the generation of the index that serves, or None where there is no index.
    """

    changes: int
    count: int
    vectors: str
    generation: StoredGeneration | None

    @property
    def files(self) -> tuple[str, StoredGeneration | None]:
        """Which files these are; they never change, and a commit that only adds or removes images keeps them."""
        return self.vectors, self.generation


@dataclass(frozen=True)
class Known:
    """What is known of a file: whether it has changed since is told by its size and time."""

    key: str
    size: int
    changed_ns: int
    skipped: bool


@dataclass(frozen=True)
class Totals:
    """How many there are of each."""

    images: int
    vectors: int
    dead: int
    skipped: int


class Catalog:
    """The catalog of one collection. Threads may share it: each gets a connection of its own."""

    def __init__(self, path: Path) -> None:
        """Opens it, and brings one of an earlier version up to date.

        Raises:
            CorruptError: it is no catalog.
            IncompatibleError: a newer Lookalike made it.
            StorageError: it cannot be read, or is of an earlier version and cannot be written.
        """
        self.path, self._database = path, Database(path)
        if not path.is_file():
            raise CorruptError(f"{path}: the catalog is missing")
        schema.bring_up_to_date(self._database)

    @classmethod
    def create(cls, path: Path) -> None:
        """Makes an empty catalog, all of it or nothing."""
        schema.create(path)

    def close(self) -> None:
        """Lets go of its file; the next use opens it again."""
        self._database.close()

    # Reading

    def reading(self) -> AbstractContextManager[None]:
        """Everything that this thread reads within sees one committed state."""
        return self._database.reading()

    def count(self) -> int:
        """How many rows of the vectors are committed."""
        with self._database.connection() as connection:
            (last,) = connection.execute("SELECT MAX(row) FROM vectors").fetchone()
            return 0 if last is None else int(last) + 1

    def totals(self) -> Totals:
        tables = ("images", "vectors", "dead", "skipped")
        with self._database.connection() as connection:
            return Totals(*(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables))  # noqa: S608

    def changes(self) -> int:
        """A number that is different after every commit."""
        with self._database.connection() as connection:
            return int(connection.execute("SELECT count FROM changes").fetchone()[0])

    def dead_rows(self) -> list[int]:
        """The rows that no image has any more, in order."""
        with self._database.connection() as connection:
            return self._rows(connection.execute("SELECT row FROM dead ORDER BY row")).tolist()

    def row_of(self, hash_: bytes) -> int | None:
        """The row of the image file with that SHA-256, dead or alive."""
        with self._database.connection() as connection:
            found = connection.execute("SELECT row FROM vectors WHERE hash = ?", (hash_,)).fetchone()
            return None if found is None else int(found[0])

    def crc32s_of(self, rows: Sequence[int]) -> dict[int, int]:
        """The checksums of these rows, by row; without those that there are not."""
        found: dict[int, int] = {}
        with self._database.connection() as connection:
            for start in range(0, len(rows), _PARAMETERS):
                part = rows[start : start + _PARAMETERS]
                query = f"SELECT row, crc32 FROM vectors WHERE row IN ({', '.join('?' * len(part))})"  # noqa: S608
                found.update(connection.execute(query, part).fetchall())
        return found

    def crc32s(self, start: int, stop: int) -> dict[int, int]:
        """The checksums of the rows from `start` up to and without `stop`, by row."""
        query = "SELECT row, crc32 FROM vectors WHERE row >= ? AND row < ?"
        with self._database.connection() as connection:
            return dict(connection.execute(query, (start, stop)).fetchall())

    def images_of(self, row: int, *, where: Where | None = None, limit: int = -1) -> list[StoredImage]:
        """The images that have this row and match, by key; at most `limit` unless it is negative."""
        if where is None:
            return self._images("row = ?", (row,), limit)
        if where.ids is not None:  # of which there may be many more than images
            with self._database.connection() as connection:
                found = connection.execute("SELECT id FROM images WHERE row = ?", (row,)).fetchall()
            where = replace(where, ids=[id_ for (id_,) in found if id_ in where.ids])
        condition = filter_sql.of_few(where)
        return self._images(f"row = ? AND {condition.sql}", (row, *condition.values), limit)

    def image(self, id_: int) -> StoredImage | None:
        if not 0 < id_ < 2**63:  # what SQLite can count
            return None
        found = self._images("id = ?", (id_,))
        return found[0] if found else None

    def live_images(self, after_id: int = 0, *, limit: int = -1) -> Iterator[tuple[int, int, str | None]]:
        """(id, row, label) of the images whose id is larger, by id; at most `limit` unless it is negative."""
        query = "SELECT id, row, label FROM images WHERE id > ? ORDER BY id LIMIT ?"
        while limit:
            wanted = _PAGE if limit < 0 else min(limit, _PAGE)
            with self._database.connection() as connection:
                page = connection.execute(query, (after_id, wanted)).fetchall()
            yield from page
            if len(page) < wanted:
                return
            after_id, limit = page[-1][0], limit - (wanted if limit > 0 else 0)

    def rows_where(self, where: Where) -> "array[int]":
        """The rows of the images that match, each once, in order: 64-bit numbers that NumPy takes as they are.

        Raises:
            UsageError: it asks for an attribute that no image has.
        """
        condition = filter_sql.of_all(where)
        query = f"SELECT DISTINCT row FROM images WHERE {condition.sql} ORDER BY row"  # noqa: S608
        self._check_names(where)
        with self._database.connection() as connection:
            return self._rows(connection.execute(query, condition.values))

    def count_where(self, where: Where) -> int:
        """How many images match.

        Raises:
            UsageError: it asks for an attribute that no image has.
        """
        condition = filter_sql.of_all(where)
        self._check_names(where)
        with self._database.connection() as connection:
            query = f"SELECT COUNT(*) FROM images WHERE {condition.sql}"  # noqa: S608
            return int(connection.execute(query, condition.values).fetchone()[0])

    def labels(self) -> list[tuple[str, int]]:
        """The labels that there are, each with the number of its images, by label."""
        query = "SELECT label, COUNT(*) FROM images WHERE label IS NOT NULL GROUP BY label ORDER BY label"
        with self._database.connection() as connection:
            return connection.execute(query).fetchall()

    def attribute_names(self) -> list[str]:
        """The names of the attributes that images have, in order."""
        with self._database.connection() as connection:
            names = [name for (name,) in connection.execute("SELECT DISTINCT name FROM attributes ORDER BY name")]
        if not all(isinstance(name, str) for name in names):
            raise self._damaged("an attribute has no name")
        return names

    def newest_id(self) -> int:
        """The largest id of an image, or 0."""
        with self._database.connection() as connection:
            return int(connection.execute("SELECT COALESCE(MAX(id), 0) FROM images").fetchone()[0])

    def known_file(self, key: str) -> Known | None:
        """What is known of one file."""
        query = """
            SELECT key, size, changed_ns, 0 FROM images WHERE key = CAST(:key AS TEXT)
            UNION ALL
            SELECT key, size, changed_ns, 1 FROM skipped WHERE key = CAST(:key AS TEXT)
        """
        with self._database.connection() as connection:
            found = connection.execute(query, {"key": os.fsencode(key)}).fetchone()
            return None if found is None else _known(found)

    def known(self, within: str, after: bytes = b"", *, limit: int = 1000) -> list[Known]:
        """What is known of the files below the folder `within`, in the order of their keys' bytes.

        "" is the collection's own folder, and below it is what is not absolute. At most `limit` come back,
        those whose key is behind `after`; a negative limit is none.
        """
        condition = """
            WHERE key > CAST(:after AS TEXT) AND key < CAST(:end AS TEXT) AND (:absolute OR key NOT GLOB '/*')
        """
        query = f"""
            SELECT key, size, changed_ns, 0 FROM images {condition}
            UNION ALL
            SELECT key, size, changed_ns, 1 FROM skipped {condition}
            ORDER BY key LIMIT :limit
        """  # noqa: S608
        # "0" follows "/": what lies between them is what lies below the folder. No name has 256 bytes.
        prefix = os.fsencode(within).rstrip(b"/")
        start, end = (prefix + b"/", prefix + b"0") if within else (b"", b"\xff" * 256)
        values = {"after": max(after, start), "end": end, "absolute": within.startswith("/"), "limit": limit}
        with self._database.connection() as connection:
            return [_known(row) for row in connection.execute(query, values)]

    def skipped(self) -> Iterator[tuple[str, str]]:
        """(key, reason) of the files that were left out, by key."""
        with self._database.connection() as connection:
            yield from connection.execute("SELECT key, reason FROM skipped ORDER BY key").fetchall()

    def damage(self) -> str | None:
        """What SQLite's own checks find wrong, or None."""
        with self._database.connection() as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        if found != "ok":
            return str(found)
        return None if broken is None else f"table {broken[0]} names a row that is not there"

    def check(self) -> None:
        """Makes sure that it is whole, before anything is thrown away that it does not name.

        Raises:
            CorruptError: SQLite's own checks find something wrong.
        """
        if damage := self.damage():
            raise self._damaged(damage)

    def state(self) -> State:
        """What the last commit says of the other files.

        Raises:
            IncompatibleError: the file has been taken away since it was opened.
        """
        query = """
            SELECT (SELECT count FROM changes), (SELECT COALESCE(MAX(row) + 1, 0) FROM vectors),
                (SELECT vectors FROM storage), number, rows, index_sha256, card_sha256
            FROM (SELECT 1) LEFT JOIN generations ORDER BY number DESC LIMIT 1
        """
        with self._database.connection() as connection:
            changes, count, vectors, *generation = connection.execute(query).fetchone()
        self._database.check_is_there()  # although whoever has it open can still read it
        if not (isinstance(changes, int) and isinstance(count, int) and isinstance(vectors, str)):
            raise self._damaged("it does not name the vectors")
        return State(changes, count, vectors, StoredGeneration(*generation) if generation[0] else None)

    def next_generation(self) -> int:
        """The number that the next generation gets: one that none has had."""
        query = "SELECT COALESCE(MAX(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'generations'"
        with self._database.connection() as connection:
            return int(connection.execute(query).fetchone()[0])

    # Writing

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """One transaction: all of it is committed at the end, or none of it.

        Raises:
            StorageError: the disk is full or failing.
        """
        with self._database.writing() as connection:
            yield Transaction(connection)
            connection.execute("UPDATE changes SET count = count + 1")

    def carry_over(self, before: Path) -> Carried:
        """Gives the images the ids, attributes and given labels that they have in another catalog, all or none.

        It may be done again when something has changed there.

        Raises:
            StorageError: the disk is full or failing.
        """
        with self._database.beside(before), self.writing() as transaction:
            return transaction.carry_over()

    def _images(self, condition: str, values: Sequence[Any], limit: int = -1) -> list[StoredImage]:
        query = f"""
            SELECT found.*, attributes.name, attributes.value FROM (
                SELECT id, key, row, label, width, height FROM images JOIN vectors USING (row)
                WHERE {condition} ORDER BY key LIMIT ?
            ) AS found LEFT JOIN attributes ON image = id ORDER BY key, name
        """  # noqa: S608
        found: dict[tuple[int, str, int, str | None, int, int], dict[str, Value]] = {}
        with self._database.connection() as connection:
            for *image, name, value in connection.execute(query, (*values, limit)):
                attributes = found.setdefault((*image,), {})
                if name is not None:
                    attributes[name] = value
        for id_, key, row, label, *size in found:
            if not (isinstance(key, str) and isinstance(label, str | None) and all(map(_is_whole, (id_, row, *size)))):
                raise self._damaged("the entry of an image is not what it should be")
        return [StoredImage(*image, attributes) for image, attributes in found.items()]

    def _rows(self, found: Iterable[tuple[int]]) -> "array[int]":
        """Rows of the vectors, once it is certain that there are such."""
        try:
            rows = array("q", (row for (row,) in found))
        except TypeError:
            raise self._damaged("the row of an image is no number") from None
        if rows and not 0 <= min(rows) <= max(rows) < self.count():
            raise self._damaged("it names vectors that it does not have")
        return rows

    def _damaged(self, why: str) -> CorruptError:
        return CorruptError(f"{self.path}: the file is damaged: {why}")

    def _check_names(self, where: Where) -> None:
        """Refuses attributes that no image has, which are most likely mistyped."""
        with self._database.connection() as connection:
            for name in where.conditions:
                query = "SELECT 1 FROM attributes WHERE name = CAST(? AS TEXT) LIMIT 1"
                if connection.execute(query, (filter_sql.stored(name),)).fetchone() is None:
                    names = ", ".join(self.attribute_names()) or "none"
                    raise UsageError(f"no image has an attribute {name!r}; there are: {names}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int)


def _known(row: tuple[str, int, int, int]) -> Known:
    key, size, changed_ns, skipped = row
    return Known(key, size, changed_ns, bool(skipped))
