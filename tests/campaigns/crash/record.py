"""What a process that was killed had reported."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.campaigns.crash.state import State
from tests.campaigns.crash.victim import Change


@dataclass(frozen=True)
class Record:
    """What a process was to do, and what it reported before its end.

    Attributes:
        waiting: the keys of the new and changed files, in the order in which they are committed.
        changes: what it was to do to the collection then.
        lines: what it reported.
    """

    waiting: Sequence[str]
    changes: Sequence[Change]
    lines: Sequence[str]

    @property
    def is_done(self) -> bool:
        """Whether the collection was reported as up to date."""
        return "done" in self.lines

    @property
    def acknowledged(self) -> int:
        """The number of files that were reported as committed one by one."""
        return max((int(line.split()[1]) for line in self.lines if line.startswith("committed")), default=0)

    @property
    def committed(self) -> int:
        """The number of files that have to be committed."""
        return len(self.waiting) if self.is_done else self.acknowledged

    def changes_made(self, after: State) -> Sequence[Change]:
        """The changes that were made: those that were acknowledged, and the next one if it has an effect."""
        if not self.is_done:
            return []
        acknowledged = self.lines.count("changed")
        made = self.changes[: acknowledged + 1]
        if len(made) > acknowledged:
            last = made[-1]
            if last.kind == "remove" and not after.ids.keys().isdisjoint(last.keys):
                return self.changes[:acknowledged]
            if last.kind == "annotate" and not any(
                after.prices.get(id_) == last.price for key, id_ in after.ids.items() if key in last.keys
            ):
                return self.changes[:acknowledged]
        return made
