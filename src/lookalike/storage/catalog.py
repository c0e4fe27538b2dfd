"""The SQLite side of a collection. A commit here is what makes anything count: vectors are on the disk before it."""

import json
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from lookalike.errors import CorruptError
from lookalike.filters import Where
from lookalike.storage import filter_sql, missing, records, schema, seals, stored_augmentation, stored_regions
from lookalike.storage.browsing import NO_LIMIT, BrowsedImages
from lookalike.storage.carrying import Carried
from lookalike.storage.missing import MissingCounts, MissingImages
from lookalike.storage.records import MissingImage, NamedRows, State, StoredGeneration, StoredImage, Totals
from lookalike.storage.sqlite import Connection, Database
from lookalike.storage.stored_augmentation import StoredAugmentation
from lookalike.storage.stored_regions import StoredRegions
from lookalike.storage.transaction import Transaction

_PAGE = 10_000  # images read at a time
_PARAMETERS = 1000  # of one statement
# The images of the rows in a JSON array, with their places in it.
_OF_ROWS = "(SELECT key AS place, value AS wanted FROM json_each(?)) CROSS JOIN images ON images.row = wanted"


class Catalog(BrowsedImages):
    """The catalog of one collection. Threads may share it: each gets a connection of its own.

    Attributes:
        regions: which parts of the images have vectors.
        augmentation: what is known of augmented vectors.
    """

    def __init__(self, path: Path, *, on_replaced: Callable[[], None] = lambda: None) -> None:
        """Opens the catalog, and migrates one of an earlier version.

        `on_replaced` is called when another file has taken its place, before that is used; it may raise.

        Raises:
            CorruptError: it is no catalog.
            IncompatibleError: a newer Lookalike made it.
            StorageError: it cannot be read, or is of an earlier version and cannot be written.
        """
        self.path, self._on_replaced = path, on_replaced
        self._newest: tuple[tuple[int, ...], State] | None = None  # and what its commit says
        self._settled: object = None  # a mark of the file, and the commit that it was the newest one of
        super().__init__(Database(path, on_replaced=self._start_again))
        self.regions, self.augmentation = StoredRegions(self._database), StoredAugmentation(self._database)
        if not path.is_file():
            raise CorruptError(f"{path}: the catalog is missing")
        schema.bring_up_to_date(self._database)

    def _start_again(self) -> None:
        schema.bring_up_to_date(self._database)
        self._on_replaced()

    @classmethod
    def create(cls, path: Path) -> None:
        """Makes an empty catalog in one transaction."""
        schema.create(path)

    def pinned(self) -> AbstractContextManager[None]:
        """Within, only the file that is at the path now is used: if it is replaced, IncompatibleError is raised."""
        self._newest = None  # whoever writes does not go by what was read before
        return self._database.pinned()

    def identity(self) -> str:
        """The random hexadecimal number that it has had since it was made, and no other has."""
        with self._database.connection() as connection:
            (value,) = connection.execute("SELECT hex(value) FROM identity").fetchone()
        return str(value)

    def close(self) -> None:
        """Closes its connections; the next use opens new ones."""
        self._database.close()

    # Reading

    @contextmanager
    def reading(self) -> Iterator[State]:
        """Gives the newest committed state; whatever this thread reads within belongs to it.

        Raises:
            IncompatibleError: the file has been removed since it was opened.
        """
        with self._database.reading() as connection:
            yield self._state(connection)

    def _count(self) -> int:
        """The number of committed rows of vectors."""
        with self._database.connection() as connection:
            (last,) = connection.execute("SELECT MAX(row) FROM vectors").fetchone()
            return 0 if last is None else int(last) + 1

    def totals(self) -> Totals:
        """The number of entries of each kind."""
        tables = ("images", "vectors", missing.DEAD, "skipped", "missing")
        with self._database.connection() as connection:
            return Totals(*(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables))  # noqa: S608

    def hidden_rows(self) -> list[int]:
        """The rows that no search finds, in order: those of missing images, and those of no image at all."""
        with self._database.connection() as connection:
            return self._rows(connection.execute("SELECT row FROM dead ORDER BY row")).tolist()

    def dead_rows(self) -> list[int]:
        """The rows that belong to no image any more, be it missing or not, in order."""
        with self._database.connection() as connection:
            return self._rows(connection.execute(f"SELECT row FROM {missing.DEAD} ORDER BY row")).tolist()  # noqa: S608

    def missing_among(
        self, folder: str | None, *, since_ns: int, leaves_out: Callable[[str], bool] = lambda _: False
    ) -> MissingCounts:
        """The number of missing images of a folder or, if None, of all: from before a time, and from then on.

        `leaves_out` says of a key whether the file is left out: such images are not missing.
        """
        within = filter_sql.below(folder) if folder is not None else filter_sql.Condition("TRUE")
        with self._database.connection() as connection:
            query = f"SELECT key, since_ns FROM missing WHERE {within.sql}"  # noqa: S608
            return MissingCounts.of(connection.execute(query, within.values), since_ns, leaves_out)

    def rows_of(self, hashes: Iterable[bytes]) -> dict[bytes, int]:
        """The rows of the image files with these SHA-256s, by hash, dead or alive; an unknown hash has none."""
        wanted = list(hashes)
        found: dict[bytes, int] = {}
        with self._database.connection() as connection:
            for start in range(0, len(wanted), _PARAMETERS):
                part = wanted[start : start + _PARAMETERS]
                query = f"SELECT hash, row FROM vectors WHERE hash IN ({', '.join('?' * len(part))})"  # noqa: S608
                found.update(connection.execute(query, part).fetchall())
        return found

    def live_hashes(self) -> dict[int, bytes]:
        """The SHA-256s of the image files that are not missing, by the rows of their vectors."""
        query = "SELECT row, hash FROM vectors WHERE row IN (SELECT row FROM images) ORDER BY row"
        with self._database.unhurried(), self._database.connection() as connection:
            found = connection.execute(query).fetchall()
        self._rows((row,) for row, _ in found)
        return {row: records.checked_hash(hash_) for row, hash_ in found}

    def crc32s(self, rows: Sequence[int]) -> dict[int, int]:
        """The checksums of at least these rows, by row; a row that is unknown has none."""
        if not rows:
            return {}
        condition, values = "row BETWEEN ? AND ?", list[Any]((min(rows), max(rows)))
        if values[1] - values[0] >= 2 * len(rows):
            condition, values = "row IN (SELECT value FROM json_each(?))", [json.dumps([*rows])]
        with self._database.connection() as connection:
            query = f"SELECT row, crc32 FROM vectors WHERE {condition}"  # noqa: S608
            return dict(connection.execute(query, values).fetchall())

    def named(self, rows: Sequence[int], *, where: Where | None, limit: int) -> NamedRows:
        """The images of rows and the checksums of their vectors, in one committed state; see `images_of_rows`."""
        if where is None and (found := self._named_at_once(rows, limit)):
            return found
        with self.reading() as state:
            return NamedRows(state, *self._of_rows(rows, where, limit))

    def _named_at_once(self, rows: Sequence[int], limit: int) -> NamedRows | None:
        """The same by one statement, which reads one state, if that is the newest one that is known; else None."""
        if (known := self._newest) is None:
            return None
        with self._database.connection() as connection:
            found = self._found_rows(connection, "place", _OF_ROWS, "TRUE", (json.dumps([*rows]),), limit)
            if not found or known[0] != (*found[0][:2], self._database.replacements, connection.total_changes):
                return None
            return NamedRows(known[1], *self._images_and_crc32s(found))

    def images_of_rows(
        self, rows: Sequence[int], *, where: Where | None = None, limit: int = NO_LIMIT
    ) -> list[StoredImage]:
        """The images of these rows that match, in the order of the rows, and for each row in that of the keys.

        All copies of an image share a row. At most `limit` come back, unless it is negative.
        """
        return self._of_rows(rows, where, limit)[0]

    def _of_rows(
        self, rows: Sequence[int], where: Where | None, limit: int
    ) -> tuple[list[StoredImage], dict[int, int]]:
        wanted = json.dumps([*rows])
        if where is not None and where.ids is not None:  # there may be many more of them than images of these rows
            query = "SELECT id FROM images WHERE row IN (SELECT value FROM json_each(?))"
            with self._database.connection() as connection:
                found = {id_ for (id_,) in connection.execute(query, (wanted,))}
            where = replace(where, ids=found & set(where.ids))
        condition = filter_sql.for_lookup(self.as_stored(where)) if where else filter_sql.Condition("TRUE")
        with self._database.connection() as connection:
            values = wanted, *condition.values
            return self._images_and_crc32s(
                self._found_rows(connection, "place", _OF_ROWS, condition.sql, values, limit)
            )

    def annotated_images(self) -> list[StoredImage]:
        """The images that have attributes, by key."""
        return self._images("0 AS place", "images", "id IN (SELECT image FROM attributes)", ())

    def live_images(self, after_id: int = 0, *, limit: int = NO_LIMIT) -> Iterator[tuple[int, int, str | None]]:
        """(id, row, label) of the images with a larger id, by id; at most `limit` unless that is negative."""
        query = "SELECT id, row, label FROM images WHERE id > ? ORDER BY id LIMIT ?"
        while limit:
            wanted = _PAGE if limit < 0 else min(limit, _PAGE)
            with self._database.reading() as connection:
                page = connection.execute(query, (after_id, wanted)).fetchall()
                self._rows((row,) for _, row, _ in page)
            yield from page
            if len(page) < wanted:
                return
            after_id, limit = page[-1][0], limit - (wanted if limit > 0 else 0)

    def rows_where(self, where: Where) -> "array[int]":
        """The rows of the images that match, each once, in order, as 64-bit integers.

        Raises:
            UsageError: it asks for an attribute that no image has.
        """
        where = self.as_stored(where)
        condition = filter_sql.for_scan(where)
        query = f"SELECT DISTINCT row FROM images WHERE {condition.sql} ORDER BY row"  # noqa: S608
        with self._database.connection() as connection:
            filter_sql.refuse_unknown_names(connection, where, self.attribute_names)
            return self._rows(connection.execute(query, condition.values))

    def count_where(self, where: Where) -> int:
        """The number of images that match.

        Raises:
            UsageError: it asks for an attribute that no image has.
        """
        where = self.as_stored(where)
        condition = filter_sql.for_scan(where)
        with self._database.connection() as connection:
            filter_sql.refuse_unknown_names(connection, where, self.attribute_names)
            query = f"SELECT COUNT(*) FROM images WHERE {condition.sql}"  # noqa: S608
            return int(connection.execute(query, condition.values).fetchone()[0])

    def skipped(self) -> Iterator[tuple[str, str]]:
        """(key, reason) of the skipped files, by key."""
        with self._database.connection() as connection:
            found = connection.execute("SELECT key, reason FROM skipped ORDER BY key").fetchall()
        if not all(records.is_key(key) and isinstance(reason, str) for key, reason in found):
            raise self._damaged("invalid record of a skipped file")
        return iter(found)

    def missing(self, id_: int | None = None) -> list[MissingImage]:
        """The images whose files are gone or cannot be used, by key, or only that of this number."""
        with self._database.connection() as connection:
            missing_images = MissingImages(connection)
            return missing_images.all() if id_ is None else missing_images.with_id(id_)

    def damage(self) -> str | None:
        """The first problem that SQLite's own checks find, or the seals of the images; None if there is none."""
        with self._database.unhurried(), self._database.connection() as connection:
            return seals.first_damage(connection)

    def check(self) -> None:
        """Raises CorruptError unless the catalog is intact, before anything is deleted that it does not name."""
        if damage := self.damage():
            raise self._damaged(damage)

    def state(self) -> State:
        """The newest committed state; see `reading`."""
        with self.reading() as state:
            return state

    def is_at(self, state: State) -> bool:
        """Whether a state is still the newest one; this is quicker than to read it, and mostly needs no SQL."""
        mark, commit = self._database.mark(), (state.changes, state.token, state.replacements)
        if mark and self._settled == (mark, commit):
            return True
        with self._database.connection() as connection:
            newest = connection.execute("SELECT count, token FROM changes").fetchone()
            is_newest = (*newest, self._database.replacements) == commit
        if is_newest:
            self._settled = mark, commit
        return is_newest

    def _state(self, connection: Connection) -> State:
        commit = *connection.execute("SELECT count, token FROM changes").fetchone(), self._database.replacements
        known, key = self._newest, (*commit, connection.total_changes)
        if known is None or known[0] != key:  # every search asks twice
            known = self._newest = key, self._read_state(connection, *commit)
        return known[1]

    def _read_state(self, connection: Connection, changes: int, token: int, replacements: int) -> State:
        query = """
            SELECT (SELECT COALESCE(MAX(row) + 1, 0) FROM vectors), (SELECT vectors FROM storage),
                number, rows, index_sha256, card_sha256
            FROM (SELECT 1) LEFT JOIN generations ON NOT of_regions ORDER BY number DESC LIMIT 1
        """
        count, vectors, *found = connection.execute(query).fetchone()
        generation = StoredGeneration(*found) if found[0] is not None else None
        regions = stored_regions.state_of_regions(connection)
        augmented = stored_augmentation.state_of_augmentation(connection)
        return State(changes, count, vectors, generation, token, replacements, regions, augmented)

    def next_generation(self) -> int:
        """The number of the next generation, which no earlier one has had."""
        query = "SELECT COALESCE(MAX(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'generations'"
        with self._database.connection() as connection:
            number = connection.execute(query).fetchone()[0]
        if records.is_count(number) and number > 0:
            return int(number)
        raise self._damaged("the number of an index is no number")

    # Writing

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """One transaction, committed at the end unless something is raised.

        Raises:
            StorageError: the disk is full or failing.
        """
        with self._database.writing() as connection:
            transaction = Transaction(connection)
            yield transaction
            transaction.seal()
            connection.execute("UPDATE changes SET count = count + 1, token = random()")

    def forget_edits(self, covers: Callable[[str], bool]) -> None:
        """Notes that a run is done: images that have changed in it do not follow their earlier contents any more.

        `covers` says of a key whether the run has looked at its file; another run may have been stopped before.
        """
        query = "SELECT id, key FROM images WHERE id IN (SELECT image FROM edited)"
        with self._database.connection() as connection:
            covered = [id_ for id_, key in connection.execute(query) if covers(key)]
        if covered:
            with self.writing() as transaction:
                for id_ in covered:
                    transaction.forget_edit(id_)

    def carry_over(self, before: Path) -> Carried:
        """Gives the images the ids, attributes and given labels that they have in another catalog, in one transaction.

        It may be done again when something has changed there.

        Raises:
            StorageError: the disk is full or failing.
        """
        with self._database.beside(before), self.writing() as transaction:
            return transaction.carry_over(now_ns=time.time_ns())

    def _rows(self, found: Iterable[tuple[int]]) -> "array[int]":
        """Rows of vectors, checked against their number."""
        try:
            rows = array("q", (row for (row,) in found))
        except TypeError:
            raise self._damaged("a row is not a number") from None
        if rows and not 0 <= min(rows) <= max(rows) < self._count():
            raise self._damaged("row number out of range")
        return rows

    def _damaged(self, why: str) -> CorruptError:
        return CorruptError(f"{self.path}: the file is damaged: {why}")
