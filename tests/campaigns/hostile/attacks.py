"""The ways in which a collection is crafted."""

import json
import os
import random
import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

TABLES = ("vectors", "images", "skipped", "dead", "changes", "attributes", "storage", "generations", "sqlite_sequence")
ESCAPE = "\x1b]0;pwned\x07\x9b31m"
_DEEP = "[" * 100_000 + "]" * 100_000
_MAGIC = bytes.fromhex("d9d505f920a163d7")

Attack = Callable[[random.Random, Path, Path], object]


def hostile_value(rng: random.Random, canaries: Path) -> Any:
    """A value that may stand for a name, a number or a text."""
    names = [str(canaries / "canary.faiss"), f"../../{canaries.name}/canary.faiss", "..", ".", "", "/", "/dev/zero"]
    texts = [
        "a\0b",
        ESCAPE,
        "x" * 10**6,
        "'; rm -rf ~; '",
        "\u202egpj.exe",
        "\udcff",
        "vectors.000009.faiss",
        "data.000001",
    ]
    numbers = [0, -1, 1, 2**31, 2**62, 2**63 - 1, -(2**63), 10**9, 1e308, 0.5]
    return rng.choice([*names, *texts, *numbers, None, b"\xff\x00"])


# Something else in the place of a file

_TO_COME = [
    *("collection.json.new", "reindexing.json", "reindexing.json.new", "lock"),
    *("vectors.000001.faiss", "vectors.000002.faiss", "data.000001", "data.000001/index"),
    *("catalog.sqlite-journal", "catalog.sqlite-wal", "catalog.sqlite-shm"),
    *("marks.json", "marks.json.new", "marks.lock", "actions", "actions/000001.jsonl"),
    *("index/000001.json.new", "index/000002.faiss", "index/000002.faiss.new", "index/000002.json.new"),
]
_KINDS = ["link", "link", "link", "pipe", "directory", "zero", "full", "to_zero", "loop"]
_TARGETS = ["canary.faiss", "canary.json", "canary.sqlite", "folder", "nothing"]


def replaced(rng: random.Random, directory: Path, canaries: Path) -> None:
    """Puts a link, a pipe, a device or a directory in the place of a file or of a directory, or where one may come."""
    there = [path.relative_to(directory).as_posix() for path in directory.rglob("*")]
    path = directory / rng.choice([*there, *_TO_COME])
    path.parent.mkdir(exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    _put(rng.choice(_KINDS), path, canaries / rng.choice(_TARGETS))


def _put(kind: str, path: Path, target: Path) -> None:
    match kind:
        case "link":
            path.symlink_to(target)
        case "pipe":
            os.mkfifo(path)
        case "directory":
            (path / "inside").mkdir(parents=True)
        case "zero" | "full":
            _device(path, Path("/dev", kind))
        case "to_zero":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path.name)


def _device(path: Path, like: Path) -> None:
    try:
        os.mknod(path, like.stat().st_mode, like.stat().st_rdev)
    except PermissionError:  # a user other than root links to it
        path.symlink_to(like)


# JSON

_SOURCES = ["timm:x; rm -rf ~", ESCAPE, "a --name b --name c", "'"]
_SPECS = ["IVF4194304,Flat", "PQ1x16", "PCA99999999,Flat", "IVF" + "9" * 400, "," * 500, "HNSW8,SQ8"]


def manifest(rng: random.Random, directory: Path, canaries: Path) -> None:
    """Replaces a value of the manifest, or makes one for a re-indexing that has begun."""
    facts = json.loads((directory / "collection.json").read_text())
    name = rng.choice([*facts, "data", "source", "unknown"])
    facts[name] = _plain(hostile_value(rng, canaries))
    if name in ("model", "source") and rng.random() < 0.7:
        facts["precision"], facts["source"] = "int8", rng.choice(_SOURCES)
    text = rng.choice([json.dumps(facts)] * 6 + [_DEEP, "", "null", "[]", "1" * 10**5, '{"format": NaN}'])
    (directory / rng.choice(["collection.json"] * 3 + ["reindexing.json"])).write_text(text)


def sources(rng: random.Random, directory: Path, canaries: Path) -> None:
    """Says that the collection was made of what is outside, or of what cannot be."""
    (canaries / "list.txt").write_text(f"{canaries}/private.png\n")
    path = directory / "sources.json"
    facts = json.loads(path.read_text())
    listed = {"path": rng.choice([str(canaries / "list.txt"), "list.txt"]), "base": str(canaries), "null": False}
    facts |= rng.choice([{"folders": [str(canaries)]}, {"folders": [""], "lists": [listed]}, {"elsewhere": True}])
    if rng.random() < 0.5:
        name = rng.choice([*facts, "unknown"])
        facts[name] = rng.choice([_plain(hostile_value(rng, canaries)), [_plain(hostile_value(rng, canaries))]])
    path.write_text(rng.choice([json.dumps(facts)] * 8 + [_DEEP]))


def card(rng: random.Random, directory: Path, canaries: Path) -> None:
    """Replaces a value of the index's card, and has the catalog say that it is right."""
    path = directory / "index" / "000001.json"
    facts = json.loads(path.read_text())
    place, key = rng.choice(list(_places(facts)))
    place[key] = rng.choice(_SPECS) if key == "spec" else _plain(hostile_value(rng, canaries))
    path.write_text(rng.choice([json.dumps(facts)] * 8 + [_DEEP]))
    change(directory, "UPDATE generations SET card_sha256 = ?", sha256(path.read_bytes()).digest())


def actions(rng: random.Random, directory: Path, canaries: Path) -> None:
    """Leaves the log of actions by which undoing would move what is outside, and marks of images."""
    place, log = canaries / rng.choice(["private.png", "nothing.png", "canary.json"]), directory / "actions"
    digest = sha256((canaries / "private.png").read_bytes()).hexdigest()
    act = {"key": rng.choice(["stolen.png", "cats/03.png"]), "sha256": digest, "mode": 0o777, "place": str(place)}
    act |= {"atime_ns": 0, "mtime_ns": 0, "stay": [0, 0], "token": "0123456789abcdef"}
    if rng.random() < 0.5:
        act[rng.choice([*act])] = _plain(hostile_value(rng, canaries))
    action = rng.choice(["move", "trash", "link"])
    first = {"format": 1, "run": "0" * 32, "action": action, "to": str(canaries), "began": "2026-11-27T11:40:00+00:00"}
    lines = [first, {"folder": str(canaries / "folder")}, {"number": 1, "act": act}]
    lines += rng.choice([[], [{"number": 1, "state": "done"}], [{"number": 1, "undo": "0123456789abcdef"}]])
    log.mkdir()
    (log / "000001.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    marks = rng.choice([{"1": digest}, {"-1": 5}, [], {str(_plain(hostile_value(rng, canaries))): digest}])
    (directory / "marks.json").write_text(json.dumps({"format": 1, "marked": marks, "kept": {}}))


def _places(facts: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in JSON, with each of its keys."""
    for key, inner in list(facts.items() if isinstance(facts, dict) else enumerate(facts)):
        yield facts, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _plain(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else value


# FAISS


def faiss_file(rng: random.Random, directory: Path, canaries: Path) -> None:
    """Replaces numbers of the index, and has the catalog say that it is right, or numbers of the vectors' header."""
    index, vectors = directory / "index" / "000001.faiss", next(directory.glob("vectors*.faiss"))
    path = rng.choice([index, index, vectors])
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(min(len(data), rng.choice((64, 300, len(data)))))
        data[at : at + 8] = struct.pack("<Q", rng.choice((0, 1, 2**31 - 1, 2**62, 2**64 - 1, 300, 2100)))
    path.write_bytes(data)
    change(directory, "UPDATE generations SET index_sha256 = ?", sha256(index.read_bytes()).digest())


# SQLite


def values(rng: random.Random, directory: Path, canaries: Path) -> None:
    """Replaces values of the catalog, which may have any type, although its tables are still said to be strict."""
    with closing(sqlite3.connect(directory / "catalog.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        find = "SELECT name, sql FROM sqlite_schema WHERE type = ? AND name NOT LIKE 'sqlite%'"
        tables, triggers = (dict(connection.execute(find, (kind,)).fetchall()) for kind in ("table", "trigger"))
        for name in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        _define(connection, {name: _lenient(sql) for name, sql in tables.items()})
        for _ in range(rng.choice((1, 1, 3))):
            _put_value(connection, rng, hostile_value(rng, canaries))
        _define(connection, tables)
        for sql in triggers.values():
            connection.execute(sql)


def _put_value(connection: sqlite3.Connection, rng: random.Random, value: Any) -> None:
    table = rng.choice(TABLES)
    columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
    some = "image" if table == "attributes" else "rowid"
    where = rng.choice(["TRUE", f"{some} % 7 = 1", f"{some} = 1"])
    value = os.fsencode(value) if value == "\udcff" else value
    try:
        connection.execute(f"UPDATE OR REPLACE {table} SET {rng.choice(columns)} = ? WHERE {where}", (value,))
    except sqlite3.Error:  # a row number, say, has to be a number
        connection.execute(f"DELETE FROM {table} WHERE {where}")


def _lenient(sql: str) -> str:
    return sql.replace("STRICT, WITHOUT", "WITHOUT").replace(" STRICT", "").replace("NOT NULL", "")


def _define(connection: sqlite3.Connection, tables: dict[str, str]) -> None:
    """Writes the definitions of tables, whatever is in them."""
    connection.execute("PRAGMA writable_schema = ON")
    for name, sql in tables.items():
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (sql, name))
    connection.execute("PRAGMA writable_schema = RESET")


_ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {columns} FROM n"


_COLUMNS = ["row", "hash", "crc32", "id", "key", "count", "vectors", "number", "size"]


def schema(rng: random.Random, directory: Path, canaries: Path) -> None:
    """Puts an endless view, a virtual table or a generated column in the place of a table, or adds something."""
    table = rng.choice(TABLES[:-1])
    endless = _ENDLESS.format(columns=", ".join(f"i AS {name}" for name in _COLUMNS))
    instead = [
        f"CREATE VIEW {table} AS {endless}",
        f"CREATE VIEW {table} AS SELECT * FROM {table}",
        f"CREATE TABLE {table} (row AS (zeroblob(900000000)), id)",
        f"CREATE VIRTUAL TABLE {table} USING fts5(row, id, key)",
    ]
    more = [
        ["CREATE TRIGGER own AFTER UPDATE ON changes BEGIN DELETE FROM images; END"],
        [f"CREATE INDEX own ON images (key) WHERE key GLOB '{'*a' * 5000}'"],
        [f"CREATE TABLE t{number} (c{', c'.join(map(str, range(50)))})" for number in range(300)],
    ]
    statements = rng.choice([*([f"DROP TABLE {table}", each] for each in instead), *more])
    for statement in ["PRAGMA foreign_keys = OFF", *statements]:
        change(directory, statement)


def journal(rng: random.Random, directory: Path, canaries: Path) -> None:
    """Leaves a journal that names a super-journal, or that is noise."""
    name = os.fsencode(canaries / rng.choice(["canary.sqlite", "canary.json"]))
    end = name + struct.pack(">II", len(name), sum(name) & 0xFFFFFFFF) + _MAGIC
    header = _MAGIC + struct.pack(">IIIII", rng.choice((0, 1, 0xFFFFFFFF)), 7, rng.choice((1, 2**31)), 512, 4096)
    data = (
        header.ljust(512, b"\0")
        + rng.choice([struct.pack(">I", 1) + bytes(4100), b""])
        + struct.pack(">I", 2**30)
        + end
    )
    noise = header + rng.randbytes(rng.choice((0, 100, 5000)))
    (directory / "catalog.sqlite-journal").write_bytes(rng.choice([data, data, noise]))
    if rng.random() < 0.3:
        (directory / rng.choice(["catalog.sqlite-wal", "catalog.sqlite-shm"])).write_bytes(rng.randbytes(40_000))


def pages(rng: random.Random, directory: Path, canaries: Path) -> None:
    """Overwrites pointers and counts within the catalog's pages."""
    path = directory / "catalog.sqlite"
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 2, 20))):
        page = rng.randrange(len(data) // 4096) * 4096
        at = page + rng.choice((rng.randrange(110), rng.randrange(4096)))
        data[at : at + 4] = struct.pack(">I", rng.choice((0, 1, 2, page // 4096 + 1, 2**31, 2**32 - 1)))
    path.write_bytes(data)


def change(directory: Path, statement: str, *parameters: object) -> None:
    """Runs one statement on the catalog, unless it has been made impossible."""
    with closing(sqlite3.connect(directory / "catalog.sqlite", isolation_level=None)) as connection:
        try:
            connection.execute(statement, parameters)
        except sqlite3.Error:
            return


ATTACKS: tuple[Attack, ...] = (
    replaced,
    replaced,
    manifest,
    sources,
    card,
    actions,
    faiss_file,
    values,
    values,
    schema,
    journal,
    pages,
)
