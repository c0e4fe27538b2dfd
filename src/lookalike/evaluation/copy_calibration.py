"""Fits how probable it is that a match is an edited copy of its query, or the reverse, and measures how far that holds.

The queries are edited copies of the collection's own images. Each is asked twice: as things are, and as if its original
were not in the collection, so that of half of the queries nothing that is found is a copy. All queries of an image are
held out together, and judged by their first matches: of the others hardly any is a copy, which is easily told. Other
images that are copies of the original already, by their pictures, count neither way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from lookalike.evaluation import calibration
from lookalike.evaluation.calibration import RANKS, Asked
from lookalike.evaluation.copied_images import Copied
from lookalike.evaluation.results import Calibration
from lookalike.results import NEAR_CHANCE
from lookalike.search.options import SearchOptions
from lookalike.search.searched import Searched
from lookalike.storage.rows import Rows
from lookalike.storage.vectors import Vectors

FEWEST = 20  # images that are copied; of fewer, a curve would be that of a few images
IsCopy = Callable[[Copied, int], bool]


def measure(
    snapshot: Searched, row_of: Mapping[int, int], copied: Sequence[Copied], is_copy: IsCopy, step: Callable[[], None]
) -> Calibration | None:
    """Fits and measures the probabilities; None if too few images could be copied, or nobody can tell.

    Args:
        snapshot: the state of the collection.
        row_of: the row of each image, by its id.
        copied: the edited copies of some images.
        is_copy: says of another image, by its id, whether it is a copy of one that was copied.
        step: is called after each image.
    """
    id_of = {row: image_id for image_id, row in row_of.items()}
    asked, groups = list[Asked](), list[int]()
    for number, each in enumerate(copied):
        kin = _Kin(each, is_copy, id_of)
        for vector in each.vectors:
            found = list(_ask(snapshot, vector, row_of[each.image_id], kin))
            asked += found
            groups += [number] * len(found)
        step()
    told = [len(each.scores) > 0 and not np.isnan(each.near.expected).any() for each in asked]
    if len(copied) < FEWEST or not all(told):
        return None
    return calibration.calibration(asked, snapshot.live.size, calibration.fit_copies, np.array(groups), shown=1)


class _Kin:
    """The rows of other images that are copies of one; each is compared once."""

    def __init__(self, copied: Copied, is_copy: IsCopy, id_of: Mapping[int, int]) -> None:
        self._copied, self._is_copy, self._id_of = copied, is_copy, id_of
        self._known = dict[int, bool]()

    def among(self, rows: Sequence[int]) -> Rows:
        """Those of some rows that are of copies, int64 (k,)."""
        for row in rows:
            if row not in self._known:
                self._known[row] = self._is_copy(self._copied, self._id_of[row])
        return np.array([row for row, is_copy in self._known.items() if is_copy], np.int64)


def _ask(snapshot: Searched, vector: Vectors, row: int, kin: _Kin) -> Iterator[Asked]:
    """What an edited copy finds: with its original, which has that row, and without it."""
    scores, found = (each[0] for each in snapshot.search(vector, SearchOptions(int(RANKS[-1]) + 1), snapshot.live))
    near = snapshot.judged(vector, found)
    copies = kin.among([each for each in found[near.expected <= NEAR_CHANCE].tolist() if each != row])
    others = ~np.isin(found, copies)
    for without, kept in ((None, others), (np.append(copies, row), others & (found != row))):
        near = snapshot.judged(vector, found[kept], without=without)
        yield Asked(near, scores[kept].astype(np.float64), found[kept] == row)
