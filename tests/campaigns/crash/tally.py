"""What a campaign has tried."""

from dataclasses import dataclass


@dataclass
class Tally:
    """What a campaign has tried.

    Attributes:
        kills: the number of processes that were killed at work.
        while_creating: kills before there was a collection.
        while_committing: kills that left a journal, or vectors that no commit had named.
        while_changing: kills while images were removed or annotated, or an index was built.
        leaving_files: kills that left files that nothing names.
        finished: processes that ended before they could be killed.
        acknowledged: files that were reported as committed by processes that were then killed.
        changes: further changes that were acknowledged by them.
        indexed: kills that left an index, which searches went on to use.
        compacted: kills that left vectors from which the dead ones had been removed.
        augmented: kills that left augmented vectors, or that they are wanted.
        with_parts: kills that left vectors of parts of the images.
        completed: runs after a kill that went through, and ended as an undisturbed run does.
        searches: by a reader at the same time.
    """

    kills: int = 0
    while_creating: int = 0
    while_committing: int = 0
    while_changing: int = 0
    leaving_files: int = 0
    finished: int = 0
    acknowledged: int = 0
    changes: int = 0
    indexed: int = 0
    compacted: int = 0
    augmented: int = 0
    with_parts: int = 0
    completed: int = 0
    searches: int = 0

    @property
    def missing(self) -> list[str]:
        """What a campaign should try and has not, which leaves parts of it without effect."""
        needed = ("acknowledged", "changes", "while_committing", "while_changing", "indexed", "compacted", "with_parts")
        return [name for name in (*needed, "searches") if not getattr(self, name)]
