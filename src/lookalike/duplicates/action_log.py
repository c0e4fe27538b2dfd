"""The log of one run of actions: JSON lines, each on the disk before a file is touched, so that all can be undone.

    {"format": 1, "run": "6f1c...", "action": "move", "to": "/copies", "began": "2026-11-27T11:40:00+00:00"}
    {"folder": "/copies/cats"}                          is going to be made
    {"number": 1, "act": {...}}                         is going to be done to a file, see `Act`
    {"number": 1, "copied": [2049, 131]}                the inode of a copy that has been made of it
    {"number": 1, "state": "done"}                      or "back": it is where it was
    {"number": 1, "undo": "0123456789abcdef"}           is going to be undone, with the token of the temporary file

Lines that cannot be read are passed over: the last ones may be torn after a loss of power, and then no file was touched
after them. Of a file that is neither done nor back, its places tell (see undoing.py).
"""

import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lookalike.duplicates.names import ACTIONS, ActionName
from lookalike.errors import CorruptError
from lookalike.storage import files, layout, records
from lookalike.system import durable
from lookalike.system.moves import Inode

State: TypeAlias = Literal["", "done", "back"]
_FORMAT = 1
_MAX_LINE = 2**16  # bytes; two paths of 4,096 characters, escaped, take less
_MAX_BYTES = 2**28
_TOKEN = re.compile(r"[0-9a-f]{16}")
_RUN = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NUMBERS = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Act:
    """What is going to be done to a file.

    Attributes:
        key: the key of its image.
        sha256: of its contents, in hexadecimal.
        mode: its permissions.
        atime_ns: when it was read last, in nanoseconds.
        mtime_ns: when it was written last.
        place: the path that it is moved to; for a link, that of the file that it is going to be a link to.
        stay: the inode of the file that it is going to be a link to; (0, 0) for others.
        token: names the temporary file.
    """

    key: str
    sha256: str
    mode: int
    atime_ns: int
    mtime_ns: int
    place: str
    stay: Inode
    token: str


@dataclass
class Entry:
    """A file, and what is known of it.

    Attributes:
        number: from 1 on.
        act: what was to be done.
        copies: the inodes of the copies that were made of it.
        tokens: of its temporary files.
        state: whether it is done, or back; empty if only its places tell.
        is_undone: whether undoing it has begun.
    """

    number: int
    act: Act
    copies: set[Inode] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    state: State = ""
    is_undone: bool = False


@dataclass
class LoggedRun:
    """What the log of a run says.

    Attributes:
        number: of the run.
        token: a random text that tells it from all other runs, also of other collections.
        action: what was done.
        to: the folder that files were moved to; None if they were not.
        began: when.
        entries: by their numbers.
        folders: that were made, in this order.
    """

    number: int
    token: str
    action: ActionName
    to: Path | None
    began: datetime
    entries: dict[int, Entry] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)


class ActionLog:
    """A log that is written to. All methods raise StorageError if the disk is full or failing."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor

    @classmethod
    def create(cls, directory: Path, token: str, action: ActionName, to: Path | None) -> tuple["ActionLog", LoggedRun]:
        """Begins the log of a new run of the collection in a directory, which has that token."""
        folder = layout.actions_folder(directory)
        with durable.storage_errors(folder):
            if not files.check_directory(folder):
                folder.mkdir()
                durable.sync_folder(directory)
            number = 1 + max(map(layout.action_number, files.names_in(folder)), default=0)
            path = layout.action_log(directory, number)
            log = cls(path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        run = LoggedRun(number, token, action, to, datetime.now(UTC))
        facts = {"run": token, "action": action, "to": None if to is None else str(to)}
        log.append({"format": _FORMAT, **facts, "began": run.began.isoformat()})
        with durable.storage_errors(folder):
            durable.sync_folder(folder)
        return log, run

    @classmethod
    def resume(cls, directory: Path, number: int) -> "ActionLog":
        """Goes on with the log of a run, after its last whole line."""
        path = layout.action_log(directory, number)
        with durable.storage_errors(path):
            descriptor = files.opened_for_update(path)
            os.ftruncate(descriptor, files.read(path, max_bytes=_MAX_BYTES).rfind(b"\n") + 1)
            os.lseek(descriptor, 0, os.SEEK_END)
        return cls(path, descriptor)

    def append(self, facts: Mapping[str, Any], *, sync: bool = True) -> None:
        """Adds a line, and waits until it is on the disk unless that can wait for the next line."""
        line = (json.dumps(facts) + "\n").encode()
        with durable.storage_errors(self._path):
            while line:
                line = line[os.write(self._descriptor, line) :]
            if sync:
                durable.sync(self._descriptor)

    def act(self, number: int, act: Act) -> None:
        """Says what is going to be done to a file."""
        self.append({"number": number, "act": asdict(act)})

    def undo(self, number: int, token: str) -> None:
        """Says that what was done to a file is going to be undone."""
        self.append({"number": number, "undo": token})

    def copied(self, number: int, inode: Inode) -> None:
        """Says that there is a copy of a file, which is going to get its name."""
        self.append({"number": number, "copied": inode})

    def state(self, number: int, state: State) -> None:
        """Says where a file is now. Its places say so, too, so nothing waits."""
        self.append({"number": number, "state": state}, sync=False)

    def close(self) -> None:
        """Waits until all is on the disk."""
        try:
            with durable.storage_errors(self._path):
                durable.sync(self._descriptor)
        finally:
            os.close(self._descriptor)


def new_token() -> str:
    """A random text for a run."""
    return secrets.token_hex(16)


def numbers(directory: Path) -> list[int]:
    """The numbers of the runs of a collection, the first one first.

    Raises:
        CorruptError: something else than a folder has their logs.
    """
    return sorted(filter(None, map(layout.action_number, files.names_in(layout.actions_folder(directory)))))


def read(directory: Path, number: int) -> LoggedRun | None:
    """What the log of a run says; None if it was torn before anything was done.

    Raises:
        CorruptError: it is no log.
    """
    path = layout.action_log(directory, number)
    try:
        lines = files.read(path, max_bytes=_MAX_BYTES).split(b"\n")
    except OSError as error:
        raise CorruptError(f"{path}: {error.strerror or error}") from error
    records_ = list(_records(lines))
    if not records_:
        return None
    try:
        run = _run(number, records_[0])
    except (KeyError, ValueError, TypeError) as error:
        raise CorruptError(f"{path}: it is no log of actions; delete it") from error
    for facts in records_[1:]:
        with suppress(KeyError, ValueError, TypeError):
            _take(run, facts)
    return run


def _records(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        with suppress(ValueError, RecursionError):
            facts = json.loads(line) if len(line) <= _MAX_LINE else None
            if isinstance(facts, dict):
                yield facts


def _run(number: int, facts: Mapping[str, Any]) -> LoggedRun:
    to = facts["to"]
    if facts["format"] != _FORMAT or facts["action"] not in ACTIONS or not _RUN.fullmatch(facts["run"]):
        raise ValueError("no log of this version")
    began = datetime.fromisoformat(facts["began"])
    if began.tzinfo is None:
        raise ValueError("no time zone")
    return LoggedRun(number, facts["run"], facts["action"], None if to is None else _path(to), began)


def _take(run: LoggedRun, facts: Mapping[str, Any]) -> None:
    """Takes up what a line says; raises KeyError, ValueError or TypeError if it says nothing that is known."""
    if "folder" in facts:
        run.folders.append(_path(facts["folder"]))
        return
    number = facts["number"]
    if type(number) is not int:
        raise ValueError("no number of a file")
    if "act" in facts:
        act = _act(facts["act"])
        entry = run.entries.setdefault(number, Entry(number, act))
        entry.act, entry.state = act, ""  # another place, if the first one was taken
        entry.tokens.add(act.token)
        return
    entry = run.entries[number]
    if "copied" in facts:
        entry.copies.add(_inode(facts["copied"]))
    elif "undo" in facts:
        entry.tokens.add(_matching(_TOKEN, facts["undo"]))
        entry.state, entry.is_undone = "", True
    elif facts["state"] in ("done", "back"):
        entry.state = facts["state"]


def _act(facts: Mapping[str, Any]) -> Act:
    values = {each.name: facts[each.name] for each in fields(Act)}
    numbers_ = [values[name] for name in ("mode", "atime_ns", "mtime_ns")]
    if not all(type(each) is int and each in _NUMBERS for each in numbers_):
        raise ValueError("no number")
    if not records.is_key(values["key"]) or values["key"].startswith("/"):
        raise ValueError("no key of a file in the folder")
    _matching(_SHA256, values["sha256"])
    _matching(_TOKEN, values["token"])
    _path(values["place"])
    return Act(**{**values, "stay": _inode(values["stay"])})


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not value.startswith("/") or not records.is_key(value):
        raise ValueError("no absolute path")
    return Path(value)


def _inode(value: Any) -> Inode:
    first, second = value
    if type(first) is not int or type(second) is not int:
        raise ValueError("no inode")
    return first, second


def _matching(pattern: re.Pattern[str], value: Any) -> str:
    if not pattern.fullmatch(value):
        raise ValueError("not what Lookalike writes")
    return str(value)
