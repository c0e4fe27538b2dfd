"""What the commands report, as text or as JSON."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.cli.further_vectors import augmented_facts, augmented_plan, built_for_regions, region_facts, region_plan
from lookalike.cli.hints import as_command
from lookalike.cli.made_of import exclusion_text, sources_text
from lookalike.cli.output import (
    UNTIL_RATE_S,
    OutputFiles,
    bytes_text,
    counted,
    duration,
    note,
    open_in_browser,
    print_json,
    say,
    temporary_file,
)
from lookalike.display.advice import order_advice
from lookalike.display.json import as_dict, skip_as_dict
from lookalike.display.text import is_all_chance, safe_text, share_text, time_text
from lookalike.errors import Hint, with_hints

if TYPE_CHECKING:
    from lookalike.collection.collection import Collection
    from lookalike.collection.info import Info
    from lookalike.collection.missing import Missing
    from lookalike.collection.plan import Plan
    from lookalike.index.generation import Generation
    from lookalike.index.maintenance import Maintenance
    from lookalike.ingest.pipeline import Report
    from lookalike.results import Matches, Skipped
    from lookalike.search.probability import FittedCurve

_SHOWN_SKIPS = 20
_SHOWN_SHARDS = 32


def print_report(report: "Report", collection: "Collection", *, as_json: bool) -> None:
    if as_json:
        counts = {name: value for name, value in asdict(report).items() if name != "skipped"}
        skipped = [skip_as_dict(skip) for skip in report.skipped]
        print_json({**counts, "skipped": skipped, "images": len(collection), "collection": str(collection.directory)})
        return
    warn_of_skipped(report.skipped)
    if any("max_pixels=" in skip.reason for skip in report.skipped):
        note("Images over the limit of memory are indexed with a higher --max-pixels.")
    names = ("added", "updated", "renamed", "returned", "reencoded", "unchanged", "missing", "excluded")
    words = {"reencoded": "encoded again, as they are read otherwise now"}
    told = [f"{getattr(report, name):,} {words.get(name, name)}" for name in names if getattr(report, name)]
    if report.skipped:
        told.append(f"{len(report.skipped):,} skipped")
    if report.skipped_before:
        told.append(f"{report.skipped_before:,} skipped before and not changed since")
    if report.regions:
        told.append(f"{report.regions:,} with their parts")
    if report.taken_over:
        told.append(f"{report.taken_over:,} of the vectors taken over")
    if report.missing_before:
        told.append(f"{report.missing_before:,} missing before and not back")
    if report.without_regions:
        told.append(f"{report.without_regions:,} without parts, since their files cannot be read now")
    worked = report.added + report.updated + report.reencoded
    rate = f" ({worked / report.seconds:,.0f} images/s)" if worked and report.seconds >= UNTIL_RATE_S else ""
    say(f"{', '.join(told) or 'No images found'} in {max(report.seconds, 0.1):.1f} s{rate}.")
    say(f"{counted(len(collection), 'image')} in {safe_text(collection.directory)}")
    if report.added and report.added == len(collection) and sys.stderr.isatty():  # for a person, the first time
        note("To find the look-alikes of an image: lookalike search IMAGE")
    if not told:
        _note_archives(collection)
    if report.misses_many:
        note(
            "Many files are missing: perhaps a drive is away. What is known of their images is kept, and they are as"
            " before when the files are back. If they are gone for good, run: lookalike prune"
        )


def _note_archives(collection: "Collection") -> None:
    """Says how to index the images in archives, if the folder has some and no images."""
    from lookalike.sources.keys import is_shard

    found = sorted(each.name for each in collection.folder.iterdir() if is_shard(each.name))
    if found and not collection.made_of.shards:
        names = found if len(found) == 1 else sorted({f"*{Path(name).suffix}" for name in found})
        own = " ".join(safe_text(collection.folder / name) for name in names)
        note(
            f"No image here, but {counted(len(found), 'archive')}; to index the images in there: lookalike index {own}"
        )


def print_plan(plan: "Plan", *, as_json: bool) -> None:
    """Prints what indexing would take."""
    census, trial, searching = plan.census, plan.trial, plan.searching
    if as_json:
        print_json({**_plain(plan), "seconds": plan.seconds, "bytes": plan.bytes, "memory_bytes": plan.memory_bytes})
        return
    for folder in census.unlisted:
        note(f"{safe_text(folder.path)}: {safe_text(folder.reason)}")
    for skip in trial.skipped:
        note(f"cannot be used: {safe_text(skip.path)}: {safe_text(skip.reason)}")
    known = f", of which {census.changed:,} new or changed" if plan.directory else ""
    unusable = f"; {trial.unusable:,} of {trial.tried:,} tried cannot be used" if trial.tried else ""
    milliseconds = time_text(searching.milliseconds)
    time = f"about {duration(plan.seconds)}, at {trial.files_per_second:,.0f} files/s"
    rows = {
        "files": f"{census.files:,}, {bytes_text(census.bytes)}{known}{unusable}",
        "time": time if trial.tried else "none: there is nothing to process",
        "disk": f"about {bytes_text(plan.bytes)}, of which {bytes_text(plan.vector_bytes)} are vectors",
        "memory": f"about {bytes_text(plan.memory_bytes)} to index, {bytes_text(searching.memory_bytes)} to search",
        "index": f"none: a search compares with all {plan.vectors:,} vectors, in about {milliseconds}",
    }
    if searching.spec:
        built = f", built in about {duration(searching.build_seconds)}" if searching.build_seconds else ""
        size = bytes_text(searching.index_bytes)
        rows["index"] = f"{searching.spec}, {size}{built}; a search takes about {milliseconds}"
    if plan.vectors:
        rows["augmented"] = augmented_plan(plan)
    if plan.regions:
        rows["regions"] = region_plan(plan.regions)
    for name, value in rows.items():
        say(f"{name:<12}{value}")


def print_maintenance(done: "Maintenance", collection: "Collection", *, as_json: bool) -> None:
    """Prints what maintaining the index has done, if anything."""
    if as_json:
        return  # `info --json` has it
    if done.removed:
        say(f"Removed {counted(done.removed, 'vector')} of deleted images.")
    if done.joined:
        say(f"The index has taken in {counted(done.joined, 'new vector')}.")
    if done.built:
        print_index(done.built, collection, as_json=False)
    if done.augmented:
        say(f"Made {counted(done.augmented, 'augmented vector')} for --refine.")
    if done.regions and done.regions.built:
        say(built_for_regions(done.regions.built))


def print_index(index: "Generation | None", collection: "Collection", *, as_json: bool) -> None:
    """Prints the recall and the time of an index, and whether it reaches its target recall."""
    if as_json:
        print_json({"index": _index_facts(index)})
    elif index is None:
        say(f"{counted(len(collection), 'image')} need no index: comparing with all of them takes milliseconds.")
    else:
        chosen = index.chosen
        say(f"{index.spec}: {index.bytes / 1e6:,.1f} MB for {counted(index.rows, 'vector')}")
        if chosen:
            say(
                f"A search takes {time_text(chosen.milliseconds)}, with a recall of {share_text(chosen.recall)} of the"
                f" {chosen.k} nearest; an exact search takes {time_text(index.exact_milliseconds)}."
            )
        if index.reached_recall < index.target_recall:
            note(
                f"The recall of the index is at least {share_text(index.reached_recall)} (with 95% confidence),"
                f" below the recall target of {index.target_recall:g}. {_instead(index)}"
            )


def _instead(index: "Generation") -> str:
    """The alternative to an index that does not reach its target recall."""
    if index.target_recall == 1:
        return "Only an exact search is guaranteed to find all: lookalike search --exact."
    if index.is_exact_better:
        return "An exact search takes no longer, so that is what searches do."
    return "A finer --spec may reach it, and lookalike search --exact always does."


def print_curve(index: "Generation", young: int) -> None:
    """Prints the operating points of an index: the recall and the time of each."""
    from lookalike.index.spec import IndexSpec

    chosen, kind = None if index.is_exact_better else index.chosen, IndexSpec(index.spec, index.dim).kind
    say(f"{'':<12}{index.bytes / 1e6:,.1f} MB, {index.rows:,} vectors indexed, {young:,} newer ones compared directly")
    reached = share_text(index.reached_recall)
    say(f"{'':<12}recall target of the 10 nearest: {index.target_recall:g}, reached: at least {reached}")
    for point in index.points:
        mark = "*" if point == chosen else " "
        recall, low = share_text(point.recall), share_text(point.recall_low)
        say(
            f"  {mark} k={point.k:<4} recall {recall}, at least {low} {time_text(point.milliseconds):>10}"
            f"  {point.parameters.description(kind)}"
        )
    exact = time_text(index.exact_milliseconds)
    say(f"  {' ' if chosen else '*'} k any  recall 1.000, at least 1.000 {exact:>10}  exact search")


def print_skipped(skipped: Sequence["Skipped"], others: int, *, as_json: bool) -> None:
    """Prints the files that were left out, with the reasons, and the number of the others, which are no images."""
    for skip in skipped:
        if as_json:
            print_json(skip_as_dict(skip))
        else:
            say(f"{safe_text(skip.path)}: {safe_text(skip.reason)}")
    if not skipped:
        note("No image was left out.")
    if others:
        are = "other file in the folder is" if others == 1 else "other files in the folder are"
        note(f"{others:,} {are} no image{'' if others == 1 else 's'}.")


def print_pruned(number: int, *, as_json: bool) -> None:
    """Prints how many missing images have been forgotten."""
    if as_json:
        print_json({"pruned": number})
    else:
        say(f"Forgot {counted(number, 'missing image')}.")


def print_missing(missing: Sequence["Missing"], *, as_json: bool) -> None:
    """Prints the images whose files are gone or cannot be used."""
    if not missing:
        note("No image is missing.")
    for image in missing:
        if as_json:
            since = image.since.isoformat()
            print_json({"id": image.id, "path": str(image.path), "since": since, "excluded": image.excluded})
        else:
            why = ", left out" if image.excluded else ""
            say(f"{safe_text(image.path)}: since {image.since.astimezone():%Y-%m-%d %H:%M}, id {image.id}{why}")


def print_matches(
    matches: "Matches",
    files: OutputFiles,
    *,
    as_json: bool = False,
    thumbnails: bool = True,
    open_page: bool = False,
) -> None:
    """Prints matches, and writes a contact sheet and a page if they are wanted."""
    if matches.partial:
        note(f"Not searched, since they cannot be used: {safe_text(', '.join(matches.missing_shards))}")
    if as_json:
        for match in matches:
            print_json(as_dict(match))
    else:
        from rich.console import Console

        from lookalike.display import terminal

        terminal.print_matches(matches, Console(), thumbnails=thumbnails)
        if is_all_chance(matches):
            note("Nothing here is nearer than chance.")
    if files.sheet:
        from lookalike.display.sheet import write_sheet

        write_sheet(matches, files.sheet, overwrite=files.overwrite)
        note(f"Wrote {safe_text(files.sheet)}")
    if files.html or open_page:
        _write_page(matches, files, open_page=open_page)


def _write_page(matches: "Matches", files: OutputFiles, *, open_page: bool) -> None:
    from lookalike.display.page import write_page

    path = files.html or temporary_file("matches.html")
    write_page(matches, path, overwrite=files.overwrite)
    note(f"Wrote {safe_text(path)}")
    if open_page:
        open_in_browser(path)


def print_info(info: "Info", *, as_json: bool) -> None:
    """Prints what a collection is and holds."""
    if as_json:
        measured = {"orders": _order_facts(info), "probability": _probability_facts(info.probability)}
        measured["copy_probability"] = _probability_facts(info.copy_probability)
        print_json({**asdict(info), "index": _index_facts(info.index), **measured})
        return
    rows = {
        "folder": safe_text(info.folder),
        "collection": f"{safe_text(info.directory)}  ({info.bytes / 1e6:,.1f} MB)",
        "model": " ".join((info.made_by.model, info.made_by.precision, f"({info.made_by.dim} dimensions)")),
        "images": f"{info.images:,}",
        "vectors": f"{info.vectors:,}" + (f", {info.dead:,} of them of deleted images" if info.dead else ""),
        "missing": f"{info.missing:,}" + (", see: lookalike info --missing" if info.missing else ""),
        "made of": "its shards" if info.shards else sources_text(info),
        "skipped": f"{info.skipped:,}" + (", see: lookalike info --skipped" if info.skipped else ""),
        "index": info.index.spec if info.index else "none: every search compares with every vector",
    }
    if info.shards:
        rows["shards"] = _shards_text(info)
        if not info.index and any(shard.spec for shard in info.shards):
            rows["index"] = "each shard has its own: lookalike build measures them as one"
    if info.regions:
        rows["regions"] = region_facts(info.regions)
    if info.augmented is not None:
        rows["refined by"] = augmented_facts(info.augmented)
    if info.orders and (advice := order_advice(info.orders.orders)):
        of = f"(evaluated {info.orders.date:%Y-%m-%d} with {counted(info.orders.images, 'image')})"
        rows["order"] = "\n            ".join([*advice, of])
    if info.probability or info.copy_probability:
        rows["probability"] = _probability_row(info)
    if excluded := exclusion_text(info):
        rows["leaves out"] = excluded
    if info.outdated:
        rows["outdated"] = f"{info.outdated:,}, read by an earlier version; lookalike index looks at them again"
    if not info.shards and (unfinished := _unfinished(info.directory)):
        rows["reindexing"] = unfinished
    for name, value in rows.items():
        say(f"{name:<12}{value}")
    if info.damage:
        note(with_hints(safe_text(info.damage), [Hint("maintain", {"path": info.folder})], as_command))
    if info.index:
        print_curve(info.index, info.young)


def _shards_text(info: "Info") -> str:
    """The collections that are one: what each of them has, or why it cannot be used."""
    lines = [f"{len(info.shards):,}"]
    for shard in info.shards[:_SHOWN_SHARDS]:
        held = f"{counted(shard.images, 'image')}" if shard.images is not None else safe_text(shard.problem or "")
        lines.append(f"{safe_text(shard.name)}: {held}")
    if len(info.shards) > _SHOWN_SHARDS:
        lines.append(f"and {len(info.shards) - _SHOWN_SHARDS:,} more, see: lookalike info --json")
    return "\n            ".join(lines)


def _unfinished(directory: Path) -> str | None:
    """How far a re-indexing is that has begun and is not finished; None if there is none."""
    from lookalike.collection.compatibility import reindex_hint
    from lookalike.collection.reindex import unfinished
    from lookalike.storage import manifest as manifests

    begun = unfinished(directory)
    if begun is None:
        return None
    command = as_command(reindex_hint(directory, manifests.read(directory), begun.made_by))
    carry_on = f"; to carry on: {command}" if command else ""
    return f"{begun.done:,} of {begun.files:,} files with {begun.made_by}{carry_on}"


def _index_facts(index: "Generation | None") -> dict[str, Any] | None:
    from lookalike.index.generation import as_facts

    return None if index is None else as_facts(index)


def _order_facts(info: "Info") -> dict[str, Any] | None:
    return {**asdict(info.orders), "date": info.orders.date.isoformat()} if info.orders else None


def _probability_row(info: "Info") -> str:
    learned = [
        f"of {name}, from {counted(fitted.queries, *asked)} ({fitted.date:%Y-%m-%d}); off by {fitted.error:.3f}"
        for name, asked, fitted in (
            ("labels", ("image",), info.probability),
            ("copies", ("search", "searches"), info.copy_probability),
        )
        if fitted
    ]
    if info.is_probability_outdated:
        learned.append("not told, since many images have come or gone: lookalike evaluate")
    return "\n            ".join(learned)


def _probability_facts(fitted: "FittedCurve | None") -> dict[str, Any] | None:
    if fitted is None:
        return None
    facts = {name: value for name, value in vars(fitted).items() if name != "curve"}
    return {**facts, "date": fitted.date.isoformat()}


def _plain(plan: "Plan") -> dict[str, Any]:
    """A plan for JSON, with skipped files in the same form as elsewhere."""
    facts = asdict(plan)
    facts["census"]["unlisted"] = [skip_as_dict(folder) for folder in plan.census.unlisted]
    facts["trial"]["skipped"] = [skip_as_dict(skip) for skip in plan.trial.skipped]
    return facts


def warn_of_skipped(skipped: Sequence["Skipped"]) -> None:
    """Names the first of the files that were skipped."""
    for skip in skipped[:_SHOWN_SKIPS]:
        note(f"skipped {safe_text(skip.path)}: {safe_text(skip.reason)}")
    if len(skipped) > _SHOWN_SKIPS:
        note(f"skipped {len(skipped) - _SHOWN_SKIPS:,} more, see: lookalike info --skipped")
