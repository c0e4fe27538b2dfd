"""What a disk does while a process works on it: nothing, kill it, or be full; and whether it can link files."""

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.support.preloaded import compiled

Kind = Literal["nothing", "kill", "full"]
Links = Literal["links", "another disk", "no links"]
_KINDS: list[Kind] = ["nothing", "kill", "full"]
_LINKS: list[Links] = ["links", "another disk", "no links"]


@dataclass(frozen=True)
class Fault:
    """What happens.

    Attributes:
        kind: what happens.
        at: the number of the call that changes files at which it happens, from 1 on.
        links: whether files can be linked, and to which folders.
    """

    kind: Kind = "nothing"
    at: int = 0
    links: Links = "links"

    def arm(self, below: Path, beyond: Path) -> None:
        """Lets it happen to this process, below a folder, of which another one in it may be on another disk."""
        given = os.fsencode(below), os.fsencode(beyond), _KINDS.index(self.kind), self.at, _LINKS.index(self.links)
        ctypes.CDLL(None).disk_arm(*given)


def calls() -> int:
    """The number of calls since it was armed."""
    return int(ctypes.CDLL(None).disk_calls())


def library(folder: Path) -> Path:
    """The compiled library."""
    return compiled((Path(__file__).parent / "disk.c").read_text(), folder / "disk")
