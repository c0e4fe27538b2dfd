"""What a worker does: it makes the collection of a part, or brings it up to date, and loads the encoder once."""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lookalike.cluster.indexing.parts import Part
from lookalike.collection import opening
from lookalike.collection.collection import Collection
from lookalike.collection.encoder_choice import EncoderChoice
from lookalike.ingest.pipeline import Progress, Report
from lookalike.storage import files, layout
from lookalike.system import durable

_BEGUN = ".begun-"  # the beginning of the names of directories that are not finished


@dataclass(frozen=True)
class Job:
    """What all workers of a run have in common.

    Attributes:
        directory: that the collections are in.
        folder: the folder that the keys of the images are relative to.
        choice: the model, and what else names the encoder.
        threads: of each worker.
    """

    directory: Path
    folder: Path
    choice: EncoderChoice
    threads: int


class Worker:
    """Indexes parts, one after the other. Another thread may ask for its progress."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._last: Collection | None = None
        self._under_way, self._done = "", 0

    def ready(self) -> None:
        """Returns as soon as the worker has started."""

    def progress(self, name: str) -> int:
        """The number of files of the part of that name that are done; 0 if another one is under way."""
        return self._done if self._under_way == name else 0

    def index(self, part: Part) -> Report:
        """Makes the collection of a part, or brings it up to date. It appears in its place when it is finished.

        Raises:
            LookalikeError: it cannot be made.
        """
        self._done, self._under_way = 0, part.name
        place = self._job.directory / part.name
        if layout.find(place) is not None:
            with opening.open(place, **self._job.choice) as collection:
                return self._add(collection, part)
        begun = self._job.directory / f"{_BEGUN}{part.name}-{secrets.token_hex(4)}"
        try:
            with opening.create(self._job.folder, directory=begun, **self._job.choice) as collection:
                report = self._add(collection, part)
            _publish(begun, place)
        except BaseException:
            with suppress(OSError):
                files.remove_directory(begun)
            raise
        return report

    def _add(self, collection: Collection, part: Part) -> Report:
        if self._last is not None:
            collection._share_encoder(self._last)
        report = collection.add(part.source, threads=self._job.threads, progress=self._note)
        self._last = collection
        return report

    def _note(self, progress: Progress) -> None:
        self._done = progress.done


def remove_begun(directory: Path) -> None:
    """Removes what workers have left that were killed; no other run is under way."""
    for entry in os.scandir(directory):
        if entry.name.startswith(_BEGUN) and entry.is_dir(follow_symlinks=False):
            files.remove_directory(Path(entry))


def _publish(begun: Path, place: Path) -> None:
    """Puts a finished collection in its place; if another worker was quicker, this one is not needed."""
    with durable.storage_errors(place):
        durable.sync_folder(begun)
        try:
            durable.rename(begun, place)
        except OSError:
            if layout.find(place) is None:
                raise
            files.remove_directory(begun)
