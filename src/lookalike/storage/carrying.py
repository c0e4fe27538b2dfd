"""Carries what is known of the images over to another catalog, whose vectors another model has made."""

import sqlite3
from dataclasses import dataclass

from lookalike.filters import LABEL


@dataclass(frozen=True)
class Carried:
    """The number of images that were found again.

    Attributes:
        kept: under their keys.
        renamed: under other keys, by the contents of their files.
        returned: that had been missing.
    """

    kept: int
    renamed: int
    returned: int


def carry_over(connection: sqlite3.Connection, *, now_ns: int) -> Carried:
    """Gives the images their ids, attributes and given labels in the attached catalog `before`, in one transaction.

    An image is the one that had its contents under the same key, else one that had its contents and is found nowhere
    else, else the one that is or was under its key. All others get ids that no image has had there. An image that is
    found no more is missing from then on; its file has to be read again when it is back.
    """
    connection.execute("CREATE TEMP TABLE carried (image INTEGER PRIMARY KEY, id INTEGER NOT NULL UNIQUE)")
    for statement in _MATCH:
        connection.execute(statement)
    carried = Carried(*connection.execute(_COUNT).fetchone())
    connection.execute(_NEW_IDS)
    for statement in _CARRY_OVER:
        connection.execute(statement)
    connection.execute(_SET_ASIDE, {"now": now_ns})
    connection.execute("INSERT INTO main.missing_attributes " + _attributes_of("main.missing"))
    connection.execute("DROP TABLE temp.carried")
    return carried


def _attributes_of(table: str) -> str:
    return f"""
        SELECT image, name, value FROM before.attributes WHERE image IN (SELECT id FROM {table})
        UNION ALL
        SELECT image, name, value FROM before.missing_attributes WHERE image IN (SELECT id FROM {table})
    """  # noqa: S608


_NTH = "row_number() OVER (PARTITION BY hash ORDER BY id) AS nth"
_LAST_ID = "(SELECT COALESCE(MAX(seq), 0) FROM before.sqlite_sequence WHERE name = 'images')"
_NOT_MATCHED = "id NOT IN (SELECT image FROM temp.carried)"
_NOT_FOUND = "id NOT IN (SELECT id FROM temp.carried)"
_NEW = f"SELECT id, key, hash FROM main.images JOIN main.vectors USING (row) WHERE {_NOT_MATCHED}"  # noqa: S608
_OLD_IMAGES = f"""
    SELECT id, key, COALESCE(edited.hash, vectors.hash) AS hash
    FROM before.images JOIN before.vectors USING (row) LEFT JOIN before.edited ON image = id
    WHERE {_NOT_FOUND}
"""  # noqa: S608
_OLD_MISSING = f"SELECT id, key, hash, since_ns FROM before.missing WHERE {_NOT_FOUND}"  # noqa: S608
_OLD = f"SELECT id, key, hash, :now AS since_ns FROM ({_OLD_IMAGES}) UNION ALL {_OLD_MISSING}"  # noqa: S608


def _match(old: str, by: str) -> str:
    """Matches the images that have not been matched with old ones by these columns; of several, the newest counts."""
    return f"""
        INSERT INTO temp.carried SELECT new.id, MAX(old.id)
        FROM ({_NEW}) AS new JOIN ({old}) AS old USING ({by}) GROUP BY new.id
    """  # noqa: S608


_MATCH = (
    _match(_OLD_IMAGES, "key, hash"),
    _match(_OLD_MISSING, "key, hash"),
    f"""
    INSERT INTO temp.carried SELECT new.id, old.id FROM (SELECT id, hash, {_NTH} FROM ({_NEW})) AS new
    JOIN (SELECT id, hash, {_NTH} FROM ({_OLD.replace(":now", "0")})) AS old USING (hash, nth)
    """,  # noqa: S608
    _match(_OLD_IMAGES, "key"),
    _match(_OLD_MISSING, "key"),
)
_IS_KEPT = "(SELECT key FROM main.images WHERE id = image) = (SELECT key FROM before.images WHERE id = carried.id)"
_COUNT = f"""
    SELECT COUNT(*) FILTER (WHERE {_IS_KEPT}),
        COUNT(*) FILTER (WHERE id IN (SELECT id FROM before.images) AND NOT {_IS_KEPT}),
        COUNT(*) FILTER (WHERE id IN (SELECT id FROM before.missing))
    FROM temp.carried
"""  # noqa: S608
_NEW_IDS = f"""
    INSERT INTO temp.carried SELECT id, {_LAST_ID} + row_number() OVER (ORDER BY id) FROM main.images
    WHERE {_NOT_MATCHED}
"""  # noqa: S608
_CARRY_OVER = (
    "DELETE FROM main.missing",  # what an earlier call has set aside, or the run that made this catalog
    "DELETE FROM main.edited",
    "DELETE FROM main.attributes",
    "UPDATE main.images SET id = -id",  # out of the way of the ids that they get
    "UPDATE main.images SET id = (SELECT carried.id FROM temp.carried WHERE image = -images.id)",
    "DELETE FROM main.sqlite_sequence WHERE name = 'images'",
    f"""
    INSERT INTO main.sqlite_sequence (name, seq)
    SELECT 'images', MAX({_LAST_ID}, (SELECT COALESCE(MAX(id), 0) FROM main.images))
    """,  # noqa: S608
    "INSERT INTO main.attributes " + _attributes_of("temp.carried"),
    f"""
    UPDATE main.images SET label = (SELECT value FROM main.attributes WHERE image = images.id AND name = '{LABEL}')
    WHERE id IN (SELECT image FROM main.attributes WHERE name = '{LABEL}')
    """,  # noqa: S608
)
_SET_ASIDE = f"""
    INSERT INTO main.missing (id, key, hash, row, size, mtime_ns, ctime_ns, since_ns)
    SELECT id, key, hash, (SELECT row FROM main.vectors WHERE hash = old.hash), -1, -1, -1, since_ns
    FROM ({_OLD}) AS old
"""  # noqa: S608
