"""Marks copies, acts on those that are marked, and undoes it: what `lookalike duplicates` does beside finding them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from lookalike import errors
from lookalike.cli import exit_codes, output, progress
from lookalike.display.text import counted, safe_text

if TYPE_CHECKING:
    from lookalike.collection.collection import Collection
    from lookalike.duplicates.actions import ActionPlan, Untouched
    from lookalike.duplicates.names import ActionName
    from lookalike.duplicates.results import Duplicates

_LISTED = 20  # files that are named before and after an action
_WORDS = {
    "move": ("Move", "moved"),
    "link": ("Replace by links", "replaced by links"),
    "trash": ("Throw away", "thrown away"),
}


def mark(collection: "Collection", found: "Duplicates") -> None:
    """Marks every copy but those that somebody has decided to keep."""
    decided = collection.copy_marks()
    ids = [copy.image.id for group in found.groups for copy in group.copies if decided.get(copy.image.id) != "kept"]
    if ids:
        collection.mark_copies(ids)
    kept = found.copies - len(ids)
    output.note(f"{counted(len(ids), 'copy', 'copies')} marked" + (f"; {kept:,} stay, as was decided" if kept else ""))


def apply(
    collection: "Collection", found: "Duplicates", action: "ActionName", to: str | None, *, sure: bool, as_json: bool
) -> int:
    """Acts on the copies that are marked, after it has shown what and has asked; returns the exit code."""
    plan = collection.plan_action(found, action, to=to)
    _name_left(plan.left)
    if not plan.actions:
        output.note(
            "Nothing is done: no copy is marked that could be acted upon. To mark all that are listed, add --mark; to"
            " choose, open /review on the page of: lookalike serve --writable"
        )
        return exit_codes.INCOMPLETE if plan.left else 0
    _show(plan)
    if not sure:
        _ask(plan)
    with progress.steps(_WORDS[action][0]) as report_progress:
        report = collection.act_on_copies(plan, progress=report_progress)
    late = [each for each in report.left if each not in plan.left]
    _name_left(late)
    if as_json:
        output.print_json(
            {
                "run": report.run,
                "action": action,
                "done": [{"key": each.key, "place": safe_text(each.place)} for each in report.done],
                "left": [{"key": each.key, "reason": each.reason} for each in report.left],
            }
        )
    else:
        output.say(f"{counted(len(report.done), 'copy', 'copies')} {_WORDS[action][1]}")
    if report.run is not None:
        output.note(f"To undo it: lookalike duplicates {safe_text(collection.folder)} --undo {report.run}")
    return exit_codes.INCOMPLETE if late else 0


def undo(collection: "Collection", run: int | None, *, trust: bool, as_json: bool) -> int:
    """Restores the files of a run, by default of the last one; returns the exit code."""
    with progress.steps("Undoing") as report_progress:
        report = collection.undo_action(run, trust_log=trust, progress=report_progress)
    _name_left(report.left)
    if as_json:
        output.print_json(
            {
                "run": report.run,
                "restored": list(report.restored),
                "left": [{"key": each.key, "reason": each.reason} for each in report.left],
            }
        )
    else:
        output.say(f"{counted(len(report.restored), 'file')} of run {report.run} restored")
    return exit_codes.INCOMPLETE if report.left else 0


def _show(plan: "ActionPlan") -> None:
    for each in plan.actions[:_LISTED]:
        where = f" -> {safe_text(each.to)}" if each.to else ""
        output.note(f"{safe_text(each.image.key)} ({each.grade or 'suggested to be kept'}){where}")
    if (more := len(plan.actions) - _LISTED) > 0:
        output.note(f"and {more:,} more")


def _ask(plan: "ActionPlan") -> None:
    if not output.is_with_a_person():
        raise errors.UsageError("--apply: nobody is there to be asked; add --yes to act without a question")
    what = f"{_WORDS[plan.action][0]} {counted(len(plan.actions), 'file')}"
    click.confirm(f"{what}{f' to {safe_text(plan.to)}' if plan.to else ''}?", abort=True, err=True)


def _name_left(left: "Sequence[Untouched]") -> None:
    for each in left[:_LISTED]:
        output.note(f"left: {safe_text(each.key)}: {each.reason}")
    if (more := len(left) - _LISTED) > 0:
        output.note(f"and {more:,} more that are left")
