"""The option --reindex of `lookalike index`: another model for a collection."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.cli import output, progress
from lookalike.cli.hints import as_command, command_for
from lookalike.display.text import is_harmless

if TYPE_CHECKING:
    from lookalike.collection.reindex import ReindexEstimate
    from lookalike.ingest.pipeline import Report


def change_of_model(place: Path, choice: dict[str, Any], *, reindex: bool) -> "ReindexEstimate | None":
    """What indexing with the given model would change, if one is given and it is not the collection's own."""
    from lookalike.collection.reindex import estimate_reindex
    from lookalike.storage import manifest as manifests

    wanted = {name: choice[name] for name in ("model", "precision")}
    if not reindex and not any(wanted.values()):
        return None
    change = estimate_reindex(place, **wanted)
    if reindex and change is None:
        output.note(f"The collection is already indexed with {manifests.read(place).made_by}; --reindex has no effect.")
    return change


def reindexed(
    change: "ReindexEstimate", sources: Sequence[Any], threads: int | None, choice: dict[str, Any]
) -> "Report":
    """Indexes a collection again with another model."""
    import lookalike

    with progress.indexing() as report_progress, progress.building() as report_build:
        return lookalike.reindex(
            change.directory,
            sources or None,
            threads=threads,
            progress=report_progress,
            build_progress=report_build,
            **choice,
        )


def print_change(change: "ReindexEstimate", report: "Report", *, as_json: bool) -> None:
    """Says what --reindex has done."""
    before, after = change.manifest.made_by, change.wanted
    kept = report.unchanged + report.renamed + report.returned
    if as_json:
        output.print_json({"reindexed": kept + report.added, "from": str(before), "to": str(after)})
        return
    is_same_name = str(before) == str(after)
    models = f"another version of {after}" if is_same_name else f"{after} instead of {before}"
    new = f", {report.added:,} new" if report.added else ""
    output.say(
        f"Indexed again with {models}: {output.counted(kept, 'image')} with their ids and attributes{new}."
        f" The data of {'the earlier one' if is_same_name else before} are deleted."
    )


def explanation(change: "ReindexEstimate") -> str:
    """What indexing again with another model would do, line by line."""
    from lookalike.collection.compatibility import model_options, reindex_hint

    manifest, wanted = change.manifest, change.wanted
    command = as_command(reindex_hint(change.directory, manifest, wanted))
    plan = command_for("plan", str(manifest.folder), **model_options(manifest, wanted))
    lines = [
        f"{change.directory}: its {output.counted(change.images, 'image')} were indexed with {manifest.made_by},"
        f" whose vectors cannot be compared with those of {wanted}.",
        f"To re-index with {wanted}, run: {command}" if command else "",
        f"- It needs about {change.bytes / 1e6:,.1f} MB on the disk, besides the present data until it finishes.",
        f"- To estimate the time, run: {plan}" if is_harmless(plan) else "",
        "- Searches use the present data until then. Ids, attributes and labels stay. It may be stopped at any time.",
    ]
    if change.unfinished:
        done = f"{change.unfinished.done:,} of {change.unfinished.files:,} files are done"
        fate = "" if change.unfinished.made_by == wanted else ", which would be discarded"
        lines.append(f"- It has begun with {change.unfinished.made_by}: {done}{fate}.")
    return "\n".join(filter(None, lines))
