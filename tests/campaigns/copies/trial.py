"""One trial: copies are acted upon and given back by processes that are ended, and every file is looked for."""

import os
import pickle
import random
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.duplicates.names import ACTIONS, ActionName
from lookalike.errors import LookalikeError, StorageError
from tests.campaigns.copies import worker
from tests.campaigns.copies.disk import Fault, Kind, Links
from tests.campaigns.copies.worker import Groups, Place
from tests.support.copies_of_files import FileFacts, facts

_MOST_CALLS = 100  # that change files while copies are acted upon, approximately
_MOST_SECONDS = 0.1
_MEANWHILE = ["take a place", "edit what was moved", "delete what was moved", "edit in place"]


@dataclass(frozen=True)
class Ended:
    """How a process ended: "done", "killed", "full", or with an error; and what it returned."""

    how: str
    value: Any = None


class LostError(Exception):
    """Something is not as it has to be; the message says what."""


class Trial:
    """A trial.

    Attributes:
        counts: what happened in it.
    """

    def __init__(self, place: Place, chance: random.Random) -> None:
        """The folder of the images is there, the other ones are not."""
        self._place, self._chance, self.counts = place, chance, Counter[str]()
        self._give_times()
        self._before = facts(place.photos)
        self._plants = dict[Path, FileFacts]()
        self._spoilt = set[str]()  # keys of files that other programs have changed
        self._marked = set[str]()

    def run(self) -> None:
        """Does all of it; raises LostError if something is lost."""
        ids = self._whole(worker.ids)
        for _ in range(self._chance.choice([1, 1, 2])):
            groups, action = self._groups(), self._chance.choice(ACTIONS)
            self._marked.update(marked := self._marks(groups))
            self._plant(action, marked)
            if self._chance.random() < 0.2:
                self._interfere("edit in place")  # after the search for copies
            there = facts(self._place.photos)
            fault = self._fault()
            ended = self._process(fault, worker.act, groups, sorted(marked), action)
            self._count(f"{action}, {fault.links}: {ended.how}")
            self._examine([group for group in groups if there.keys() & group], still=there)
        if self._chance.random() < 0.3:
            self._whole(worker.ids)  # the collection is brought up to date meanwhile
        if self._chance.random() < 0.3:
            self._interfere(self._chance.choice(_MEANWHILE))
        for _ in range(self._chance.choice([0, 0, 1, 2, 3])):
            ended = self._process(self._fault(), worker.undo)
            self._count(f"undoing: {ended.how}")
            self._examine()
        left = self._whole(worker.undo_all)
        self._examine_end(left, ids)

    # What is there

    def _give_times(self) -> None:
        for path in sorted(self._place.photos.rglob("*.png")):
            times = [self._chance.randrange(10**18, 17 * 10**17) for _ in range(2)]
            os.utime(path, ns=(times[0], times[1]))
            path.chmod(self._chance.choice([0o644, 0o600, 0o640, 0o444]))

    def _groups(self) -> Groups:
        keys = sorted(self._before)
        self._chance.shuffle(keys)
        found = []
        while len(keys) > 1:
            size = self._chance.choice([2, 2, 3, 4, 5])
            found.append(keys[:size])
            del keys[:size]
        same = [["0.png", "d/7.png", "c/8.png"], ["b/1.png", "d/9.png", "b/11.png"], ["b/5.png", "c/x y ü.png"]]
        return found if self._chance.random() < 0.5 else same

    def _marks(self, groups: Groups) -> set[str]:
        share = self._chance.choice([0.3, 0.6, 0.9])
        return {key for group in groups for key in group if self._chance.random() < share}

    def _plant(self, action: ActionName, marked: set[str]) -> None:
        """Puts other files where copies are going to be moved to."""
        for key in sorted(marked):
            if self._chance.random() < 0.2 and action != "link":
                place = self._place.away / key if action == "move" else self._place.trash / "files" / Path(key).name
                note = self._place.trash / "info" / f"{place.name}.trashinfo"  # which makes a name somebody's
                if not (place.exists() or note.exists()):
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(self._chance.randbytes(40))
                    self._plants[place] = FileFacts.of(place)

    def _fault(self) -> Fault:
        kind: Kind = self._chance.choice(["kill", "kill", "kill", "full", "nothing"])
        links: Links = self._chance.choice(["links", "another disk", "no links"])
        return Fault(kind, int(self._chance.random() ** 2 * _MOST_CALLS) + 1, links)

    def _interfere(self, what: str) -> None:
        """Does what other programs and people may do meanwhile."""
        away = {key for key in self._before if not (self._place.photos / key).exists()}
        moved = [path for path in sorted(self._place.away.rglob("*")) if path.is_file() and path not in self._plants]
        if what == "take a place" and away:
            key = self._chance.choice(sorted(away))
            (self._place.photos / key).parent.mkdir(exist_ok=True)
            (self._place.photos / key).write_bytes(b"another file")
        elif what in ("edit what was moved", "delete what was moved") and moved:
            path = self._chance.choice(moved)
            key = f"{path.relative_to(self._place.away)}"
            path.write_bytes(b"edited") if what.startswith("edit") else path.unlink()
            self._spoilt.update(each for each in self._before if Path(each).stem == Path(key).stem.split(" (")[0])
        elif what == "edit in place":
            path = self._place.photos / self._chance.choice(sorted(self._before.keys() - away))
            inode = path.stat().st_ino
            path.chmod(0o644)
            path.write_bytes(b"edited")
            key_of = {each: self._place.photos / each for each in self._before.keys() - away}
            self._spoilt.update(each for each, file in key_of.items() if file.stat().st_ino == inode)
        else:
            return
        self._count(f"meanwhile: {what}")

    # Processes

    def _whole(self, function: Callable[..., Any], *given: Any) -> Any:
        """What a process returns that nothing ends."""
        ended = self._process(None, function, *given)
        if ended.how != "done":
            raise LostError(f"{function.__name__} ended: {ended.how} {ended.value}")
        return ended.value

    def _process(self, fault: Fault | None, function: Callable[..., Any], *given: Any) -> Ended:
        """Lets a function work in a process of its own, which may be killed at any instant, too."""
        given = given if fault is None else (*given, fault)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            _work(write, function, self._place, *given)
        os.close(write)
        if fault and fault.kind == "nothing" and self._chance.random() < 0.5:
            time.sleep(self._chance.random() * _MOST_SECONDS)
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with os.fdopen(read, "rb") as file:
            data = file.read()
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return Ended("killed")
        how, value = pickle.loads(data)
        if how == "failed":
            raise LostError(f"{function.__name__} failed:\n{value}")
        return Ended(how, value)

    # What has to be

    def _examine(self, groups: Sequence[list[str]] = (), still: dict[str, FileFacts] | None = None) -> None:
        """Nothing is lost: each group has an image where there was one, and all contents are somewhere as before."""
        now = facts(self._place.photos)
        for group in groups:
            there = [key for key in group if still and key in still and key not in self._spoilt]
            if there and not any(key in now and now[key].sha256 == self._before[key].sha256 for key in there):
                raise LostError(f"the last copy of {group} is gone")
        for key, was in self._before.items():
            if key not in self._marked | self._spoilt and now.get(key) != was:
                raise LostError(f"{key} is not marked and has changed")
        self._examine_contents(now)
        self._examine_plants()

    def _examine_contents(self, now: dict[str, FileFacts]) -> None:
        wanted = Counter(was.sha256 for key, was in self._before.items() if key not in self._spoilt)
        found = Counter(each.sha256 for each in self._everywhere(now))
        if missing := wanted - found:
            names = [key for key, was in self._before.items() if was.sha256 in missing]
            raise LostError(f"the contents of one of {names} are nowhere")

    def _everywhere(self, now: dict[str, FileFacts]) -> Iterator[FileFacts]:
        yield from now.values()
        for folder in (self._place.away, self._place.trash / "files"):
            yield from facts(folder).values()

    def _examine_plants(self) -> None:
        for path, was in self._plants.items():
            if not path.exists() or FileFacts.of(path) != was:
                raise LostError(f"{path}: it was another program's, and has changed")

    def _examine_end(self, left: dict[str, str], ids: dict[str, int]) -> None:
        """Everything is as it was, but for what other programs have done; nothing is left over."""
        for key in left:
            self._count("left in the end: " + left[key].replace(str(self._place.root), "").split("/")[0])
        self._examine()
        now = facts(self._place.photos)
        for key, was in self._before.items():
            if key not in self._spoilt and key not in left and now.get(key) != was:
                raise LostError(f"{key} is not as it was: {was} {now.get(key)}")
        if not self._counted("meanwhile") and (left or now.keys() != self._before.keys()):
            raise LostError(f"not everything came back: {left}, {now.keys() ^ self._before.keys()}")
        self._examine_leftovers(len(left) + len(self._spoilt))
        after = self._whole(worker.ids)
        if changed := {key for key in ids.keys() & after.keys() - left.keys() - self._spoilt if after[key] != ids[key]}:
            raise LostError(f"the ids of {changed} have changed")

    def _examine_leftovers(self, allowed: int) -> None:
        for path in self._place.root.rglob(".lookalike-*"):
            raise LostError(f"{path} is left over")
        for folder in (self._place.away, self._place.trash / "files"):
            others = {str(path.relative_to(folder)) for path in self._plants if path.is_relative_to(folder)}
            if len(facts(folder).keys() - others) > allowed:
                raise LostError(f"left over in {folder}: {facts(folder).keys() - others}")
        if len(list((self._place.trash / "info").glob("*"))) > allowed:
            raise LostError("notes in the trash are left over")

    def _count(self, what: str) -> None:
        self.counts[what] += 1

    def _counted(self, beginning: str) -> bool:
        return any(what.startswith(beginning) for what in self.counts)


def _work(write: int, function: Callable[..., Any], *given: Any) -> None:
    """Does the work of a process, and ends it."""
    try:
        answer = ("done", function(*given))
    except StorageError as error:
        answer = ("full", str(error))
    except LookalikeError as error:
        answer = ("failed", f"{error}\n{traceback.format_exc()}")
    except BaseException:
        answer = ("failed", traceback.format_exc())
    with os.fdopen(write, "wb") as file:
        file.write(pickle.dumps(answer))
    os._exit(0)


def attempt(template: Path, root: Path, seed: int) -> tuple[Counter[str], str]:
    """A trial in a new folder: what happened, and the problem, if there is one."""
    shutil.copytree(template, root)
    os.environ["XDG_DATA_HOME"], os.environ["LOOKALIKE_TRUST"] = str(root / "data"), str(root / "trusted")
    trial = Trial(Place(root), random.Random(seed))
    try:
        trial.run()
    except LostError as lost:
        return trial.counts, f"trial {seed}: {lost}"
    shutil.rmtree(root)
    return trial.counts, ""
