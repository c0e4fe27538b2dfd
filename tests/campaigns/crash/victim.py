"""The process that is killed: it brings a collection up to date, changes it, and reports how far it is."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lookalike
from lookalike import Collection, Policies, Progress
from lookalike.errors import NoCollectionError
from lookalike.ingest import embedding, pipeline, regions
from tests.support.pictures import ColourEncoder
from tests.support.small_policies import small_policies


@dataclass(frozen=True)
class Change:
    """What is done to a collection once it is up to date.

    Attributes:
        kind: "remove", "annotate", "build", "maintain", "regions" or "augment".
        keys: the images that are removed or annotated.
        price: the attribute that annotated images get.
        spec: the FAISS factory string of the index that is built, or None for the default.
        regions: how many parts of each image are encoded, 0 for none.
        augmented: whether augmented vectors are kept.
    """

    kind: str
    keys: list[str] = field(default_factory=list)
    price: int = 0
    spec: str | None = None
    regions: int = 0
    augmented: bool = False


def encoder_of(name: str) -> ColourEncoder | None:
    """The encoder object of that name, or None for the bundled model."""
    return ColourEncoder() if name == "colours" else None


def policies_for(dim: int) -> Policies:
    """Policies by which some 20 images are enough for an index, a join, a rebuild and a compaction."""
    return small_policies(exact=20, young=3, growth=1.5, dead=0.1, dim=dim)


def run(folder: Path, encoder_name: str, changes: Sequence[Change]) -> None:
    """Brings a folder's collection up to date with a commit for each image, and then changes it.

    Reports "started", "open", "committed N" after each image, "done", "file N" before each file operation of a change,
    and "changed" after each change.
    """
    pipeline._COMMIT_SECONDS, regions._COMMIT_SECONDS, embedding.GROUP = 0, 0, 3
    report("started")
    encoder = encoder_of(encoder_name)
    policies = policies_for(25 if encoder else 1280)
    try:
        photos = lookalike.open(folder, encoder=encoder, policies=policies)
    except NoCollectionError:
        photos = lookalike.create(folder, encoder=encoder, policies=policies)
    report("open")
    photos.add(folder, threads=2, progress=_report_committed)
    report("done")
    sys.addaudithook(FileReporter(photos.directory))
    for change in changes:
        _make(photos, change)
        report("changed")


class FileReporter:
    """An audit hook that reports whenever a file of the collection is about to be opened, renamed or removed."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._count = str(directory), 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(self._directory):
            report(f"file {self._count}")
            self._count += 1


def report(line: str) -> None:
    """Prints a line at once."""
    print(line, flush=True)


def _report_committed(progress: Progress) -> None:
    report(f"parts {progress.committed}" if progress.of_regions else f"committed {progress.committed}")


def _make(photos: Collection, change: Change) -> None:
    match change.kind:
        case "remove":
            photos.remove([photos.folder / key for key in change.keys])
        case "annotate":
            table = photos.folder.parent / "table.csv"
            table.write_text("\n".join(["path,price", *(f"{key},{change.price}" for key in change.keys)]))
            photos.annotate(table)
        case "build":
            photos.build(spec=change.spec, recall=0.9)
        case "maintain":
            photos.maintain()
        case "augment":
            photos.keep_augmented(change.augmented)
        case "regions":
            photos.keep_regions(change.regions)
            photos.update(threads=2)
            photos.maintain()
