"""The names of the grades of copies, and of what can be done to them."""

from typing import Literal, TypeAlias

Grade: TypeAlias = Literal["same bytes", "same pixels", "edited copy", "same scene", "alike"]
"""How close a copy is: the same file, another file that shows the same, a changed picture, another picture of the same,
or one that only looks like it."""
GRADES: tuple[Grade, ...] = ("same bytes", "same pixels", "edited copy", "same scene", "alike")

ActionName: TypeAlias = Literal["move", "link", "trash"]
"""What is done to a copy: its file is moved to a folder, is replaced by a hard link to a file with the same bytes, or
goes to the trash of the desktop."""
ACTIONS: tuple[ActionName, ...] = ("move", "link", "trash")
