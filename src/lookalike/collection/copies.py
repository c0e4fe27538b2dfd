"""Finds the copies in a collection, alone or against another one."""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike import arguments
from lookalike.collection.browsing import Browsable
from lookalike.duplicates.folding import Folds
from lookalike.errors import IncompatibleError, UsageError
from lookalike.results import IndexedImage, Origin
from lookalike.search.snapshot import Snapshots
from lookalike.storage import files, layout
from lookalike.storage.manifest import Manifest
from lookalike.system import durable, resources

if TYPE_CHECKING:
    from lookalike.duplicates.duplicate_search import Wanted
    from lookalike.duplicates.examined import Examined
    from lookalike.duplicates.names import Grade
    from lookalike.duplicates.results import Duplicates

_STEPS = 1000  # that progress is told in
_LARGEST = 2**31  # bytes of a file of kept pictures that is copied to where it can be written


class Comparable(Browsable):
    """Finds the copies in a collection."""

    directory: Path
    _manifest: Manifest
    _snapshots: Snapshots
    _folds: Folds

    def duplicates(
        self,
        *,
        grade: "Grade" = "edited copy",
        against: "Comparable | None" = None,
        nearest: int | None = None,
        processes: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "Duplicates":
        """Finds the images that are copies of one another, in groups, with one to keep in each.

        Each image is compared with those that are near by cosine, by small pictures of both. These and the results are
        kept beside the vectors, so that a later call compares only what is new.

        Args:
            grade: the loosest grade that counts: "same bytes", "same pixels", "edited copy", "same scene" or "alike".
            against: another collection of the same model: only copies of its images are told, which are those to keep.
            nearest: how many of the nearest images of each are compared with it (default: 10, or 5 if there are more
                than 20,000): of edited copies of photographs, 0.98 are among 10, and 0.97 among 5.
            processes: how many compare at the same time (default: one a core); 0 compares nothing, and goes by what
                earlier calls have found.
            progress: called with the steps that are done, and their total; an exception that it raises ends the work,
                and what was found until then is kept.

        Raises:
            UsageError: there is no such grade.
            IncompatibleError: the other collection was made with another model.
            CorruptError: a file of a collection is damaged.
            StorageError: a file cannot be written.
        """
        from lookalike.duplicates.duplicate_search import Wanted
        from lookalike.duplicates.names import GRADES

        if grade not in GRADES:
            raise UsageError(f"grade {grade!r}: choose one of {', '.join(GRADES)}")
        if against is not None:
            arguments.instance(against, Comparable, "against", "a collection")
            self._check_same_model(against)
        count = resources.cores() if processes is None else arguments.whole(processes, "processes", least=0)
        report = arguments.callback(progress, "progress") or (lambda _done, _total: None)
        wanted = Wanted(
            grade,
            self._examined(),
            None if against is None else against._examined(),
            None if against is None else against.folder,
            None if nearest is None else arguments.whole(nearest, "nearest", least=1),
            count,
            lambda share: report(round(share * _STEPS), _STEPS),
        )
        made_by = self._manifest.made_by
        origin = Origin(self.folder, str(made_by), made_by.fingerprint, datetime.now().astimezone())
        return replace(self._found(wanted), origin=origin)

    def copies_revision(self) -> str:
        """A text that is another one after every change of what is known of copies."""
        return repr(self._folds.stamp())

    def copy_groups(self) -> Mapping[bytes, bytes]:
        """Which images are copies of one another, as earlier calls of `duplicates` have found.

        Returns:
            For the SHA-256 of each image that is in a group of copies, the SHA-256 of the group's centre: the image of
            which all others are edited copies, itself too. It may be one that has been removed since, or one of another
            collection that this one was compared with. Images that are only the same bytes are in no group.
        """
        return self._folds.groups()

    def _found(self, wanted: "Wanted") -> "Duplicates":
        from lookalike.duplicates import duplicate_search

        path = self._pictures()
        if os.access(path if path.exists() else path.parent, os.W_OK):
            return duplicate_search.find(path, wanted)
        with tempfile.TemporaryDirectory() as place:  # a collection that can only be read
            copied = Path(place, layout.PICTURES)
            if path.exists():
                durable.write_new(copied, files.read(path, max_bytes=_LARGEST))
            return duplicate_search.find(copied, wanted)

    def _pictures(self) -> Path:
        return self._manifest.data_directory(self.directory) / layout.PICTURES

    def _check_same_model(self, other: "Comparable") -> None:
        ours, theirs = self._manifest.made_by, other._manifest.made_by
        if ours.fingerprint != theirs.fingerprint:
            raise IncompatibleError(
                f"{other.folder}: it was made with the model {theirs.model}, and {self.folder} with {ours.model}; index"
                " one of them again with the other's model"
            )

    def _examined(self) -> "Examined":
        from lookalike.duplicates.examined import Examined

        with self._snapshots.current() as snapshot:
            return Examined(snapshot, self.image, self._looked_up, self._data)

    def _looked_up(self, image_ids: Sequence[int]) -> list[IndexedImage]:
        return [self._shown(image) for image in self._catalog.images_of(image_ids)]

    def _data(self, image_id: int) -> Any:
        return self.original(image_id).data
