"""What `lookalike index --ray` does: it indexes archives and lists on a cluster."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lookalike.cli import exit_codes, progress, reports
from lookalike.cli.output import counted, note, print_json, say
from lookalike.display.json import skip_as_dict
from lookalike.display.text import safe_text
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.cli.lists import NamedSources
    from lookalike.cluster.indexing.driver import ClusterProgress, ClusterReport
    from lookalike.sources.lists import FileList


def index_on_cluster(
    address: str,
    named: "NamedSources",
    directory: str | None,
    refused: Mapping[str, Any],
    *,
    threads: int | None,
    gpus: float,
    as_json: bool,
    strict: bool,
    **choice: Any,
) -> int:
    """Indexes on the cluster at an address, prints what that has done, and returns the exit code.

    `refused` are the values of the options that are of no use with --ray.
    """
    from lookalike.cluster.indexing.driver import index_on_cluster as index

    if given := [name for name, value in refused.items() if value]:
        raise UsageError(f"{', '.join(given)}: not with --ray; index the archives' collections by themselves for that")
    if directory is None:
        raise UsageError("--ray: name the directory for the collections with -c")
    sources: list[str | FileList] = [*named.paths, *named.lists]
    if named.folders or named.files:
        raise UsageError("--ray: give the list as a file, with --from-file")
    # Ray prints what happens to workers wherever it likes.
    with progress.steps("Indexing") as advance, redirect_stdout(sys.stderr):

        def show(found: "ClusterProgress") -> None:
            advance(found.done, found.parts)

        report = index(sources, directory, address=address, cpus=threads or 1, gpus=gpus, progress=show, **choice)
    _print(report, directory, as_json=as_json)
    left_out = bool(report.report.skipped) and strict
    return exit_codes.INCOMPLETE if report.failed or report.report.misses_many or left_out else 0


def _print(report: "ClusterReport", directory: str, *, as_json: bool) -> None:
    whole = report.report
    if as_json:
        counts = {name: value for name, value in asdict(whole).items() if name != "skipped"}
        skipped = [skip_as_dict(skip) for skip in whole.skipped]
        failed = [asdict(part) for part in report.failed]
        facts = {"parts": report.parts, "failed": failed, "workers": report.workers, "collection": directory}
        print_json({**counts, "seconds": report.seconds, "skipped": skipped, **facts})
        return
    reports.warn_of_skipped(report.report.skipped)
    for part in report.failed:
        note(f"not indexed: {safe_text(part.source)}: {safe_text(part.reason)}")
    names = ("added", "updated", "renamed", "returned", "unchanged", "missing")
    told = [f"{getattr(whole, name):,} {name}" for name in names if getattr(whole, name)]
    if whole.skipped:
        told.append(f"{len(whole.skipped):,} skipped")
    done = report.parts - len(report.failed)
    say(f"{', '.join(told) or 'No images found'} in {report.seconds:.1f} s, by {counted(report.workers, 'worker')}.")
    say(f"{done:,} of {counted(report.parts, 'part')} are in {safe_text(directory)}")
    if report.failed:
        note("To try the others again, run the same command again.")
